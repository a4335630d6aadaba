"""What `acteon-server audit …` and `migrate` do: with stores, and without a server."""

from acteon.server.audittools.erasing import count, erase
from acteon.server.audittools.exporting import export
from acteon.server.audittools.preparing import prepare

__all__ = ["count", "erase", "export", "prepare"]
