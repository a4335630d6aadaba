"""How much a condition may do in an engine that does not count its steps."""

from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

from acteon.rules_cel.syntax import (
    Call,
    Chain,
    Constant,
    Identifier,
    Item,
    ListOf,
    Macro,
    MapOf,
    Node,
    Select,
    children,
)

_MAX_STEPS: Final = 12_000
"""Nodes that are evaluated, and values or 64 characters that are looked at."""
_MAX_LISTED: Final = 150
"""Items of a list that `map` or `filter` may go over: they may take time quadratic in it."""
_MAX_JOINED: Final = 20
"""Terms of sums that may be texts: joining takes time quadratic in them."""
_LIGHT: Final = frozenset({"startsWith", "endsWith", "dyn", "type"})
"""Functions that take the same time whatever they are given."""


@frozen(kw_only=True)
class Held:
    """How much an action holds.

    Attributes:
        values: Its values, and one more for each 64 characters.
        longest: The items of its longest list or map.
    """

    values: int
    longest: int


@frozen(kw_only=True)
class Cost:
    """What a condition may do at most.

    Attributes:
        bounded: Whether that can be told beforehand: not if loops go over what was made in the
            condition, or time zones are named by the action.
        size: How many nodes it has.
        heavy: How many of them may look at all of a value, as `==` does.
        loops: How deep its macros nest.
        literal: The items of its longest list.
        makes_lists: Whether `map` or `filter` is among them.
    """

    bounded: bool
    size: int
    heavy: int
    loops: int
    literal: int
    makes_lists: bool

    def fits(self, held: Held) -> bool:
        """Return whether it ends soon enough for an action that holds so much."""
        if not self.bounded:
            return False
        longest = max(held.longest, self.literal)
        if self.makes_lists and longest > _MAX_LISTED:
            return False
        turns: int = max(1, longest) ** self.loops
        return turns * (self.size + self.heavy * held.values) <= _MAX_STEPS


def cost_of(node: Node) -> Cost:
    """Return what the condition `node` may do."""
    nodes = list(_all(node))
    macros = [each for each in nodes if isinstance(each, Macro)]
    joined = sum(len(each.steps) for each in nodes if isinstance(each, Chain) and _may_join(each))
    grows = joined > 0 or any(isinstance(each, Call) and each.function == "split" for each in nodes)
    lengths = [len(each.items) for each in nodes if isinstance(each, ListOf)]
    lengths += [len(each.entries) for each in nodes if isinstance(each, MapOf)]
    return Cost(
        bounded=(
            joined <= _MAX_JOINED
            and not (macros and grows)
            and all(_is_given(macro.target) for macro in macros)
            and not any(_asks_for_a_zone(each) for each in nodes)
        ),
        size=len(nodes),
        heavy=sum(_is_heavy(each) for each in nodes),
        loops=_loops(node),
        literal=max(lengths, default=0),
        makes_lists=any(macro.kind in {"map", "filter"} for macro in macros),
    )


def _all(node: Node) -> Iterator[Node]:
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending += children(current)


def _loops(node: Node) -> int:
    inner = max((_loops(part) for part in children(node)), default=0)
    return inner + isinstance(node, Macro)


def _is_given(target: Node) -> bool:
    """Return whether a list is part of the action, or written out, or some of the items of one."""
    while True:
        match target:
            case Identifier() | ListOf() | MapOf():
                return True
            case Select(operand) | Item(operand) | Macro("filter", operand):
                target = operand
            case _:
                return False


def _asks_for_a_zone(node: Node) -> bool:
    """Return whether a time zone is looked for that is not written out: that reads a file."""
    match node:
        case Call(function, (_, zone)) if function.startswith("get"):
            return not isinstance(zone, Constant)
        case _:
            return False


def _may_join(chain: Chain) -> bool:
    """Return whether a sum may be one of texts or lists."""
    operands = (chain.first, *(operand for _, operand in chain.steps))
    has_number = any(_is_number(operand) for operand in operands)
    return not has_number and any(operator == "+" for operator, _ in chain.steps)


def _is_heavy(node: Node) -> bool:
    match node:
        case Chain(_, ((("in"), ListOf(items)),)):
            return not all(isinstance(each, Constant) for each in items)
        case Chain(first, steps):
            return _may_join(node) or not (
                any(isinstance(each, Constant) for each in (first, *(each for _, each in steps)))
                or all(operator in "-*/%" for operator, _ in steps)
            )
        case Call(function):
            return function not in _LIGHT and not function.startswith("get")
        case _:
            return False


def _is_number(node: Node) -> bool:
    if not isinstance(node, Constant):
        return False
    value: Any = node.value
    return not isinstance(value, str | bytes | bool | None)
