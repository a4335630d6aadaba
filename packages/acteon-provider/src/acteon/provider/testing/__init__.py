"""For the tests of providers: what all must do, and a receiver that does what it is told."""

from acteon.provider.testing.conformance import PROVIDER_KIT, ProviderConformance
from acteon.provider.testing.receiver import (
    Received,
    Receiver,
    Reply,
    answer,
    close,
    endless,
    garbage,
    gzip_bomb,
    reset,
)

__all__ = [
    "PROVIDER_KIT",
    "ProviderConformance",
    "Received",
    "Receiver",
    "Reply",
    "answer",
    "close",
    "endless",
    "garbage",
    "gzip_bomb",
    "reset",
]
