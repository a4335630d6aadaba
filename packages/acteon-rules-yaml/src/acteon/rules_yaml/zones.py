"""Time zones, and what people write in their place."""

import difflib
import re
from datetime import tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_ABBREVIATIONS: Final = {
    "CET": "Europe/Berlin",
    "CEST": "Europe/Berlin",
    "MEZ": "Europe/Berlin",
    "MESZ": "Europe/Berlin",
    "WEST": "Europe/Lisbon",
    "EEST": "Europe/Athens",
    "BST": "Europe/London",
    "MSK": "Europe/Moscow",
    "EST": "America/New_York",
    "EDT": "America/New_York",
    "CST": "America/Chicago",
    "CDT": "America/Chicago",
    "MST": "America/Denver",
    "MDT": "America/Denver",
    "PST": "America/Los_Angeles",
    "PDT": "America/Los_Angeles",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "KST": "Asia/Seoul",
    "SGT": "Asia/Singapore",
    "AEST": "Australia/Sydney",
    "AEDT": "Australia/Sydney",
    "NZST": "Pacific/Auckland",
    "NZDT": "Pacific/Auckland",
    "Z": "UTC",
    "ZULU": "UTC",
}
"""A place for each: the abbreviations name hours, some of them several, and no zones."""
_WITHOUT_SUMMER: Final = {"EST": "America/New_York", "MST": "America/Denver"}
_OFFSET: Final = re.compile(r"(?:UTC|GMT)? ?([+-])0?([0-9]{1,2})(?::?00)?", re.IGNORECASE)
_HERE: Final = frozenset({"local", "localtime", "system", "here"})
_ABOVE_UTC: Final = 14
_BELOW_UTC: Final = 12


def find_zone(name: str) -> tzinfo | None:
    """Return the zone that is called `name`; None if there is none."""
    if name in _HERE:
        return None  # A machine may have one of that name, and the next machine another one.
    try:
        return ZoneInfo(name)
    # What is no name at all, such as a path out of the database, or names one of its folders.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def zone_warning(name: str) -> str:
    """Return what is odd about the zone `name`, which there is, or an empty text."""
    if name in _WITHOUT_SUMMER:
        return f"`{name}` is the winter time all year; {_WITHOUT_SUMMER[name]} has both"
    if name.startswith(("Etc/GMT+", "Etc/GMT-")):
        sign = "-" if "+" in name else "+"
        return f"the sign of `{name}` is the other way round: it is UTC{sign}{name[8:]}"
    return ""


def zone_hint(name: str) -> str:
    """Return what to write instead of `name`, which is no zone."""
    if name.upper() in _ABBREVIATIONS:
        return f"write the name of a place, such as {_ABBREVIATIONS[name.upper()]}"
    if name.lower() in _HERE:
        return "name the place, such as Europe/Berlin: servers may be anywhere"
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        return _of_offset(offset[1], int(offset[2]))
    zones = {zone.lower(): zone for zone in available_timezones()}
    close = difflib.get_close_matches(name[:100].lower(), zones, n=1)
    return f"did you mean `{zones[close[0]]}`?" if close else "write it like Europe/Berlin"


def _of_offset(sign: str, hours: int) -> str:
    place = "write the name of a place, such as Europe/Berlin"
    if not 0 < hours <= (_ABOVE_UTC if sign == "+" else _BELOW_UTC):
        return place
    # POSIX counts the other way round: hours to be added to reach UTC.
    fixed = f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"
    return f"{place}, or {fixed} for {sign}{hours} hours all year (its sign is the other way round)"
