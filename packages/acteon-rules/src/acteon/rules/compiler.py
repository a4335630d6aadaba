"""From expressions to functions.

An expression becomes a tree of closures, made once when rules are loaded. Paths into the action
are resolved to direct reads, chains of operators are evaluated by loops however long they are,
and what is constant is evaluated at once, unless it fails: then it fails when it is asked for.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from functools import partial
from typing import Any, Final, assert_never

from attrs import field, frozen

from acteon.rules import values
from acteon.rules.closures import (
    Constant,
    all_of,
    any_of,
    call,
    chain,
    exists,
    failing,
    folded,
    list_of,
    map_of,
    operation,
    payload_member,
    payload_member_is,
    time_map,
    time_member,
    unary,
    walk,
)
from acteon.rules.context import (
    ACTION_MEMBERS,
    Context,
    Evaluate,
    unix_seconds,
    whole_action,
)
from acteon.rules.errors import (
    RuleError,
    UndefinedVariableError,
)
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
)
from acteon.rules.stored import read_counter, read_seconds_since, read_text
from acteon.rules.walking import operands

MAX_NESTING: Final = 128


@frozen
class Compiler:
    """Compiles the expressions of one rule.

    Attributes:
        environment: The variables that rules can see; they are constants.
        timezone: Where `time` is told.
    """

    environment: Mapping[str, str] = field(factory=dict[str, str])
    timezone: tzinfo = UTC

    def compile(self, expression: Expression, depth: int = 1) -> Evaluate:
        """Return a function that gives the value of `expression`.

        The function raises `EvaluationError` if there is none, and `StateNotReadError`.

        Args:
            expression: What to compile.
            depth: How deep inside of others it stands.

        Raises:
            RuleError: The expression is nested more than `MAX_NESTING` levels deep.
        """
        if depth > MAX_NESTING:
            raise RuleError(f"expression nested more than {MAX_NESTING} levels deep")
        match expression:
            case Literal(value):
                return Constant(value)
            case Name(name):
                return self._name(name)
            case Field():
                return self._path(expression, depth)
            case Index(base, index):
                return self._index(base, index, depth)
            case Binary(operator) if operator in LOGICAL:
                return self._decided_by(
                    operator is BinaryOperator.OR, operands(expression, operator), depth
                )
            case Binary():
                return self._binary(expression, depth)
            case All(items):
                return self._decided_by(False, items, depth)
            case AnyOf(items):
                return self._decided_by(True, items, depth)
            case Unary(operator, operand):
                return unary(operator, self.compile(operand, depth + 1))
            case Conditional():
                return self._conditional(expression, depth)
            case Call(function, arguments):
                return call(function, self._all(arguments, depth))
            case ListOf(items):
                return list_of(self._all(items, depth))
            case MapOf(entries):
                names = [name for name, _ in entries]
                return map_of(names, self._all([value for _, value in entries], depth))
            case StateGet(id):
                return self._entry(read_text, id, depth)
            case StateCounter(id):
                return self._entry(read_counter, id, depth)
            case StateTimeSince(id):
                return self._entry(read_seconds_since, id, depth)
            case Exists(operand):
                return self._exists(operand, depth)
            case Foreign(program):
                return program.bind(self.environment, self.timezone)
            case _:
                assert_never(expression)

    def _all(self, expressions: Iterable[Expression], depth: int) -> list[Evaluate]:
        return [self.compile(expression, depth + 1) for expression in expressions]

    def _name(self, name: str) -> Evaluate:
        match name:
            case "action":
                return whole_action
            case "env" | "environment":
                return Constant(self.environment)
            case "now":
                return unix_seconds
            case "time":
                return time_map(self.timezone)
            case _ if name in self.environment:
                return Constant(self.environment[name])
            case _:
                return failing(partial(UndefinedVariableError, name))

    def _path(self, expression: Expression, depth: int) -> Evaluate:
        """Compile a chain of members, which is walked in a loop."""
        names: list[str] = []
        while isinstance(expression, Field):
            names.append(expression.name)
            expression = expression.base
        names.reverse()
        if isinstance(expression, Name) and (first := self._member(expression.name, names[0])):
            if expression.name == "action" and names[0] == "payload" and len(names) == 2:
                return payload_member(names[1])
            return walk(first, names[1:])
        return walk(self.compile(expression, depth + 1), names)

    def _member(self, owner: str, name: str) -> Evaluate | None:
        """Compile `owner.name`; None unless `owner` is a map that need not be made for that."""
        match owner:
            case "action":
                return ACTION_MEMBERS.get(name, Constant(None))
            case "env" | "environment":
                return Constant(self.environment.get(name))
            case "time":
                return time_member(name, self.timezone)
            case _:
                return None

    def _entry(
        self, read: Callable[[Context, str], Any], id: str | Expression, depth: int
    ) -> Evaluate:
        """Compile reading a state entry, whose id may depend on the action."""
        if isinstance(id, str):
            return lambda context: read(context, id)
        evaluate = self.compile(id, depth + 1)
        return lambda context: read(context, values.display(evaluate(context)))

    def _exists(self, operand: Expression, depth: int) -> Evaluate:
        """Compile whether there is something at the end of a chain of members and items."""
        steps: list[Expression] = []
        while isinstance(operand, Field | Index):
            step = Literal(operand.name) if isinstance(operand, Field) else operand.index
            steps.append(step)
            operand = operand.base
        steps.reverse()
        base: Evaluate | None = None
        match operand, steps:
            case Name(owner), [Literal(str() as name), *rest]:
                base = self._member(owner, name)
                steps = rest if base is not None else steps
            case _:
                pass
        if base is None:
            base = self.compile(operand, depth + 1)
        return exists(base, self._all(steps, depth))

    def _index(self, base: Expression, index: Expression, depth: int) -> Evaluate:
        if isinstance(base, Name) and isinstance(index, Literal) and isinstance(index.value, str):
            first = self._member(base.name, index.value)
            if first is not None:
                return first
        of, at = self._all((base, index), depth)
        return folded(lambda context: values.item(of(context), at(context)), (of, at))

    def _binary(self, expression: Expression, depth: int) -> Evaluate:
        """Compile a chain of operators that nests to the left: `a + b - c`."""
        steps: list[tuple[BinaryOperator, Expression]] = []
        while isinstance(expression, Binary) and expression.operator not in LOGICAL:
            steps.append((expression.operator, expression.right))
            expression = expression.left
        match expression, steps:
            case (
                Field(Field(Name("action"), "payload"), name),
                [(BinaryOperator.EQUAL, Literal(str() as text))],
            ):
                return payload_member_is(name, text)
            case _:
                pass
        evaluate = self.compile(expression, depth + 1)
        compiled = [(operator, self.compile(right, depth + 1)) for operator, right in steps[::-1]]
        if len(compiled) == 1:
            return operation(evaluate, *compiled[0])
        # A constant start such as `1 + 2 + x` is folded as far as it goes.
        while compiled and isinstance(evaluate, Constant):
            folded = operation(evaluate, *compiled[0])
            if not isinstance(folded, Constant):
                break
            evaluate = folded
            del compiled[0]
        return chain(evaluate, compiled) if compiled else evaluate

    def _decided_by(
        self, decisive: bool, expressions: Sequence[Expression], depth: int
    ) -> Evaluate:
        """Compile "any" (`decisive` is true) or "all": the first item like `decisive` decides."""
        items: list[Evaluate] = []
        for expression in expressions:
            item = self.compile(expression, depth + 1)
            if not isinstance(item, Constant):
                items.append(item)
            elif bool(item.value) is decisive:
                if not items:
                    return Constant(decisive)
                items.append(item)
                break
        if not items:
            return Constant(not decisive)
        return any_of(tuple(items)) if decisive else all_of(tuple(items))

    def _conditional(self, expression: Conditional, depth: int) -> Evaluate:
        condition, then, otherwise = self._all(
            (expression.condition, expression.then, expression.otherwise), depth
        )
        if isinstance(condition, Constant):
            return then if condition.value else otherwise
        return lambda context: then(context) if condition(context) else otherwise(context)
