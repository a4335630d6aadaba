"""The parts of a YAML document, which know their place."""

from typing import ClassVar

from attrs import define, field


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

    key: ClassVar[None] = None

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
        key: While it is built, the key whose value comes next.
    """

    line: int
    column: int
    tag: str | None
    entries: list[tuple["Node", "Node"]] = field(factory=list[tuple["Node", "Node"]])
    height: int = 1
    count: int = 1
    key: "Node | None" = field(default=None, init=False)

    def add(self, node: "Node") -> None:
        if self.key is None:
            self.key = node
        else:
            self.entries.append((self.key, node))
            self.key = None


Node = Scalar | Sequence | Mapping
