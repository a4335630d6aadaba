"""Evaluating expressions by walking them, part by part: slow, plain, and able to tell what it saw.

What is compiled must give the same; explanations come from here.
"""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any, assert_never

from attrs import define, field

from acteon.rules import values
from acteon.rules.builtins import FUNCTIONS, check_call
from acteon.rules.closures import OPERATIONS, matches_literal
from acteon.rules.context import TIME_MEMBERS, Context, local_time, unix_seconds, whole_action
from acteon.rules.described import describe
from acteon.rules.errors import UndefinedVariableError
from acteon.rules.expression import (
    LOGICAL,
    All,
    AnyOf,
    Binary,
    BinaryOperator,
    Call,
    Conditional,
    Exists,
    Expression,
    Field,
    Foreign,
    Index,
    ListOf,
    Literal,
    MapOf,
    Name,
    StateCounter,
    StateGet,
    StateTimeSince,
    Unary,
    UnaryOperator,
)
from acteon.rules.stored import read_counter, read_seconds_since, read_text
from acteon.rules.walking import operands


@define(eq=False)
class Walker:
    """Evaluates the expressions of one rule.

    Attributes:
        context: What they can see.
        environment: The variables that they can see.
        timezone: Where `time` is told.
        seen: The fields that were looked at, as text, with their values, in order.
        clause: The part of the condition that decided, or failed; None before there is one.
    """

    context: Context
    environment: Mapping[str, str]
    timezone: tzinfo
    seen: dict[str, Any] = field(factory=dict[str, Any], init=False)
    clause: Expression | None = field(default=None, init=False)

    def decide(self, condition: Expression) -> bool:
        """Return whether `condition` is true, and note which clause of it decided."""
        match condition:
            case All(items):
                return self._all(condition, items)
            case Binary(BinaryOperator.AND):
                return self._all(condition, operands(condition, BinaryOperator.AND))
            case AnyOf(items):
                return self._any(condition, items)
            case Binary(BinaryOperator.OR):
                return self._any(condition, operands(condition, BinaryOperator.OR))
            case Unary(UnaryOperator.NOT, operand):
                result = not self.decide(operand)
                self.clause = condition
                return result
            case _:
                self.clause = condition
                return bool(self.evaluate(condition))

    def _all(self, condition: Expression, items: Sequence[Expression]) -> bool:
        for item in items:
            if not self.decide(item):
                return False
        self.clause = condition
        return True

    def _any(self, condition: Expression, items: Sequence[Expression]) -> bool:
        for item in items:
            if self.decide(item):
                return True
        self.clause = condition
        return False

    def evaluate(self, expression: Expression) -> Any:
        """Return the value of `expression`.

        Raises:
            EvaluationError: It has none.
            StateNotReadError: It needs an entry that was not given.
        """
        match expression:
            case Literal(value):
                return value
            case ListOf(items):
                return [self.evaluate(item) for item in items]
            case MapOf(entries):
                return {name: self.evaluate(value) for name, value in entries}
            case Name(name):
                return self._name(name)
            case Field() | Index():
                return self._chain(expression)
            case Unary(UnaryOperator.NOT, operand):
                return not self.evaluate(operand)
            case Unary(_, operand):
                return values.negate(self.evaluate(operand))
            case Binary(BinaryOperator.AND | BinaryOperator.OR as operator):
                return self._logical(expression, operator)
            case Binary():
                return self._operations(expression)
            case Conditional(condition, then, otherwise):
                return self.evaluate(then if self.evaluate(condition) else otherwise)
            case Call(function, arguments):
                given = [self.evaluate(argument) for argument in arguments]
                check_call(function, len(given))
                return self._name("now") if function == "now" else FUNCTIONS[function](*given)
            case All(items):
                return all(self.evaluate(item) for item in items)
            case AnyOf(items):
                return any(self.evaluate(item) for item in items)
            case Exists(operand):
                return self._exists(operand)
            case StateGet(id):
                return self._note(expression, read_text(self.context, self._id(id)))
            case StateCounter(id):
                return self._note(expression, read_counter(self.context, self._id(id)))
            case StateTimeSince(id):
                return self._note(expression, read_seconds_since(self.context, self._id(id)))
            case Foreign(program):
                self.seen.update(program.seen(self.context, self.environment, self.timezone))
                return program.bind(self.environment, self.timezone)(self.context)
            case _:
                assert_never(expression)

    def _note(self, expression: Expression, value: Any) -> Any:
        self.seen[describe(expression)] = value
        return value

    def _id(self, id: str | Expression) -> str:
        return id if isinstance(id, str) else values.display(self.evaluate(id))

    def _name(self, name: str) -> Any:
        match name:
            case "action":
                return whole_action(self.context)
            case "env" | "environment":
                return self.environment
            case "now":
                return self._note(Name("now"), unix_seconds(self.context))
            case "time":
                local = local_time(self.context, self.timezone)
                return {name: part(local) for name, part in TIME_MEMBERS.items()}
            case _ if name in self.environment:
                return self._note(Name(name), self.environment[name])
            case _:
                raise UndefinedVariableError(name)

    def _chain(self, expression: Expression) -> Any:
        """Return what is at the end of a chain of members and items; note how far it was there."""
        steps: list[Field | Index] = []
        while isinstance(expression, Field | Index):
            steps.append(expression)
            expression = expression.base
        value = self.evaluate(expression)
        for number, step in enumerate(reversed(steps)):
            if number and value.__class__ not in (dict, list):
                self._note(step.base, value)  # The next step fails, and this is why.
            if isinstance(step, Field):
                value = values.member(value, step.name)
            else:
                value = values.item(value, self.evaluate(step.index))
        return self._note(steps[0], value)

    def _exists(self, operand: Expression) -> bool:
        steps: list[Field | Index] = []
        base = operand
        while isinstance(base, Field | Index):
            steps.append(base)
            base = base.base
        value = self.evaluate(base)
        for step in reversed(steps):
            index = step.name if isinstance(step, Field) else self.evaluate(step.index)
            value = values.item_or_none(value, index)
        self._note(operand, value)
        return value is not None

    def _logical(self, expression: Expression, operator: BinaryOperator) -> bool:
        decisive = operator is BinaryOperator.OR
        for operand in operands(expression, operator):
            if bool(self.evaluate(operand)) is decisive:
                return decisive
        return not decisive

    def _operations(self, expression: Expression) -> Any:
        """Return the value of operators that nest to the left, which may be many."""
        steps: list[Binary] = []
        while isinstance(expression, Binary) and expression.operator not in LOGICAL:
            steps.append(expression)
            expression = expression.left
        value = self.evaluate(expression)
        for step in reversed(steps):
            apply = OPERATIONS[step.operator]
            if step.operator is BinaryOperator.MATCHES and isinstance(step.right, Literal):
                apply = matches_literal  # One that is written in a rule may be larger.
            value = apply(value, self.evaluate(step.right))
        return value
