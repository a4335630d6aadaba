"""The ways in which texts write characters: escapes of Python, JSON, URLs and HTML, and Base64."""

import base64
import binascii
import re
from collections.abc import Iterator
from html import unescape
from typing import Final

from attrs import frozen

Span = tuple[int, int]
"""From where to where something stands in a text."""

LEVELS: Final = 3
"""How often one writing is looked for within another."""

_ESCAPE: Final = re.compile(
    r"""
      (?P<percent>(?:%[0-9A-Fa-f]{2})+)
    | (?P<bytes>(?:\\x[0-9A-Fa-f]{2})+)
    | (?P<units>(?:\\u[0-9A-Fa-f]{4})+)
    | \\U(?P<point>[0-9A-Fa-f]{8})
    | \\(?P<single>["'\\/abfnrtv0])
    | (?P<entity>&(?:\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)
    """,
    re.VERBOSE,
)
_SINGLE: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "0": "\0",
}
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_URL_SAFE: Final = str.maketrans("-_", "+/")


@frozen
class View:
    """A text with its escapes undone.

    Attributes:
        text: It.
        places: Where each of its characters stands in the text that it was made of.
    """

    text: str
    places: tuple[Span, ...]

    def span(self, start: int, end: int) -> Span:
        """Return where the characters from `start` to `end` stand in the original."""
        return self.places[start][0], self.places[end - 1][1]


def views(text: str) -> Iterator[View]:
    """Yield `text` as it is, and with its escapes undone, and those within them, some times."""
    view = View(text, tuple((at, at + 1) for at in range(len(text))))
    for _ in range(LEVELS + 1):
        yield view
        plain = _undone(view)
        if plain is None:
            return
        view = plain


def coded(text: str) -> Iterator[tuple[Span, str]]:
    """Yield what in `text` may be Base64, and what that stands for."""
    for match in _BASE64.finditer(text):
        plain = match[0].rstrip("=").translate(_URL_SAFE)
        plain = plain[: len(plain) - 1] if len(plain) % 4 == 1 else plain
        try:
            found = base64.b64decode(plain + "=" * (-len(plain) % 4))
        except binascii.Error:
            continue
        yield match.span(), found.decode(errors="replace")


def _undone(view: View) -> View | None:
    """Return `view` with its escapes undone once; None if there are none."""
    characters: list[str] = []
    places: list[Span] = []
    end = 0
    for match in _ESCAPE.finditer(view.text):
        characters += view.text[end : match.start()]
        places += view.places[end : match.start()]
        at = match.start()
        for character, width in _characters(match):
            characters.append(character)
            places.append(view.span(at, at + width))
            at += width
        end = match.end()
    if not end:
        return None
    characters += view.text[end:]
    places += view.places[end:]
    return View("".join(characters), tuple(places))


def _characters(match: re.Match[str]) -> Iterator[tuple[str, int]]:
    """Yield the characters that an escape stands for, each with how much of it that takes."""
    whole = match[0]
    if match["percent"] is not None:
        yield from _of_bytes(bytes.fromhex(whole.replace("%", "")), 3)
    elif match["bytes"] is not None:
        yield from _of_bytes(bytes.fromhex(whole.replace("\\x", "")), 4)
    elif match["units"] is not None:
        units = bytes.fromhex(whole.replace("\\u", ""))
        for character in units.decode("utf-16-be", "surrogatepass"):
            yield character, 12 if ord(character) > 0xFFFF else 6
    elif match["point"] is not None:
        point = int(match["point"], 16)
        yield chr(point) if point < 0x110000 else "\ufffd", 10
    elif match["single"] is not None:
        yield _SINGLE.get(match["single"], match["single"]), 2
    else:
        plain = unescape(whole)
        if plain == whole:  # There is no entity of that name: it is what it is.
            yield from ((character, 1) for character in whole)
        else:
            yield plain[0], len(whole)


def _of_bytes(found: bytes, width: int) -> Iterator[tuple[str, int]]:
    """Yield the characters of `found`, each byte of which takes `width`."""
    try:
        text = found.decode()
    except UnicodeDecodeError:
        text = found.decode("latin-1")
        for character in text:
            yield character, width
        return
    for character in text:
        yield character, width * len(character.encode())
