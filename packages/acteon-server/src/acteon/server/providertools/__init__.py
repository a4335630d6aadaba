"""What the commands `acteon-server providers …` do."""

from acteon.server.providertools.trying import Tried, checked, try_provider

__all__ = ["Tried", "checked", "try_provider"]
