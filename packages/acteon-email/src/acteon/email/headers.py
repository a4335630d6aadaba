"""Header fields as they go over the wire: ASCII, folded, and read back as the same text.

What is beyond plain ASCII becomes encoded words (RFC 2047), in Base64 throughout: that carries
every text unchanged, blanks at its ends and what merely looks like an encoded word included.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from acteon.email.addresses import Mailbox, quoted

_LINE: Final = 76  # RFC 2047, 2: so long is a line with an encoded word at most
_PREFIX, _SUFFIX = "=?utf-8?b?", "?="
_LONGEST_WORD: Final = 900  # RFC 5322, 2.1.1: a line has 998 characters at most
_PLAIN: Final = re.compile("[!-~]+(?: [!-~]+)*")
_ATOMS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*"
)


def text_header(name: str, text: str) -> bytes:
    """Return the field `name` with the given text; it may be any Unicode without line breaks."""
    words = text.split(" ") if _is_plain(text) or not text else _encoded(text, len(name) + 2)
    return _folded(name, words)


def address_header(name: str, mailboxes: Sequence[Mailbox]) -> bytes:
    """Return the field `name` that lists `mailboxes`; UTF-8 if one of them needs that."""
    words: list[str] = []
    for mailbox in mailboxes:
        words += [*_phrase(mailbox.name, len(name) + 2), _in_brackets(mailbox)]
        words[-1] += ","
    words[-1] = words[-1].removesuffix(",")
    return _folded(name, words)


def _in_brackets(mailbox: Mailbox) -> str:
    return f"<{mailbox.address}>" if mailbox.name else mailbox.address


def _phrase(name: str, used: int) -> Iterable[str]:
    if not name:
        return []
    if _is_plain(name):
        if _ATOMS.fullmatch(name):
            return name.split(" ")
        if len(in_quotes := quoted(name)) <= _LINE - 2:
            return [in_quotes]
    return _encoded(name, used)


def _is_plain(text: str) -> bool:
    """Return whether `text` can stand as it is: single blanks, nothing that gets decoded."""
    return (
        _PLAIN.fullmatch(text) is not None
        and "=?" not in text
        and max(map(len, text.split(" "))) <= _LONGEST_WORD
    )


def _encoded(text: str, used: int) -> Iterator[str]:
    """Yield encoded words, each of whole characters; `used` columns of the first line are taken."""
    word = b""
    room = _room(used)
    for character in text:
        more = character.encode()
        if len(word) + len(more) > room:
            yield _encoded_word(word)
            word, room = b"", _room(1)
        word += more
    yield _encoded_word(word)


def _room(used: int) -> int:
    """Return how many bytes an encoded word may hold behind `used` columns; enough for one."""
    return max((_LINE - 1 - used - len(_PREFIX) - len(_SUFFIX)) // 4 * 3, 4)


def _encoded_word(content: bytes) -> str:
    return f"{_PREFIX}{base64.b64encode(content).decode()}{_SUFFIX}"


def _folded(name: str, words: Iterable[str]) -> bytes:
    lines = [f"{name}:"]
    for number, word in enumerate(words):
        if number and len(lines[-1]) + 1 + len(word) > _LINE:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join([*lines, ""]).encode()
