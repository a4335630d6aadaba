"""The values of literals."""

import math
import re
from typing import Final

from acteon.rules_cel.values import INT64, UINT64, Uint

_LONGEST: Final = 100
"""Digits that are taken for a number at all."""


class LiteralError(Exception):
    """A literal has no value; the text says why."""


def literal_value(kind: str, text: str) -> object:
    """Return the value of a literal.

    Args:
        kind: What the grammar calls it: `INT_LIT`, `STRING_LIT` …
        text: It, as it is written.

    Raises:
        LiteralError: It has none.
    """
    match kind:
        case "NULL_LIT":
            return None
        case "BOOL_LIT":
            return text == "true"
        case "INT_LIT":
            number = _integer(text)
            if number not in INT64:
                raise LiteralError(f"{text[:_LONGEST]} is no 64-bit integer; write {text[:20]}.0")
            return number
        case "UINT_LIT":
            number = _integer(text[:-1])
            if number not in UINT64:
                raise LiteralError(f"{text[:_LONGEST]} is no unsigned 64-bit integer")
            return Uint(number)
        case "FLOAT_LIT":
            value = float(text)
            if math.isinf(value):
                raise LiteralError(f"{text[:_LONGEST]} is too large for a double")
            return value
        case "BYTES_LIT":
            return _unquoted(text[1:], of_bytes=True).encode("latin-1")
        case _:
            return _unquoted(text, of_bytes=False)


def _integer(text: str) -> int:
    if len(text) > _LONGEST:
        raise LiteralError(f"{text[:_LONGEST]}… is no 64-bit integer")
    return int(text, 16) if "x" in text.lower() else int(text)


_QUOTES: Final = ('"""', "'''", '"', "'")
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})"
    r"|([0-3][0-7]{2})|(.?))",
    re.DOTALL,
)
_SINGLE: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}


def _unquoted(text: str, *, of_bytes: bool) -> str:
    """Return what is between the quotes; of bytes, each of them as the character of its number."""
    raw = text[0] in "rR"
    body = text[1:] if raw else text
    quote = next(each for each in _QUOTES if body.startswith(each))
    body = body[len(quote) : len(body) - len(quote)].replace("\r\n", "\n").replace("\r", "\n")

    def plain(piece: str) -> str:
        return piece.encode().decode("latin-1") if of_bytes else piece

    if raw:
        return plain(body)
    pieces: list[str] = []
    end = 0
    for escape in _ESCAPE.finditer(body):
        pieces += (plain(body[end : escape.start()]), _unescaped(escape, of_bytes=of_bytes))
        end = escape.end()
    pieces.append(plain(body[end:]))
    return "".join(pieces)


def _unescaped(escape: re.Match[str], *, of_bytes: bool) -> str:
    single, byte, short, long, octal, other = escape.groups()
    if single:
        return _SINGLE.get(single, single)
    if byte:
        return chr(int(byte, 16))
    if octal:
        return chr(int(octal, 8))
    if other is not None or of_bytes:
        raise LiteralError(f"unknown escape {escape[0]}; write r'…' for a text with backslashes")
    code = int(short or long, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise LiteralError(f"{escape[0]} is no character")
    return chr(code)
