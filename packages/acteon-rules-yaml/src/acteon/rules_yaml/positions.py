"""Where a place in the text of a scalar is in the file."""

import re
from typing import Final

from acteon.rules_yaml.nodes import Scalar

_LINE: Final = re.compile(r"\r\n|\r|\n")
_BLOCK: Final = re.compile(r"[|>][-+0-9]*\s*(?:#.*)?")
_ESCAPE: Final = re.compile(r"\\(?:x..|u.{4}|U.{8}|.)")


def lines_of(source: str) -> list[str]:
    """Return the lines of a file, as `place_within` wants them."""
    return _LINE.split(source)


def place_within(lines: list[str], node: Scalar, line: int, column: int) -> tuple[int, int]:
    """Return the line and the column in the file of a place in the text of `node`.

    It is exact in a literal block (`|`), and in a text on one line. In a folded block it is the
    start of its first line, elsewhere that of the scalar. All are counted from 1.
    """
    at = node.line - 1
    if node.line < 1 or line < 1 or at >= len(lines):
        return node.line, node.column
    written = lines[at][node.column - 1 :]
    if _BLOCK.fullmatch(written):
        return _in_block(lines, node, line, column, literal=written[0] == "|")
    if "\n" in node.text or line > 1 or column < 1:
        return node.line, node.column
    if written[:1] == '"':
        raw, width = written[1:], _double_quoted
    elif written[:1] == "'":
        raw, width = written[1:], _single_quoted
    elif written.startswith(node.text):
        raw, width = written, _plain
    else:
        return node.line, node.column  # It has a tag or an anchor, or goes on in the next line.
    offset = 0
    for _ in range(column - 1):
        offset += width(raw, offset)
    if offset > len(raw):
        return node.line, node.column
    return node.line, node.column + len(written) - len(raw) + offset


def _in_block(
    lines: list[str], node: Scalar, line: int, column: int, *, literal: bool
) -> tuple[int, int]:
    first = node.line  # As an index: the line below the sign.
    while first < len(lines) and not lines[first].strip():
        first += 1
    if first >= len(lines):
        return node.line, node.column
    indent = len(lines[first]) - len(lines[first].lstrip(" "))
    row = node.line + line - 1
    if literal and row < len(lines):
        return row + 1, min(indent + max(column, 1), len(lines[row]) + 1)
    return first + 1, indent + 1


def _plain(raw: str, offset: int) -> int:
    return 1


def _single_quoted(raw: str, offset: int) -> int:
    return 2 if raw.startswith("''", offset) else 1


def _double_quoted(raw: str, offset: int) -> int:
    escape = _ESCAPE.match(raw, offset)
    return len(escape[0]) if escape else 1
