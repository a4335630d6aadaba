"""What is wrong with a command, and durations and instants as people type them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from acteon.core import parse_instant

_AGO: Final = re.compile(r"(\d+)([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class UsageError(Exception):
    """The command, or what it is to read, cannot be used; the text says what to change."""


def instant(text: str) -> datetime:
    """Return the instant that `text` names: RFC 3339, or so long ago as `90s`, `5m`, `1h`, `7d`.

    Raises:
        ValueError: It names none.
    """
    ago = _AGO.fullmatch(text)
    if ago is None:
        return parse_instant(text)
    return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
