"""What can be told about a condition before it is evaluated: mistakes, and what it looks at."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from attrs import frozen

from acteon.rules import ConditionError, InvalidRegexError, StateRead, compile_regex
from acteon.rules.context import ACTION_MEMBERS, TIME_MEMBERS
from acteon.rules.expression import Binary, BinaryOperator, Expression, Field, Literal, Name
from acteon.rules.expression import ListOf as ListExpression
from acteon.rules_cel.costs import Cost, cost_of
from acteon.rules_cel.functions import GLOBALS, METHODS
from acteon.rules_cel.kinds import SAID, kind_of
from acteon.rules_cel.mismatches import check_operands
from acteon.rules_cel.syntax import (
    Call,
    Chain,
    Constant,
    Has,
    Identifier,
    Item,
    ListOf,
    Logic,
    Macro,
    Node,
    Place,
    Select,
    StateCall,
    children,
    name_of,
)
from acteon.rules_cel.values import TYPE_NAMES

RULE_NAMES: Final = frozenset({"action", "env", "now", "time"})
"""The variables of conditions; `state` stands before calls only."""
_INDEXED: Final = frozenset({"action_type", "provider", "namespace", "tenant"})
_KINDS: Final[Mapping[str, str]] = {"get": "state", "since": "state", "counter": "counter"}
_MACROS: Final = ("all", "exists", "exists_one", "map", "filter")


@frozen
class Facts:
    """What a condition is like.

    Attributes:
        reads: The state entries with literal keys.
        requires: Comparisons that hold whenever it is true.
        looks_at: The fields that it looks at, each once, in order.
        variables: The variables of `env` that it needs.
        cost: What it may do at most.
    """

    reads: tuple[StateRead, ...]
    requires: tuple[Expression, ...]
    looks_at: tuple[Node, ...]
    variables: tuple[str, ...]
    cost: Cost


def check(node: Node, names: Collection[str] = RULE_NAMES) -> None:
    """Check that all names and functions exist.

    Args:
        node: The condition.
        names: The variables that there are.

    Raises:
        ConditionError: One does not; the first.
    """
    types: set[int] = set()
    for each, local in _walk(node, frozenset()):
        if isinstance(each, Select | Identifier) and (
            id(each) in types
            or dotted(each)
            or (isinstance(each, Select) and name_of(each) in names)
        ):
            types |= {id(part) for part in children(each)}
            if isinstance(each, Select) or each.name not in names:
                continue
        match each:
            case Identifier(name, place) if name not in names and name not in local:
                raise ConditionError(_unknown_name(name, {*names, *local}), *place)
            case Select(Identifier("action"), member, place) | Has(
                Identifier("action"), member, place
            ) if "action" not in local and names is RULE_NAMES:
                _check_member("action", member, ACTION_MEMBERS, place)
            case Select(Identifier("time"), member, place) if (
                "time" not in local and names is RULE_NAMES
            ):
                _check_member("time", member, TIME_MEMBERS, place)
            case Select(Identifier("now"), member, place) if (
                "now" not in local and names is RULE_NAMES
            ):
                hint = "write time.hour or now.getHours()"
                raise ConditionError(f"now has no members, such as `{member[:60]}`; {hint}", *place)
            case Call(function, arguments, is_method, place):
                _check_call(function, len(arguments), is_method, place)
            case _:
                pass


def check_result(node: Node) -> None:
    """Check that `node` may be true or false, as far as that can be told.

    So are its operators, functions and patterns: what they never take is refused.

    Raises:
        ConditionError: It is something else, or a part of it always fails.
    """
    for each, local in _walk(node, frozenset()):
        check_operands(each, local)
        match each:
            case Call("matches", (_, Constant(str() as pattern, place))):
                _check_pattern(pattern, place)
            case _:
                pass
    kind = kind_of(node, ())
    if kind not in {"", "bool"}:
        raise ConditionError(f"gives {SAID[kind]}; a condition must be true or false", *node.place)


def _check_pattern(pattern: str, place: Place) -> None:
    try:
        compile_regex(pattern)
    except InvalidRegexError as error:
        raise ConditionError(str(error), *place) from None


def _walk(node: Node, local: frozenset[str]) -> Iterator[tuple[Node, frozenset[str]]]:
    """Yield all nodes from left to right, each with the variables of macros that it sees."""
    pending: list[tuple[Node, frozenset[str]]] = [(node, local)]
    while pending:
        current, seen = pending.pop()
        yield current, seen
        if isinstance(current, Macro):
            inner = seen | {current.variable}
            parts = [part for part in (current.condition, current.result) if part is not None]
            pending += [(part, inner) for part in reversed(parts)]
            pending.append((current.target, seen))
        else:
            pending += [(part, seen) for part in reversed(children(current))]


def dotted(node: Node) -> str | None:
    """Return the name of a type that `node` is, as `google.protobuf.Timestamp` is one."""
    name = name_of(node)
    return name if name in TYPE_NAMES else None


_ALIASES: Final = {
    "true": "true",
    "false": "false",
    **dict.fromkeys(("none", "null", "nil", "undefined"), "null"),
}
_MEANT: Final = {
    **dict.fromkeys(("len", "length", "count"), "size"),
    **dict.fromkeys(("any", "some"), "exists"),
    **dict.fromkeys(("every",), "all"),
    **dict.fromkeys(("lower", "toLower", "toLowerCase", "lowercase", "downcase"), "lowerAscii"),
    **dict.fromkeys(("upper", "toUpper", "toUpperCase", "uppercase", "upcase"), "upperAscii"),
    **dict.fromkeys(("strip", "trimSpace"), "trim"),
    **dict.fromkeys(("includes", "include", "has_key"), "contains"),
    **dict.fromkeys(("match", "search", "test", "regex"), "matches"),
    **dict.fromkeys(("str", "toString"), "string"),
    **dict.fromkeys(("float", "number"), "double"),
}
"""What functions of other languages are called."""
_WRITTEN: Final[Mapping[str, str]] = {
    "not": "!(…) for not",
    "now": "now, without brackets",
    "any": "action.payload.items.exists(i, i.price > 3)",
    "keys": 'the map itself, as in "name" in action.payload',
    "values": "action.payload.exists(name, action.payload[name] == 1)",
    **dict.fromkeys(("defined", "isset", "is_set"), "has(action.payload.to)"),
    **dict.fromkeys(("is_null", "isNull", "is_none"), "x == null"),
    "between": "x >= 1 && x <= 5",
    **dict.fromkeys(("counter", "get_counter"), 'state.counter("key")'),
    **dict.fromkeys(("since", "time_since"), 'state.since("key")'),
    "seen": 'state.get("key") != null',
    "get": 'x["name"], and has(x.name) && … for what may be missing',
}
"""What to write instead of functions that there are elsewhere."""
_STATE: Final = 'state is asked with state.get("key"), state.counter("key") or state.since("key")'


def _unknown_name(name: str, names: Collection[str]) -> str:
    if name.lower() in _ALIASES:
        return f"unknown name `{name}`; write {_ALIASES[name.lower()]}"
    known = {member: f"action.{member}" for member in ACTION_MEMBERS}
    known |= {each: each for each in names}
    close = difflib.get_close_matches(name, known, n=1)
    if name == "state":
        return _STATE
    there = ", ".join(sorted({*names, "state"}))
    hint = f"did you mean `{known[close[0]]}`?" if close else f"there are {there}"
    return f"unknown name `{name[:60]}`; {hint}"


def _check_member(owner: str, member: str, known: Collection[str], place: Place) -> None:
    if member not in known:
        close = difflib.get_close_matches(member, known, n=1)
        hint = f"did you mean `{owner}.{close[0]}`?" if close else f"there are {', '.join(known)}"
        if owner == "action" and not close:
            hint += f"; a field of the payload is `action.payload.{member[:60]}`"
        raise ConditionError(f"{owner} has no member `{member[:60]}`; {hint}", *place)


def _check_call(function: str, count: int, is_method: bool, place: Place) -> None:
    here, there = (METHODS, GLOBALS) if is_method else (GLOBALS, METHODS)
    found = here.get(function)
    if found is None:
        if function in there or (not is_method and function in _MACROS):
            shown = f"{function}(x)" if is_method else f"x.{function}(…)"
            hint = f"; write {shown}"
        else:
            close = difflib.get_close_matches(function, [*here, *_MACROS, *there], n=1)
            close = [_MEANT[function]] if function in _MEANT else close
            hint = f"; did you mean `{close[0]}`?" if close else ""
            if function in _WRITTEN and not (is_method and function in _MEANT):
                hint = f"; write {_WRITTEN[function]}"
            elif not is_method and function.lower().startswith("state"):
                hint = f"; {_STATE}"
            elif function in RULE_NAMES and not is_method:
                hint = f"; write {function}.NAME, or {function}[…]"
        raise ConditionError(f"unknown function `{function[:60]}`{hint}", *place)
    counts = found[1]
    if count not in counts:
        own = count - is_method
        wanted = " or ".join(str(each - is_method) for each in counts)
        plural = "" if wanted == "1" else "s"
        raise ConditionError(f"{function}() takes {wanted} argument{plural}, not {own}", *place)


def oddities(node: Node) -> tuple[str, ...]:
    """Return what is odd about a condition, though it can be evaluated."""
    texts = [each.value for each, _ in _walk(node, frozenset()) if isinstance(each, Constant)]
    if any(isinstance(text, str) and "{{" in text for text in texts):
        return ('`{{` is nothing special in CEL; put texts together with +: "n:" + action.tenant',)
    return ()


def facts_of(node: Node) -> Facts:
    """Return what `node`, which was checked, is like."""
    reads: dict[StateRead, None] = {}
    fields: dict[Node, None] = {}
    variables: dict[str, None] = {}
    asked: set[str] = set()
    inside: set[int] = set()
    for each, local in _walk(node, frozenset()):
        match each:
            case StateCall(function, Constant(str() as key)):
                reads[StateRead(_KINDS[function], key)] = None
                fields[each] = None
            case Select(Identifier("env"), name) if "env" not in local:
                variables[name] = None
            case Has(Identifier("env"), name):
                asked.add(name)
            case _:
                pass
        root = _root(each)
        if root is not None and root not in local and id(each) not in inside:
            fields[each] = None
            part = each
            while isinstance(part, Select | Item | Has):
                part = part.operand
                inside.add(id(part))
    return Facts(
        reads=tuple(reads),
        requires=tuple(_requires(node)),
        looks_at=tuple(fields),
        variables=tuple(name for name in variables if name not in asked),
        cost=cost_of(node),
    )


def _root(node: Node) -> str | None:
    """Return the variable that `node`, a chain of members, begins with; None if it is no chain."""
    if not isinstance(node, Select | Item | Has | Identifier):
        return None
    while not isinstance(node, Identifier):
        if isinstance(node, Item):
            if not isinstance(node.index, Constant):
                return None
            node = node.operand
        elif isinstance(node, Select | Has):
            node = node.operand
        else:
            return None
    return node.name if node.name in RULE_NAMES else None


def _requires(node: Node) -> Iterator[Expression]:
    """Yield the comparisons of members of the action with texts that must hold.

    Any operand of `&&` will do: if it is false, the errors of the others do not count.
    """
    operands = node.operands if isinstance(node, Logic) and not node.decisive else (node,)
    for operand in operands:
        match operand:
            case Chain(Select(Identifier("action"), member), (("==", Constant(str() as text)),)) | (
                Chain(Constant(str() as text), (("==", Select(Identifier("action"), member)),))
            ) if member in _INDEXED:
                yield Binary(BinaryOperator.EQUAL, _member(member), Literal(text))
            case Chain(Select(Identifier("action"), member), (("in", ListOf(items)),)) if (
                member in _INDEXED and all(isinstance(each, Constant) for each in items)
            ):
                texts = [each.value for each in items if isinstance(each, Constant)]
                if all(isinstance(text, str) for text in texts):
                    choices = ListExpression(tuple([Literal(text) for text in texts]))
                    yield Binary(BinaryOperator.IN, _member(member), choices)
            case _:
                pass


def _member(name: str) -> Expression:
    return Field(Name("action"), name)
