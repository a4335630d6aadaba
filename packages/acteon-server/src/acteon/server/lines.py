"""Texts from outside in lines of our own."""

import re
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def one_line(text: str) -> str:
    """Return `text` with its control characters escaped, so that it forges no lines or colours."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
