"""What expressions are compiled to: one function for each kind, as cheap as it can be."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import tzinfo
from typing import Any, Final

from attrs import frozen

from acteon.rules import values
from acteon.rules.builtins import FUNCTIONS, check_call
from acteon.rules.constants import with_constant
from acteon.rules.context import (
    NO_CONTEXT,
    TIME_MEMBERS,
    Context,
    Evaluate,
    local_time,
    unix_seconds,
)
from acteon.rules.errors import EvaluationError, InvalidRegexError, TypeMismatchError
from acteon.rules.expression import BinaryOperator, UnaryOperator
from acteon.rules.regex import cached_regex, compile_regex


@frozen
class Constant:
    """An expression whose value is known."""

    value: Any

    def __call__(self, context: Context) -> Any:
        return self.value


def _matches(text: Any, pattern: Any) -> bool:
    if text.__class__ is str and pattern.__class__ is str:
        return cached_regex(pattern)(text)
    raise TypeMismatchError(
        f"matches: unsupported types {values.type_name(text)} and {values.type_name(pattern)}"
    )


def matches_literal(text: Any, pattern: Any) -> bool:
    """Return whether `pattern`, which is a part of a rule, matches in `text`."""
    if text.__class__ is str and pattern.__class__ is str:
        return compile_regex(pattern)(text)
    return _matches(text, pattern)


OPERATIONS: Final[Mapping[BinaryOperator, Callable[[Any, Any], Any]]] = {
    BinaryOperator.ADD: values.add,
    BinaryOperator.SUBTRACT: values.subtract,
    BinaryOperator.MULTIPLY: values.multiply,
    BinaryOperator.DIVIDE: values.divide,
    BinaryOperator.MODULO: values.modulo,
    BinaryOperator.EQUAL: values.equal,
    BinaryOperator.NOT_EQUAL: lambda left, right: not values.equal(left, right),
    BinaryOperator.LESS: values.less,
    BinaryOperator.LESS_OR_EQUAL: values.less_or_equal,
    BinaryOperator.GREATER: values.greater,
    BinaryOperator.GREATER_OR_EQUAL: values.greater_or_equal,
    BinaryOperator.CONTAINS: values.contains,
    BinaryOperator.STARTS_WITH: values.starts_with,
    BinaryOperator.ENDS_WITH: values.ends_with,
    BinaryOperator.MATCHES: _matches,
    BinaryOperator.IN: values.is_in,
}


def folded(evaluate: Evaluate, operands: Iterable[Evaluate]) -> Evaluate:
    """Return `evaluate`, or its value if that follows from constants alone."""
    if all(isinstance(operand, Constant) for operand in operands):
        try:
            return Constant(evaluate(NO_CONTEXT))
        except EvaluationError:
            return evaluate
    return evaluate


def failing(make_error: Callable[[], EvaluationError]) -> Evaluate:
    """Compile what has no value."""

    def fail(context: Context) -> Any:
        raise make_error()

    return fail


def walk(base: Evaluate, names: Sequence[str]) -> Evaluate:
    """Compile the members `names` of `base`, one inside the other."""
    if not names:
        return base

    def read(context: Context) -> Any:
        value = base(context)
        for name in names:
            value = value.get(name) if value.__class__ is dict else values.member(value, name)
        return values.from_json(value)

    return folded(read, (base,))


def payload_member(name: str) -> Evaluate:
    """Compile `action.payload.name`, the path that most rules look at."""

    def read(context: Context) -> Any:
        payload = context.payload
        value = payload.get(name) if payload.__class__ is dict else values.member(payload, name)
        return values.from_json(value) if value.__class__ is int else value

    return read


def payload_member_is(name: str, text: str) -> Evaluate:
    """Compile `action.payload.name == "text"`, the condition that most rules have, in one call."""

    def compare(context: Context) -> Any:
        payload = context.payload
        value = payload.get(name) if payload.__class__ is dict else values.member(payload, name)
        return value == text

    return compare


def exists(base: Evaluate, steps: Sequence[Evaluate]) -> Evaluate:
    """Compile whether something is at the end of `steps` from `base`; a missing one is no error."""

    def look(context: Context) -> bool:
        value = base(context)
        for step in steps:
            value = values.item_or_none(value, step(context))
        return value is not None

    return folded(look, (base, *steps))


def time_member(name: str, timezone: tzinfo) -> Evaluate:
    """Compile `time.name`."""
    part = TIME_MEMBERS.get(name)
    if part is None:
        return Constant(None)
    return lambda context: part(local_time(context, timezone))


def time_map(timezone: tzinfo) -> Evaluate:
    """Compile `time` as a whole."""

    def time(context: Context) -> dict[str, Any]:
        local = local_time(context, timezone)
        return {name: part(local) for name, part in TIME_MEMBERS.items()}

    return time


def all_of(items: Sequence[Evaluate]) -> Evaluate:
    """Compile "all": true unless an item is not."""

    def decide(context: Context) -> bool:
        for item in items:  # noqa: SIM110 - a generator would take twice the time
            if not item(context):
                return False
        return True

    return decide


def any_of(items: Sequence[Evaluate]) -> Evaluate:
    """Compile "any": true if an item is."""

    def decide(context: Context) -> bool:
        for item in items:  # noqa: SIM110 - a generator would take twice the time
            if item(context):
                return True
        return False

    return decide


def unary(operator: UnaryOperator, operand: Evaluate) -> Evaluate:
    """Compile an operator with one operand."""
    if operator is UnaryOperator.NOT:
        return folded(lambda context: not operand(context), (operand,))
    return folded(lambda context: values.negate(operand(context)), (operand,))


def operation(left: Evaluate, operator: BinaryOperator, right: Evaluate) -> Evaluate:
    """Return `left operator right`, in the cheapest way that gives the same."""
    apply = OPERATIONS[operator]
    if isinstance(right, Constant) and not isinstance(left, Constant):
        with suppress(InvalidRegexError):  # It fails when it is asked for, after its left side.
            fast = with_constant(left, operator, right.value, apply)
            if fast is not None:
                return fast
    return folded(lambda context: apply(left(context), right(context)), (left, right))


def chain(first: Evaluate, rest: Iterable[tuple[BinaryOperator, Evaluate]]) -> Evaluate:
    """Compile `first` and what is applied to it, step by step."""
    steps = tuple((OPERATIONS[operator], right) for operator, right in rest)

    def evaluate(context: Context) -> Any:
        value = first(context)
        for apply, right in steps:
            value = apply(value, right(context))
        return value

    return evaluate


def call(function: str, arguments: Sequence[Evaluate]) -> Evaluate:
    """Compile a call of a function."""
    try:
        check_call(function, len(arguments))
    except EvaluationError:

        def misused(context: Context) -> Any:
            # An argument that fails comes first: it is evaluated before the function is looked up.
            for argument in arguments:
                argument(context)
            check_call(function, len(arguments))

        return misused
    if function == "now":
        return unix_seconds
    apply = FUNCTIONS[function]
    return folded(lambda context: apply(*[item(context) for item in arguments]), arguments)


def list_of(items: Sequence[Evaluate]) -> Evaluate:
    """Compile a list."""
    return folded(lambda context: [item(context) for item in items], items)


def map_of(names: Sequence[str], items: Sequence[Evaluate]) -> Evaluate:
    """Compile a map."""
    return folded(
        lambda context: dict(zip(names, [item(context) for item in items], strict=True)), items
    )
