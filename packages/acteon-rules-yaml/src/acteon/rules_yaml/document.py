"""From YAML text to nodes that know their place.

The document is built from the parser's events rather than with one of its loaders: those follow
YAML 1.1 in part, merge maps, recurse, and expand aliases without a limit.
"""

from collections.abc import Iterable
from typing import Any, Final

from attrs import define, field

from acteon.rules_yaml.events import DocumentError, NotForLibyamlError, events, libyaml_events
from acteon.rules_yaml.nodes import Mapping, Node, Scalar, Sequence

MAX_CHARACTERS: Final = 1_048_576
MAX_NODES: Final = 200_000
"""Nodes of a document, those counted again that an alias repeats."""
MAX_DEPTH: Final = 128


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
    try:
        root = build_document(libyaml_events(text))
    except NotForLibyamlError:
        root = None
    return root if isinstance(root, Mapping) else build_document(events(text))


def build_document(events: Iterable[Any]) -> Node | None:
    """Return the root of the document that the `events` of either parser tell.

    Raises:
        DocumentError: There are several documents, or one goes beyond a limit.
    """
    return _Builder().build(events)


@define(eq=False)
class _Builder:
    """Builds one document."""

    _open: list[tuple[Sequence | Mapping, str | None]] = field(
        factory=list[tuple[Sequence | Mapping, str | None]], init=False
    )
    _anchors: dict[str, Node | None] = field(factory=dict[str, Node | None], init=False)
    _root: Node | None = field(default=None, init=False)
    _documents: int = field(default=0, init=False)

    def build(self, events: Iterable[Any]) -> Node | None:
        for event in events:
            # The two parsers have classes of their own, under the same names.
            match type(event).__name__:
                case "ScalarEvent":
                    self._scalar(event)
                case "SequenceStartEvent":
                    self._enter(event, Sequence(*_place(event), event.tag))
                case "MappingStartEvent":
                    self._enter(event, Mapping(*_place(event), event.tag))
                case "SequenceEndEvent" | "MappingEndEvent":
                    self._leave()
                case "AliasEvent":
                    self._alias(event)
                case "DocumentStartEvent":
                    self._documents += 1
                    if self._documents > 1:
                        raise DocumentError(
                            "more than one document is not supported; "
                            "take out the line ---, or make two files",
                            *_place(event),
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

    def _scalar(self, event: Any) -> None:
        line, column = _place(event)
        text = str(event.value)
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise DocumentError("surrogate characters are not allowed", line, column)
        plain = not event.style
        if plain and not text and self._open and (key := self._open[-1][0].key) is not None:
            # The parsers do not agree where a value is that is missing.
            line, column = key.line, key.column
        scalar = Scalar(line, column, event.tag, text, plain)
        if event.anchor is not None:
            self._anchors[str(event.anchor)] = scalar
        self._add(scalar, scalar)

    def _alias(self, event: Any) -> None:
        line, column = _place(event)
        anchor = str(event.anchor)
        here = Scalar(line, column, None, "", True)
        node = self._anchors.get(anchor)
        if node is None:
            known = anchor in self._anchors
            what = "refers to what it is part of" if known else "is not known"
            hint = "" if known else "; put quotes around a text that begins with *"
            raise DocumentError(f"alias {anchor!r} {what}{hint}", line, column)
        self._check_depth(len(self._open) + node.height, here)
        self._add(node, here)

    def _add(self, node: Node, place: Node) -> None:
        """Put `node`, which is complete, where it belongs."""
        if not self._open:
            self._root = node
            return
        owner = self._open[-1][0]
        owner.add(node)
        if owner.height <= node.height:
            owner.height = node.height + 1
        owner.count += node.count
        if owner.count > MAX_NODES:
            raise DocumentError(
                f"repetition limit exceeded: more than {MAX_NODES} values; "
                "make several files of it, or repeat less with aliases",
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


def _place(event: Any) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)
