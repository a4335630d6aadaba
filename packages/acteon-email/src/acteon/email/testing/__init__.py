"""For tests: mail servers on this machine, one that keeps what it gets and one that misbehaves."""

from acteon.email.testing.scripted import CLOSE, FLOOD, HANG, NOTHING, RESET, ScriptedServer
from acteon.email.testing.server import MailServer, Received

__all__ = ["CLOSE", "FLOOD", "HANG", "NOTHING", "RESET", "MailServer", "Received", "ScriptedServer"]
