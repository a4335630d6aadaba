"""Texts from outside in lines of our own."""

import re
from typing import Final

MAX_SHOWN: Final = 60
"""So much of a value is shown in a message."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What ends a line, colours it, or lets it be read in another order."""


def one_line(text: str) -> str:
    """Return `text` with its control characters escaped, so that it forges no lines or colours."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def shortened(text: str, most: int = MAX_SHOWN) -> str:
    """Return `text`, or its beginning if it is long."""
    return text if len(text) <= most else f"{text[:most]}…"
