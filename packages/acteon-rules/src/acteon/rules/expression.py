"""Conditions as data: what frontends make, and the compiler turns into functions.

Values are those of JSON: None, bool, int (64 bits, signed), float, str, list, dict.
"""

from enum import Enum
from typing import Final

from attrs import frozen

from acteon.rules.program import Program

Scalar = bool | int | float | str | None


class UnaryOperator(Enum):
    """An operator with one operand."""

    NOT = "!"
    NEGATE = "-"


class BinaryOperator(Enum):
    """An operator with two operands."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    MODULO = "%"
    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    AND = "&&"
    OR = "||"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    MATCHES = "matches"
    IN = "in"


LOGICAL: Final = (BinaryOperator.AND, BinaryOperator.OR)


@frozen
class Literal:
    """A constant."""

    value: Scalar


@frozen
class ListOf:
    """A list of what its items give; one failing item fails it."""

    items: tuple["Expression", ...]


@frozen
class MapOf:
    """A map; of two entries with one key the last one counts."""

    entries: tuple[tuple[str, "Expression"], ...]


@frozen
class Name:
    """`action`, `env`, `environment`, `now`, `time`, or a variable of the environment."""

    name: str


@frozen
class Field:
    """A member of a map; None if it is missing."""

    base: "Expression"
    name: str


@frozen
class Index:
    """An item of a list, negative ones counted from its end, or a member of a map."""

    base: "Expression"
    index: "Expression"


@frozen
class Unary:
    """An operator and its operand."""

    operator: UnaryOperator
    operand: "Expression"


@frozen
class Binary:
    """An operator and its operands; `&&` and `||` leave out the right one if they can."""

    operator: BinaryOperator
    left: "Expression"
    right: "Expression"


@frozen
class Conditional:
    """`condition ? then : otherwise`; only one of the two is evaluated."""

    condition: "Expression"
    then: "Expression"
    otherwise: "Expression"


@frozen
class Call:
    """A built-in function and its arguments, which are evaluated first."""

    function: str
    arguments: tuple["Expression", ...]


@frozen
class All:
    """Whether all items are true, in order, up to the first that is not; True for none."""

    items: tuple["Expression", ...]


@frozen
class AnyOf:
    """Whether one item is true, in order, up to the first that is; False for none."""

    items: tuple["Expression", ...]


@frozen
class StateGet:
    """The text of an entry of kind `state` of the action's tenant, or None.

    Here and below an `id` that is an expression is shown as text first.
    """

    id: "str | Expression"


@frozen
class StateCounter:
    """The number in an entry of kind `counter` of the action's tenant, or 0."""

    id: "str | Expression"


@frozen
class StateTimeSince:
    """Whole seconds since the instant in an entry of kind `state`, or 2^63 - 1 without one."""

    id: "str | Expression"


@frozen
class Exists:
    """Whether `operand`, a chain of members and items, gives something else than None.

    A member of what is no map, and an item of what is no list, are missing: that is no error.
    """

    operand: "Expression"


@frozen
class Foreign:
    """A condition in another language."""

    program: Program


Expression = (
    Literal
    | ListOf
    | MapOf
    | Name
    | Field
    | Index
    | Unary
    | Binary
    | Conditional
    | Call
    | All
    | AnyOf
    | StateGet
    | StateCounter
    | StateTimeSince
    | Exists
    | Foreign
)
