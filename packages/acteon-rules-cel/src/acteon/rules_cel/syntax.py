"""Conditions as trees: what `reading` makes of cel-python's parse, and everything else works on.

Chains of operators and of `&&` and `||` are flat, so that only brackets, members and calls nest.
"""

import json
from typing import Any

from attrs import field, frozen

Place = tuple[int, int]
"""Line and column in the text, counted from 1."""


@frozen
class Constant:
    """A literal."""

    value: Any
    place: Place = field(default=(0, 0), eq=False)


@frozen
class Identifier:
    """A variable, or the name of a type."""

    name: str
    place: Place = field(default=(0, 0), eq=False)


@frozen
class Select:
    """`operand.member`."""

    operand: "Node"
    member: str
    place: Place = field(default=(0, 0), eq=False)


@frozen
class Has:
    """`has(operand.member)`."""

    operand: "Node"
    member: str
    place: Place = field(default=(0, 0), eq=False)


@frozen
class Item:
    """`operand[index]`."""

    operand: "Node"
    index: "Node"
    place: Place = field(default=(0, 0), eq=False)


@frozen
class Unary:
    """`!operand` or `-operand`."""

    operator: str
    operand: "Node"
    place: Place = field(default=(0, 0), eq=False)


@frozen
class Chain:
    """`first operator operand operator operand …`, from left to right."""

    first: "Node"
    steps: tuple[tuple[str, "Node"], ...]
    place: Place = field(default=(0, 0), eq=False)


@frozen
class Logic:
    """`&&` or `||` over two operands or more, whose order does not matter."""

    decisive: bool
    operands: tuple["Node", ...]
    place: Place = field(default=(0, 0), eq=False)


@frozen
class Choice:
    """`condition ? then : otherwise`."""

    condition: "Node"
    then: "Node"
    otherwise: "Node"
    place: Place = field(default=(0, 0), eq=False)


@frozen
class Call:
    """`function(arguments)`; of a method the target is the first argument."""

    function: str
    arguments: tuple["Node", ...]
    is_method: bool = False
    place: Place = field(default=(0, 0), eq=False)


@frozen
class StateCall:
    """`state.get(key)`, `state.counter(key)` or `state.since(key)`."""

    function: str
    key: "Node"
    place: Place = field(default=(0, 0), eq=False)


@frozen
class ListOf:
    """`[item, …]`."""

    items: tuple["Node", ...]
    place: Place = field(default=(0, 0), eq=False)


@frozen
class MapOf:
    """`{key: value, …}`."""

    entries: tuple[tuple["Node", "Node"], ...]
    place: Place = field(default=(0, 0), eq=False)


@frozen
class Macro:
    """`target.kind(variable, …)`: what goes over a list, or the keys of a map.

    Attributes:
        kind: `all`, `exists`, `exists_one`, `map` or `filter`.
        target: What it goes over.
        variable: What each item is called.
        condition: Which items count; None for a `map` of all.
        result: What `map` makes of an item; None for the others.
    """

    kind: str
    target: "Node"
    variable: str
    condition: "Node | None"
    result: "Node | None"
    place: Place = field(default=(0, 0), eq=False)


Node = (
    Constant
    | Identifier
    | Select
    | Has
    | Item
    | Unary
    | Chain
    | Logic
    | Choice
    | Call
    | StateCall
    | ListOf
    | MapOf
    | Macro
)


def name_of(node: Node) -> str | None:
    """Return a variable and members of it as one name with dots; None if `node` is more."""
    parts: list[str] = []
    while isinstance(node, Select):
        parts.append(node.member)
        node = node.operand
    return ".".join([node.name, *reversed(parts)]) if isinstance(node, Identifier) else None


def shown(node: Node) -> str:
    """Return a chain of members, or a literal, as text; what is more is `…` there."""
    match node:
        case Select(operand, member):
            return f"{shown(operand)}.{member}"
        case Has(operand, member):
            return f"has({shown(operand)}.{member})"
        case Item(operand, Constant(index)):
            return f"{shown(operand)}[{index!r}]"
        case Identifier(name):
            return name
        case StateCall(function, Constant(key)):
            return f'state.{function}("{key}")'
        case Constant(bool() | int() | float() | str() | None as value):
            return json.dumps(value, ensure_ascii=False)
        case _:
            return "…"


def children(node: Node) -> tuple[Node, ...]:
    """Return what `node` is made of, from left to right."""
    match node:
        case Constant() | Identifier():
            return ()
        case Select(operand=operand) | Has(operand=operand) | Unary(operand=operand):
            return (operand,)
        case Item(operand=operand, index=index):
            return (operand, index)
        case Chain(first=first, steps=steps):
            return (first, *(operand for _, operand in steps))
        case Logic(operands=operands):
            return operands
        case Choice(condition=condition, then=then, otherwise=otherwise):
            return (condition, then, otherwise)
        case Call(arguments=arguments):
            return arguments
        case StateCall(key=key):
            return (key,)
        case ListOf(items=items):
            return items
        case MapOf(entries=entries):
            return tuple([part for entry in entries for part in entry])
        case Macro(target=target, condition=condition, result=result):
            return tuple([part for part in (target, condition, result) if part is not None])
