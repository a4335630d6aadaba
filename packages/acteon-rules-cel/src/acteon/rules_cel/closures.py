"""From trees to functions: what `acteon.rules` does for its own expressions, for CEL.

cel-python evaluates its trees itself, but takes some ten times as long, and nothing bounds it:
a macro inside of a macro over a long list would hold up everybody.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, assert_never

from attrs import define, field

from acteon.rules import EvaluationError, InvalidRegexError, StateRead, compile_regex
from acteon.rules.context import ACTION_MEMBERS, TIME_MEMBERS
from acteon.rules.stored import NEVER, counter_of, seconds_since
from acteon.rules_cel.checking import dotted
from acteon.rules_cel.functions import GLOBALS, METHODS
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
    children,
)
from acteon.rules_cel.values import (
    MAX_DURATION,
    OPERATORS,
    CelType,
    Frame,
    from_json,
    is_number,
    item,
    key_of,
    key_value,
    negate,
    no_overload,
    number,
    select,
)

Evaluate = Callable[[Frame], Any]


@define(eq=False)
class Closures:
    """Compiles one condition.

    Attributes:
        depth: How many variables of macros there are at once, at most.
    """

    depth: int = field(default=0, init=False)
    _slots: dict[str, int] = field(factory=dict[str, int], init=False)

    def compile(self, node: Node) -> Evaluate:
        """Return a function that gives the value of `node`.

        It raises `EvaluationError` if there is none, and `StateNotReadError`.
        """
        match node:
            case Constant(value):
                return lambda frame: value
            case Identifier():
                return self._identifier(node)
            case Select():
                return self._select(node)
            case Has(operand, member):
                return _has(self.compile(operand), member)
            case Item(operand, index):
                of, at = self.compile(operand), self.compile(index)
                return lambda frame: item(of(frame), at(frame))
            case Unary("!", operand):
                return _not(self.compile(operand))
            case Unary(_, operand):
                negated = self.compile(operand)
                return lambda frame: negate(negated(frame))
            case Chain():
                return self._chain(node)
            case Logic(decisive, operands):
                return _logic(decisive, [self.compile(operand) for operand in operands])
            case Choice(condition, then, otherwise):
                return _choice(*(self.compile(part) for part in (condition, then, otherwise)))
            case Call():
                return self._call(node)
            case StateCall(function, key):
                return _STATE[function](self.compile(key))
            case ListOf(items):
                parts = [self.compile(each) for each in items]
                return lambda frame: [part(frame) for part in parts]
            case MapOf(entries):
                return _map_of([(self.compile(k), self.compile(v)) for k, v in entries])
            case Macro():
                return self._macro(node)
            case _:
                assert_never(node)

    def _identifier(self, node: Identifier) -> Evaluate:
        name = node.name
        slot = self._slots.get(name)
        if slot is not None:
            return lambda frame: frame.locals[slot]
        if name in _ROOTS:
            return _ROOTS[name]
        type_name = dotted(node)

        def variable(frame: Frame) -> Any:
            if name in frame.variables:
                return from_json(frame.variables[name])
            if type_name is not None:
                return CelType(type_name)
            raise EvaluationError(f"unknown variable: {name}")

        return variable

    def _select(self, node: Select) -> Evaluate:
        """Compile a chain of members, which is walked in a loop."""
        type_name = dotted(node)
        names: list[str] = []
        base: Node = node
        while isinstance(base, Select):
            names.append(base.member)
            base = base.operand
        names.reverse()
        root = base.name if isinstance(base, Identifier) and base.name not in self._slots else ""
        if type_name is not None and root not in _ROOTS:
            return lambda frame: CelType(type_name)
        if root == "action":
            return _walk(_action_member(names[0]), names[1:])
        if root == "time":
            return _walk(_time_member(names[0]), names[1:])
        return _walk(self.compile(base), names)

    def _chain(self, node: Chain) -> Evaluate:
        first = self.compile(node.first)
        steps = [(OPERATORS[operator], self.compile(operand)) for operator, operand in node.steps]
        if len(steps) == 1:
            ((apply, right),) = steps
            match node.steps[0]:
                case ("==", Constant(str() as text)):
                    return lambda frame: first(frame) == text
                case _:
                    return lambda frame: apply(frame, first(frame), right(frame))

        def evaluate(frame: Frame) -> Any:
            value = first(frame)
            for apply, right in steps:
                value = apply(frame, value, right(frame))
            return value

        return evaluate

    def _call(self, node: Call) -> Evaluate:
        apply, _ = (METHODS if node.is_method else GLOBALS)[node.function]
        arguments = [self.compile(each) for each in node.arguments]
        match node:
            case Call("matches", (_, Constant(str() as pattern))):
                return _matches(arguments[0], pattern)
            case _ if len(arguments) == 1:
                (argument,) = arguments
                return lambda frame: apply(frame, argument(frame))
            case _:
                return lambda frame: apply(frame, *[each(frame) for each in arguments])

    def _macro(self, node: Macro) -> Evaluate:
        target = self.compile(node.target)
        outer = self._slots
        slot = len(outer) if node.variable not in outer else max(outer.values()) + 1
        self._slots = {**outer, node.variable: slot}
        self.depth = max(self.depth, slot + 1)
        parts = (node.condition, node.result)
        condition, result = [None if part is None else self.compile(part) for part in parts]
        self._slots = outer
        cost = 1 + sum(_size(part) for part in parts if part is not None)
        over = _over(target, slot, cost)
        match node.kind:
            case "all" | "exists":
                assert condition is not None
                return _quantified(over, slot, condition, decisive=node.kind == "exists")
            case "exists_one":
                assert condition is not None
                return _exists_one(over, slot, condition)
            case _:
                return _listed(over, slot, condition, result)


def _size(node: Node) -> int:
    return 1 + sum(_size(part) for part in children(node))


_ROOTS: Final[Mapping[str, Evaluate]] = {
    "action": lambda frame: {
        name: member(frame.context) for name, member in ACTION_MEMBERS.items()
    },
    "env": lambda frame: frame.environment,
    "now": lambda frame: frame.context.now,
    "time": lambda frame: {
        name: part(frame.context.now.astimezone(frame.timezone))
        for name, part in TIME_MEMBERS.items()
    },
}
"""The variables of rules."""


def _action_member(name: str) -> Evaluate:
    read = ACTION_MEMBERS.get(name)

    def member(frame: Frame) -> Any:
        if read is None:
            raise EvaluationError(f"no such key: {name}")
        return read(frame.context)

    return member


def _time_member(name: str) -> Evaluate:
    part = TIME_MEMBERS.get(name)

    def member(frame: Frame) -> Any:
        if part is None:
            raise EvaluationError(f"no such key: {name}")
        return part(frame.context.now.astimezone(frame.timezone))

    return member


def _walk(base: Evaluate, names: Sequence[str]) -> Evaluate:
    if not names:
        return base

    def read(frame: Frame) -> Any:
        value = base(frame)
        for name in names:
            if value.__class__ is dict and name in value:
                value = value[name]
            else:
                value = select(value, name)
        return value if value.__class__ is str else from_json(value)

    return read


def _has(base: Evaluate, member: str) -> Evaluate:
    def look(frame: Frame) -> bool:
        value = base(frame)
        if isinstance(value, dict):
            return member in value
        raise no_overload(f"has member {member}", value)

    return look


def _not(operand: Evaluate) -> Evaluate:
    def evaluate(frame: Frame) -> bool:
        value = operand(frame)
        if value.__class__ is bool:
            return value is False
        raise no_overload("!", value)

    return evaluate


def _logic(decisive: bool, operands: Sequence[Evaluate]) -> Evaluate:
    """Compile `&&` or `||`: what decides does so whatever fails beside it."""
    operator = "||" if decisive else "&&"

    def evaluate(frame: Frame) -> bool:
        failed: EvaluationError | None = None
        for operand in operands:
            try:
                value = operand(frame)
            except EvaluationError as error:
                failed = failed or error
                continue
            if value is decisive:
                return bool(decisive)
            if value.__class__ is not bool and failed is None:
                failed = no_overload(operator, value)
        if failed is not None:
            try:
                raise failed
            finally:
                del failed  # Without it, error and frame would keep each other.
        return not decisive

    return evaluate


def _choice(condition: Evaluate, then: Evaluate, otherwise: Evaluate) -> Evaluate:
    def evaluate(frame: Frame) -> Any:
        chosen = condition(frame)
        if chosen.__class__ is not bool:
            raise no_overload("?:", chosen)
        return then(frame) if chosen else otherwise(frame)

    return evaluate


def _map_of(entries: Sequence[tuple[Evaluate, Evaluate]]) -> Evaluate:
    def evaluate(frame: Frame) -> dict[Any, Any]:
        members: dict[Any, Any] = {}
        for key, value in entries:
            name = key_of(key(frame))
            if name in members:
                raise EvaluationError(f"duplicate key in map: {key_value(name)}")
            members[name] = value(frame)
        return members

    return evaluate


def _matches(text: Evaluate, pattern: str) -> Evaluate:
    try:
        search = compile_regex(pattern)
    except InvalidRegexError as error:
        message = str(error)

        def fail(frame: Frame) -> bool:
            text(frame)
            raise InvalidRegexError(message.removeprefix("invalid regex: "))

        return fail

    def evaluate(frame: Frame) -> bool:
        value = text(frame)
        if not isinstance(value, str):
            raise no_overload("matches", value, pattern)
        frame.spend(len(value) // 64)
        return search(value)

    return evaluate


def _key(key: Evaluate) -> Callable[[Frame], str]:
    def evaluate(frame: Frame) -> str:
        value = key(frame)
        if isinstance(value, str):
            return value
        if is_number(value):
            return str(number(value))
        raise no_overload("the key of a state entry", value)

    return evaluate


def _state_get(key: Evaluate) -> Evaluate:
    text = _key(key)
    return lambda frame: frame.context.read(StateRead("state", text(frame)))


def _state_counter(key: Evaluate) -> Evaluate:
    text = _key(key)
    return lambda frame: counter_of(frame.context.read(StateRead("counter", text(frame))))


def _state_since(key: Evaluate) -> Evaluate:
    text = _key(key)

    def since(frame: Frame) -> timedelta:
        context = frame.context
        seconds = seconds_since(context.read(StateRead("state", text(frame))), context.now)
        return MAX_DURATION if seconds == NEVER else timedelta(seconds=seconds)

    return since


_STATE: Final[Mapping[str, Callable[[Evaluate], Evaluate]]] = {
    "get": _state_get,
    "counter": _state_counter,
    "since": _state_since,
}


def _over(target: Evaluate, slot: int, cost: int) -> Callable[[Frame], Sequence[Any]]:
    """Compile what a macro goes over; the steps of its whole loop are taken at once."""

    def items(frame: Frame) -> Sequence[Any]:
        value = target(frame)
        if isinstance(value, list):
            found: Sequence[Any] = value
        elif isinstance(value, dict):
            found = [key_value(key) for key in value]
        else:
            raise no_overload("a macro", value)
        frame.spend(cost * len(found))
        missing = slot + 1 - len(frame.locals)
        if missing > 0:
            frame.locals += [None] * missing
        return found

    return items


def _quantified(
    over: Callable[[Frame], Sequence[Any]], slot: int, condition: Evaluate, *, decisive: bool
) -> Evaluate:
    def evaluate(frame: Frame) -> bool:
        failed: EvaluationError | None = None
        for value in over(frame):
            frame.locals[slot] = from_json(value)
            try:
                holds = condition(frame)
            except EvaluationError as error:
                failed = failed or error
                continue
            if holds is decisive:
                return bool(decisive)
            if holds.__class__ is not bool and failed is None:
                failed = no_overload("exists" if decisive else "all", holds)
        if failed is not None:
            try:
                raise failed
            finally:
                del failed  # As above.
        return not decisive

    return evaluate


def _exists_one(over: Callable[[Frame], Sequence[Any]], slot: int, condition: Evaluate) -> Evaluate:
    def evaluate(frame: Frame) -> bool:
        count = 0
        for value in over(frame):
            frame.locals[slot] = from_json(value)
            count += _true(condition(frame))
        return count == 1

    return evaluate


def _listed(
    over: Callable[[Frame], Sequence[Any]],
    slot: int,
    condition: Evaluate | None,
    result: Evaluate | None,
) -> Evaluate:
    def evaluate(frame: Frame) -> list[Any]:
        found: list[Any] = []
        for value in over(frame):
            frame.locals[slot] = value = from_json(value)
            if condition is None or _true(condition(frame)):
                found.append(value if result is None else result(frame))
        return found

    return evaluate


def _true(value: Any) -> bool:
    if value.__class__ is bool:
        return bool(value)
    raise no_overload("a condition", value)
