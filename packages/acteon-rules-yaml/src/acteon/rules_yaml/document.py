"""From YAML text to nodes that know their place.

The document is built from the parser's events rather than with one of its loaders: those follow
YAML 1.1 in part, merge maps, recurse, and expand aliases without a limit.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from attrs import define, field
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MAX_CHARACTERS: Final = 1_048_576
MAX_NODES: Final = 200_000
"""Nodes of a document, those counted again that an alias repeats."""
MAX_DEPTH: Final = 128


class DocumentError(Exception):
    """A text is no YAML document that can be taken.

    Attributes:
        message: What is wrong with it.
        line: The line, counted from 1; 0 if unknown.
        column: The column, counted from 1; 0 if unknown.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


@define(eq=False)
class Scalar:
    """A scalar.

    Attributes:
        line: Its line, counted from 1.
        column: Its column, counted from 1.
        tag: Its tag, as `!x` or `tag:yaml.org,2002:int`; None without one.
        text: Its text, without quotes and escapes.
        plain: Whether it stood without quotes, so that its text decides about its type.
    """

    line: int
    column: int
    tag: str | None
    text: str
    plain: bool

    height: ClassVar[int] = 0
    count: ClassVar[int] = 1


@define(eq=False)
class Sequence:
    """A sequence.

    Attributes:
        line: Its line, counted from 1.
        column: Its column, counted from 1.
        tag: Its tag; None without one.
        items: Its items.
        height: How many levels of nodes are inside of it.
        count: How many nodes it is, itself included.
    """

    line: int
    column: int
    tag: str | None
    items: list["Node"] = field(factory=list["Node"])
    height: int = 1
    count: int = 1

    def add(self, node: "Node") -> None:
        self.items.append(node)


@define(eq=False)
class Mapping:
    """A mapping.

    Attributes:
        line: Its line, counted from 1.
        column: Its column, counted from 1.
        tag: Its tag; None without one.
        entries: Its keys and values, as they were given; keys may be given twice.
        height: How many levels of nodes are inside of it.
        count: How many nodes it is, itself included.
    """

    line: int
    column: int
    tag: str | None
    entries: list[tuple["Node", "Node"]] = field(factory=list[tuple["Node", "Node"]])
    height: int = 1
    count: int = 1
    _key: "Node | None" = field(default=None, init=False)

    def add(self, node: "Node") -> None:
        if self._key is None:
            self._key = node
        else:
            self.entries.append((self._key, node))
            self._key = None


Node = Scalar | Sequence | Mapping


def read_document(text: str) -> Node | None:
    """Return the root of the document in `text`; None if there is none.

    Raises:
        DocumentError: It is no YAML, holds several documents, or goes beyond a limit.
    """
    if len(text) > MAX_CHARACTERS:
        raise DocumentError(
            f"file too large: {len(text)} characters, at most {MAX_CHARACTERS}; "
            "make several files of it"
        )
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DocumentError("there is a NUL character; take it out", line)
    return _Builder().build(text)


@define(eq=False)
class _Builder:
    """Builds one document."""

    _open: list[tuple[Sequence | Mapping, str | None]] = field(
        factory=list[tuple[Sequence | Mapping, str | None]], init=False
    )
    _anchors: dict[str, Node | None] = field(factory=dict[str, Node | None], init=False)
    _root: Node | None = field(default=None, init=False)
    _documents: int = field(default=0, init=False)

    def build(self, text: str) -> Node | None:
        for event in _events(text):
            line, column = _place(event)
            match event:
                case ScalarEvent():
                    self._scalar(event, line, column)
                case SequenceStartEvent():
                    self._enter(event, Sequence(line, column, _tag(event)))
                case MappingStartEvent():
                    self._enter(event, Mapping(line, column, _tag(event)))
                case SequenceEndEvent() | MappingEndEvent():
                    self._leave()
                case AliasEvent():
                    self._alias(event, line, column)
                case DocumentStartEvent():
                    self._documents += 1
                    if self._documents > 1:
                        raise DocumentError(
                            "more than one document is not supported; "
                            "take out the line ---, or make two files",
                            line,
                            column,
                        )
                case _:
                    pass
        return self._root

    def _enter(self, event: Any, node: Sequence | Mapping) -> None:
        self._check_depth(len(self._open) + 1, node)
        anchor = None if event.anchor is None else str(event.anchor)
        if anchor is not None:
            self._anchors[anchor] = None  # known, but not to be used inside of itself
        self._open.append((node, anchor))

    def _leave(self) -> None:
        node, anchor = self._open.pop()
        if anchor is not None:
            self._anchors[anchor] = node
        self._add(node, node)

    def _scalar(self, event: Any, line: int, column: int) -> None:
        text = str(event.value)
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise DocumentError("surrogate characters are not allowed", line, column)
        scalar = Scalar(line, column, _tag(event), text, not event.style)
        if event.anchor is not None:
            self._anchors[str(event.anchor)] = scalar
        self._add(scalar, scalar)

    def _alias(self, event: Any, line: int, column: int) -> None:
        anchor = str(event.anchor)
        here = Scalar(line, column, None, "", True)
        node = self._anchors.get(anchor)
        if node is None:
            what = "refers to what it is part of" if anchor in self._anchors else "is not known"
            raise DocumentError(f"alias {anchor!r} {what}", line, column)
        self._check_depth(len(self._open) + node.height, here)
        self._add(node, here)

    def _add(self, node: Node, place: Node) -> None:
        """Put `node`, which is complete, where it belongs."""
        if not self._open:
            self._root = node
        else:
            owner, _ = self._open[-1]
            owner.add(node)
            owner.height = max(owner.height, node.height + 1)
            owner.count += node.count
            if owner.count > MAX_NODES:
                raise DocumentError(
                    f"repetition limit exceeded: more than {MAX_NODES} values",
                    place.line,
                    place.column,
                )

    @staticmethod
    def _check_depth(depth: int, place: Node) -> None:
        if depth > MAX_DEPTH:
            raise DocumentError(
                f"recursion limit exceeded: nested more than {MAX_DEPTH} levels deep",
                place.line,
                place.column,
            )


def _events(text: str) -> Iterator[Any]:
    """Yield the parser's events; what it raises becomes a `DocumentError`."""
    parser: Any = YAML(typ="safe", pure=True)
    try:
        yield from parser.parse(text)
    except MarkedYAMLError as error:
        raise _marked(error) from None
    except YAMLError as error:
        raise DocumentError(" ".join(str(error).split()) or "not understood") from None
    except Exception as error:  # noqa: BLE001 - the scanner stumbles over odd texts in odd ways
        raise DocumentError(f"not understood: {type(error).__name__}: {error}") from None


def _marked(error: Any) -> DocumentError:
    mark = error.problem_mark or error.context_mark
    message = ", ".join(str(part) for part in (error.context, error.problem) if part)
    hint = next((hint for part, hint in _HINTS.items() if part in message), "")
    if hint == _OPEN_QUOTE:
        mark = error.context_mark or mark  # Where it was opened, not the end of the file.
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    text = f"{message}; {hint}" if hint else message
    return DocumentError(text or "not understood", line, column)


_OPEN_QUOTE: Final = "a quote is opened here, and never closed"
_HINTS: Final = {
    "found character '\\t'": "indent with spaces, never with tabs",
    "scanning a quoted scalar": _OPEN_QUOTE,
    "mapping values are not allowed here": "put quotes around a text that holds a colon",
    "parsing a block": "what belongs together begins in the same column",
    "parsing a flow": "a bracket or brace is opened and not closed, or a comma is missing",
    "could not find expected ':'": "write a colon and a blank between a key and its value",
    "cannot start any token": "put quotes around a text that begins with this character",
}
"""What the author of such a text most likely wants to hear, by the words of the parser."""


def _place(event: Any) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def _tag(event: Any) -> str | None:
    tag = event.ctag
    return None if tag is None else str(tag)
