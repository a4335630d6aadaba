"""What the commands `acteon-server plugins …` do."""

from acteon.server.plugintools.listing import Installed, installed
from acteon.server.plugintools.making import KINDS, make_package

__all__ = ["KINDS", "Installed", "installed", "make_package"]
