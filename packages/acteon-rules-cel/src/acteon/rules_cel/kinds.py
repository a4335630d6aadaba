"""Of what kind the values of expressions are, as far as that is certain before there is an action.

What is said of an expression holds if it has a value at all: `"a" + x` is a text, or fails.
"""

from collections.abc import Collection, Mapping
from typing import Final, Literal

from acteon.rules_cel.functions import METHODS
from acteon.rules_cel.syntax import (
    Call,
    Chain,
    Choice,
    Constant,
    Has,
    Identifier,
    Item,
    ListOf,
    Logic,
    Macro,
    MapOf,
    Node,
    Select,
    StateCall,
    Unary,
)
from acteon.rules_cel.values import Uint

Kind = Literal[
    "",
    "null",
    "bool",
    "int",
    "uint",
    "double",
    "number",
    "text",
    "bytes",
    "list",
    "map",
    "instant",
    "duration",
    "type",
]
"""A number is an int, a uint or a double; the empty kind is any."""

SAID: Final[Mapping[Kind, str]] = {
    "null": "null",
    "bool": "true or false",
    **dict.fromkeys(("int", "uint", "double", "number"), "a number"),
    "text": "a text",
    "bytes": "bytes",
    "list": "a list",
    "map": "a map",
    "instant": "an instant",
    "duration": "a duration",
    "type": "a type",
}
"""The kinds for people."""

NUMBERS: Final = frozenset({"int", "uint", "double", "number"})
_OF_CLASSES: Final[Mapping[type, Kind]] = {
    type(None): "null",
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "text",
    bytes: "bytes",
}
_GIVEN: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("bool", "contains", "startsWith", "endsWith", "matches"), "bool"),
    **dict.fromkeys(("string", "lowerAscii", "upperAscii", "trim", "replace", "join"), "text"),
    **dict.fromkeys((name for name in METHODS if name.startswith("get")), "int"),
    **dict.fromkeys(("size", "int"), "int"),
    "uint": "uint",
    "double": "double",
    "bytes": "bytes",
    "split": "list",
    "timestamp": "instant",
    "duration": "duration",
    "type": "type",
}
"""What functions give."""
_OF_STATE: Final[Mapping[str, Kind]] = {"get": "text", "counter": "int", "since": "duration"}


def kind_of(node: Node, local: Collection[str]) -> Kind:
    """Return the kind of `node`; what may be null besides counts as what it is otherwise.

    Args:
        node: The expression.
        local: The variables of the macros that it stands in.
    """
    match node:
        case Constant(value):
            return _OF_CLASSES[value.__class__]
        case Identifier() | Select() | Item():
            return _of_field(node, local)
        case Chain():
            kind = kind_of(node.first, local)
            for operator, operand in node.steps:
                kind = combined(operator, kind, kind_of(operand, local)) or ""
            return kind
        case Unary("-", operand):
            kind = kind_of(operand, local)
            return kind if kind in NUMBERS else "number"
        case Choice(_, then, otherwise):
            kind = kind_of(then, local)
            return kind if kind == kind_of(otherwise, local) else ""
        case Call(function):
            return _GIVEN.get(function, "")
        case StateCall(function):
            return _OF_STATE[function]
        case ListOf() | Macro(kind="map" | "filter"):
            return "list"
        case MapOf():
            return "map"
        case Logic() | Has() | Unary() | Macro():
            return "bool"


def _of_field(node: Identifier | Select | Item, local: Collection[str]) -> Kind:
    match node:
        case Identifier("now") if "now" not in local:
            return "instant"
        case Identifier("action" | "time" | "env" as name) if name not in local:
            return "map"
        case Select(Identifier("action" | "time" | "env" as root), member) | Item(
            Identifier("action" | "time" | "env" as root), Constant(str() as member)
        ) if root not in local:
            return _of_member(root, member)
        case Select(Select(Identifier("action"), "metadata")) | Item(
            Select(Identifier("action"), "metadata")
        ) if "action" not in local:
            return "text"
        case _:
            return ""


def _of_member(root: str, member: str) -> Kind:
    match root, member:
        case "action", "payload":
            return ""
        case "action", "metadata":
            return "map"
        case "time", _:
            return "text" if member == "weekday" else "int"
        case _:
            return "text"


def combined(operator: str, left: Kind, right: Kind) -> Kind | None:
    """Return the kind of what `operator` gives; None if it takes no such operands."""
    match operator:
        case "in":
            return "bool" if right in {"", "list", "map"} else None
        case "==" | "!=":
            return "bool" if _comparable(left, right) else None
        case "<" | "<=" | ">" | ">=":
            ordered = not {left, right} & {"null", "list", "map", "type"}
            return "bool" if ordered and _comparable(left, right) else None
        case _:
            return _computed(operator, left, right)


def _comparable(left: Kind, right: Kind) -> bool:
    either_is_any = not left or not right or "null" in {left, right}
    return either_is_any or left == right or {left, right} <= NUMBERS


def _computed(operator: str, left: Kind, right: Kind) -> Kind | None:
    """Return the kind of a sum, difference, product, quotient or remainder."""
    if left in NUMBERS or right in NUMBERS or operator in "*/%":
        kinds: set[Kind] = {left, right}
        kinds -= {"", "number"}
        if len(kinds) > 1 or not kinds <= NUMBERS or (operator == "%" and "double" in kinds):
            return None
        return kinds.pop() if kinds else "number"
    if "" in {left, right}:
        return _half_known(operator, left or right, is_left=bool(left))
    if operator == "+" and left == right and left in {"text", "bytes", "list", "duration"}:
        return left
    match operator, left, right:
        case ("+", "instant", "duration") | ("+", "duration", "instant"):
            return "instant"
        case "-", "instant", "duration":
            return "instant"
        case ("-", "instant", "instant") | ("-", "duration", "duration"):
            return "duration"
        case _:
            return None


def _half_known(operator: str, known: Kind, *, is_left: bool) -> Kind | None:
    """Return the kind of a sum or a difference of which one operand may be anything."""
    if operator == "+":
        if known in {"text", "bytes", "list", "instant"}:
            return known
        return "" if known in {"", "duration"} else None
    if known == "duration" and is_left:
        return "duration"
    return "" if known in {"", "instant", "duration"} else None
