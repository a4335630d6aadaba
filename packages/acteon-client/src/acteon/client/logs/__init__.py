"""Log records become actions: `ActeonHandler` for the standard library's `logging`."""

from acteon.client.background import Counts
from acteon.client.logs.fingerprints import fingerprint, fingerprint_of
from acteon.client.logs.handler import ActeonHandler

__all__ = ["ActeonHandler", "Counts", "fingerprint", "fingerprint_of"]
