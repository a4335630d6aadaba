"""Operands and arguments that are never taken: known when a condition is read."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC
from typing import Any, Final

from acteon.rules import ConditionError, EvaluationError
from acteon.rules.context import NO_CONTEXT
from acteon.rules_cel.conversions import (
    to_bool,
    to_double,
    to_duration,
    to_int,
    to_timestamp,
    to_uint,
)
from acteon.rules_cel.kinds import NUMBERS, SAID, Kind, combined, kind_of
from acteon.rules_cel.syntax import (
    Call,
    Chain,
    Choice,
    Constant,
    Has,
    Item,
    Logic,
    Macro,
    Node,
    Select,
    Unary,
    shown,
)
from acteon.rules_cel.times import zone_of
from acteon.rules_cel.values import Frame

_LONGEST: Final = 60
"""Characters of a field or a literal that are shown."""


def check_operands(node: Node, local: Collection[str]) -> None:
    """Check that `node` may have a value, as far as the kinds of what it is made of tell.

    Args:
        node: The expression; what is inside of it is not checked.
        local: The variables of the macros that it stands in.

    Raises:
        ConditionError: It never has one, or compares what is never equal.
    """
    match node:
        case Chain():
            _check_chain(node, local)
        case Select(operand, member) | Has(operand, member):
            kind = kind_of(operand, local)
            if kind not in {"", "map"}:
                message = (
                    f"{_short(operand)} is {SAID[kind]}, without members such as `{member[:60]}`"
                )
                raise ConditionError(message, *node.place)
        case Item(operand):
            kind = kind_of(operand, local)
            if kind not in {"", "map", "list"}:
                message = f"{_short(operand)} is {SAID[kind]}, without items"
                raise ConditionError(message, *node.place)
        case Unary("!", operand):
            _check_bool("!", operand, local)
        case Logic(decisive, operands):
            for operand in operands:
                _check_bool("||" if decisive else "&&", operand, local)
        case Choice(condition):
            _check_bool("?:", condition, local)
        case Macro(name, target):
            kind = kind_of(target, local)
            if kind not in {"", "map", "list"}:
                message = f"{name}() goes over lists and maps; {_short(target)} is {SAID[kind]}"
                raise ConditionError(message, *node.place)
        case Call():
            _check_call(node, local)
        case _:
            pass


def _check_bool(operator: str, operand: Node, local: Collection[str]) -> None:
    kind = kind_of(operand, local)
    if kind not in {"", "bool"}:
        message = f"{operator} takes true or false; {_short(operand)} is {SAID[kind]}"
        raise ConditionError(message, *operand.place)


_ORDERINGS: Final = frozenset({"<", "<=", ">", ">="})
_COMPARISONS: Final = _ORDERINGS | {"==", "!="}


def _check_chain(chain: Chain, local: Collection[str]) -> None:
    kind = kind_of(chain.first, local)
    left = chain.first
    compared = False
    for operator, right in chain.steps:
        other = kind_of(right, local)
        given = combined(operator, kind, other)
        if given is None:
            if compared and operator in _ORDERINGS:
                message = "comparisons do not chain; write 1 < x && x < 5 for 1 < x < 5"
            else:
                message = _told(operator, left, kind, right, other)
            raise ConditionError(message, *chain.place)
        compared = compared or operator in _ORDERINGS
        left, kind = Chain(left, ((operator, right),)), given


def _told(operator: str, left: Node, kind: Kind, right: Node, other: Kind) -> str:
    """Return why `operator` does not take two operands."""
    one, two = SAID.get(kind, "a value"), SAID.get(other, "a value")
    if operator == "in":
        hint = f"{_short(right)}.contains({_short(left)})" if other == "text" else "x in [1, 2]"
        return f"in looks into lists and maps, not into {two}; write {hint}"
    if operator in _ORDERINGS and "null" in {kind, other}:
        return f"{operator} does not take null; write != null for what is there"
    if operator not in _COMPARISONS and {kind, other} == {"int", "double"}:
        whole = right if other == "int" else left
        return f"{operator} takes two ints or two doubles; write {_as_double(whole)}"
    hint = _written(operator, left, kind, right, other)
    hint = hint or _written(operator, right, other, left, kind)
    hint = f"; write {hint}" if hint else ""
    if operator in _COMPARISONS:
        if one == two:
            return f"{operator} takes numbers, texts, instants or durations, not {two}"
        return f"compares {one} with {two}{hint}"
    if operator == "-":
        return f"subtracts {two} from {one}{hint}"
    if operator == "+":
        return f"adds {two} to {one}{hint}"
    return f"{operator} takes two numbers, not {one} and {two}{hint}"


def _as_double(node: Node) -> str:
    return f"{node.value}.0" if isinstance(node, Constant) else f"double({_short(node)})"


def _written(operator: str, wanted: Node, kind: Kind, given: Node, other: Kind) -> str:
    """Return how to write `given`, of another kind, beside `wanted`; empty if that is unknown."""
    match kind, other, given:
        case "instant", "text", Constant(str() as text):
            return f'timestamp("{_instant_meant(text)}")'
        case "instant", "text" | "int", _ if other == "text" or operator in _COMPARISONS:
            return f"timestamp({_short(given)})"
        case "duration", "text", Constant(str() as text):
            return f'duration("{_duration_meant(text)}")'
        case "instant" | "duration", "int" | "double", Constant(value):
            return f'duration("{value}s")'
        case "instant" | "duration", "int", _:
            return f'duration(string({_short(given)}) + "s")'
        case _, "text", Constant(str() as text) if kind in NUMBERS and _converts(to_double, text):
            return text
        case "text", _, _ if other in NUMBERS:
            return _beside_text(operator, wanted, given, other)
        case _:
            return ""


def _beside_text(operator: str, text: Node, number: Node, kind: Kind) -> str:
    if isinstance(text, Constant) and operator != "+":
        return "int(…) or string(…) around one of them"
    if shown(text) == "time.weekday":
        return "time.weekday_num"
    if operator in {"==", "!=", "+"}:
        is_literal = isinstance(number, Constant)
        return f'"{_short(number)}"' if is_literal else f"string({_short(number)})"
    return f"{'double' if kind == 'double' else 'int'}({_short(text)})"


_TEXTS: Final = frozenset(
    {
        *("contains", "startsWith", "endsWith", "matches", "replace", "split"),
        *("lowerAscii", "upperAscii", "trim"),
    }
)
_SIZED: Final = frozenset({"", "text", "bytes", "list", "map"})


def _check_call(call: Call, local: Collection[str]) -> None:
    function = call.function
    kinds: list[Kind] = [kind_of(argument, local) for argument in call.arguments]
    message = ""
    if function in _TEXTS:
        message = _no_texts(call, kinds)
    elif function == "size" and kinds[0] not in _SIZED:
        message = f"size() takes a text, a list or a map; {_is(call, kinds)}"
    elif function == "join" and kinds[0] not in {"", "list"}:
        message = f"join() takes a list; {_is(call, kinds)}"
    elif function.startswith("get") and kinds[0] not in {"", "instant", "duration"}:
        target = call.arguments[0]
        message = f"{function}() takes an instant; {_is(call, kinds)}"
        if kinds[0] in {"text", "int"}:
            message += f"; write timestamp({_short(target)}).{function}(…)"
    elif function == "duration" and kinds[0] in NUMBERS:
        hint = _written("", call, "duration", call.arguments[0], kinds[0])
        message = f"duration() takes a text; {f'write {hint}' if hint else _is(call, kinds)}"
    if message:
        raise ConditionError(message, *call.place)
    _check_literal(call)


def _no_texts(call: Call, kinds: list[Kind]) -> str:
    """Return why a function of texts does not take its arguments; empty if it may."""
    for argument, kind in zip(call.arguments, kinds, strict=True):
        if kind not in {"", "text"}:
            hint = f"write string({_short(argument)})" if kind in NUMBERS else ""
            if call.function == "contains" and kind == "list":
                hint = f"write {_short(call.arguments[1])} in {_short(argument)}"
            told = f"{call.function}() takes texts; {_short(argument)} is {SAID[kind]}"
            return f"{told}; {hint}" if hint else told
    return ""


def _is(call: Call, kinds: list[Kind]) -> str:
    return f"{_short(call.arguments[0])} is {SAID[kinds[0]]}"


_CONVERSIONS: Final[Mapping[str, tuple[Callable[[Frame, Any], Any], str]]] = {
    "int": (to_int, 'write a whole number, as in int("42")'),
    "uint": (to_uint, 'write a whole number, as in uint("42")'),
    "double": (to_double, 'write a number, as in double("1.5")'),
    "bool": (to_bool, 'write bool("true") or bool("false")'),
}


def _check_literal(call: Call) -> None:
    """Check that a literal can be converted, and that there is a time zone."""
    match call:
        case Call("timestamp", (Constant(str() as text),)) if not _converts(to_timestamp, text):
            hint = f'write timestamp("{_instant_meant(text)}")'
        case Call("duration", (Constant(str() as text),)) if not _converts(to_duration, text):
            hint = f'write duration("{_duration_meant(text)}"), in h, m, s, ms, us or ns'
        case Call(function, (Constant(str() as text),)) if (
            function in _CONVERSIONS and not _converts(_CONVERSIONS[function][0], text)
        ):
            hint = _CONVERSIONS[function][1]
        case Call(function, (_, Constant(str() as zone))) if function.startswith("get"):
            try:
                zone_of(zone)
            except EvaluationError:
                message = f"unknown time zone {_quoted(zone)}; write one such as Europe/Berlin"
                raise ConditionError(message, *call.arguments[1].place) from None
            return
        case _:
            return
    message = f"{call.function}() takes no {_quoted(text)}; {hint}"
    raise ConditionError(message, *call.arguments[0].place)


_FRAME: Final = Frame(NO_CONTEXT, {}, UTC)
"""Conversions of texts as short as literals take no steps."""


def _converts(convert: Callable[[Frame, Any], Any], text: str) -> bool:
    try:
        convert(_FRAME, text)
    except EvaluationError:
        return False
    return True


_DATE: Final = re.compile(r"\s*(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?))?(.*)", re.ASCII)
_DAYS: Final = re.compile(r"\s*(\d{1,5})\s*(d|w|days?|weeks?)\s*", re.ASCII)


def _instant_meant(text: str) -> str:
    """Return the instant that a text may stand for; an example if that is none."""
    found = _DATE.fullmatch(text)
    if _converts(to_timestamp, text):
        return text
    if found:
        clock = f"{found[2] or '00:00'}:00"[:8]
        rest = found[3] if re.fullmatch(r"[+-]\d\d:\d\d", found[3]) else "Z"
        if _converts(to_timestamp, meant := f"{found[1]}T{clock}{rest}"):
            return meant
    return "2026-01-31T09:00:00Z"


def _duration_meant(text: str) -> str:
    """Return the duration that a text may stand for; an example if that is none."""
    if found := _DAYS.fullmatch(text):
        return f"{int(found[1]) * (168 if found[2][0] == 'w' else 24)}h"
    return text if _converts(to_duration, text) else "1h30m"


def _quoted(text: str) -> str:
    return _short(Constant(text))


def _short(node: Node) -> str:
    text = shown(node)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
