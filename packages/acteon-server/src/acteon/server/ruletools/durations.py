"""Durations as people write them: `90s`, `10m`, `1h30m`."""

import re
from datetime import timedelta
from typing import Final

_UNITS: Final = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_PART: Final = re.compile(r"([0-9]{1,6}) ?(ms|s|m|h|d) ?", re.ASCII)
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def parse_duration(text: str) -> timedelta | None:
    """Return the duration that `text` says; None if it is none."""
    parts = _PART.findall(text)
    units = {unit for _, unit in parts}
    if not _DURATION.fullmatch(text) or len(units) < len(parts):
        return None
    return sum((int(count) * _UNITS[unit] for count, unit in parts), timedelta(0))


def show_duration(duration: timedelta) -> str:
    """Return `duration` as `parse_duration` reads it, cut to milliseconds."""
    shown = ""
    for unit, length in _UNITS.items():
        count, duration = divmod(duration, length)
        shown += f"{count}{unit}" if count else ""
    return shown or "0s"
