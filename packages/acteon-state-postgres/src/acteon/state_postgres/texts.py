"""Keys, values and times as PostgreSQL takes them."""

from collections.abc import Iterable
from datetime import timedelta
from hashlib import sha256
from typing import Final, overload

LONGEST: Final = 1024
"""Bytes of a name: an index of PostgreSQL takes no more than about 2,700."""
HASHED: Final = "sha256:"
MOST: Final = 2**63 - 1

_MICROSECOND: Final = timedelta(microseconds=1)
_FOR_EVER: Final = timedelta(days=10_000_000)
"""Longer times are cut to this: PostgreSQL's calendar ends in the year 294276."""


def is_storable(text: str) -> bool:
    """Return whether PostgreSQL can keep `text`: it has no NUL characters, nor halves of pairs."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def name_of(text: str) -> str:
    """Return the name under which the entry or lock `text` is kept; different texts' differ.

    It is the text itself, unless that is too long or cannot be kept; then it is a hash.
    """
    if (
        len(text) <= LONGEST
        and is_storable(text)
        and not text.startswith(HASHED)
        and (text.isascii() or len(text.encode()) <= LONGEST)
    ):
        return text
    return HASHED + sha256(text.encode(errors="surrogatepass")).hexdigest()


@overload
def microseconds(time: timedelta) -> int: ...
@overload
def microseconds(time: timedelta | None) -> int | None: ...
def microseconds(time: timedelta | None) -> int | None:
    """Return `time` in microseconds; what is negative counts as nothing."""
    if time is None:
        return None
    return max(0, min(time, _FOR_EVER) // _MICROSECOND)


def number(value: int) -> int:
    """Return `value`, or the number of 64 bits next to it."""
    return max(-MOST - 1, min(value, MOST))


def text_array(texts: Iterable[str | None]) -> str:
    """Return an array of `texts` as PostgreSQL writes it.

    The driver would adapt a list too, in four times the time.
    """
    return "{" + ",".join([_quoted(text) for text in texts]) + "}"


def array(numbers: Iterable[int | None]) -> str:
    """Return an array of `numbers` as PostgreSQL writes it."""
    return "{" + ",".join(["NULL" if one is None else str(one) for one in numbers]) + "}"


def _quoted(text: str | None) -> str:
    if text is None:
        return "NULL"
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
