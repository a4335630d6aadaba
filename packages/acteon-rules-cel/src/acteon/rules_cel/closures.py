"""From trees to functions: what `acteon.rules` does for its own expressions, for CEL.

cel-python evaluates its trees itself, but takes some ten times as long, and nothing bounds it:
a macro inside of a macro over a long list would hold up everybody.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, assert_never

from attrs import define, field

from acteon.rules import (
    EvaluationError,
    InvalidRegexError,
    compile_regex,
)
from acteon.rules_cel.checking import dotted
from acteon.rules_cel.functions import GLOBALS, MATCH, METHODS, longest_search
from acteon.rules_cel.macros import exists_one, listed, over, quantified
from acteon.rules_cel.operators import OPERATORS, item, negate, no_map, select
from acteon.rules_cel.roots import ROOTS, STATE, action_member, state_key, time_member
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
    shown,
)
from acteon.rules_cel.values import (
    FAILURE,
    CelType,
    Frame,
    from_json,
    is_map,
    key_of,
    key_value,
    no_overload,
    without_frames,
)

Evaluate = Callable[[Frame], Any]


@define(eq=False)
class Closures:
    """Compiles one condition.

    Attributes:
        roots: The variables that there are always.
        variables: Those that an evaluation gives; there may be dots in their names.
    """

    roots: Mapping[str, Evaluate] = field(factory=lambda: ROOTS)
    variables: Collection[str] = ()
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
                return _has(self.compile(operand), member, shown(operand))
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
                read, name = STATE[function], self.compile(key)
                return lambda frame: read(frame.context, state_key(name(frame)))
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
        if name in self.roots:
            return self.roots[name]
        type_name = dotted(node)

        def variable(frame: Frame) -> Any:
            if name in frame.variables:
                return from_json(frame.variables[name])
            if type_name is not None:
                return CelType(type_name)
            raise EvaluationError(f"unknown variable: {name[:60]}")

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
        for length in range(len(names) if root else 0, 0, -1):
            name = ".".join([root, *names[:length]])
            if name in self.variables:
                return _walk(_given(name), names[length:], name)
        if type_name is not None and root and root not in self.roots:
            return lambda frame: CelType(type_name)
        if root == "action" and root in self.roots:
            return _walk(action_member(names[0]), names[1:], f"action.{names[0]}")
        if root == "time" and root in self.roots:
            return _walk(time_member(names[0]), names[1:], f"time.{names[0]}")
        return _walk(self.compile(base), names, shown(base))

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
        arguments = [self.compile(each) for each in node.arguments]
        known = METHODS if node.is_method else GLOBALS
        apply, counts = known.get(node.function, (None, range(0)))
        if apply is None or len(node.arguments) not in counts:
            return _unknown(node.function[:60], arguments)
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
        slot = max(outer.values(), default=-1) + 1
        self._slots = {**outer, node.variable: slot}
        parts = (node.condition, node.result)
        condition, result = [None if part is None else self.compile(part) for part in parts]
        self._slots = outer
        cost = 1 + sum(_size(part) for part in parts if part is not None)
        items = over(target, slot, cost)
        match node.kind:
            case "all" | "exists":
                assert condition is not None
                return quantified(items, slot, condition, decisive=node.kind == "exists")
            case "exists_one":
                assert condition is not None
                return exists_one(items, slot, condition)
            case _:
                return listed(items, slot, condition, result)


def _size(node: Node) -> int:
    own = _CALL if isinstance(node, Call) else 1
    return own + sum(_size(part) for part in children(node))


_CALL: Final = 4
"""Steps that a call takes, where a member takes one."""


def _given(name: str) -> Evaluate:
    return lambda frame: from_json(frame.variables[name])


def _unknown(function: str, arguments: Sequence[Evaluate]) -> Evaluate:
    def fail(frame: Frame) -> Any:
        raise no_overload(function, *[argument(frame) for argument in arguments])

    return fail


def _walk(base: Evaluate, names: Sequence[str], of: str) -> Evaluate:
    """Compile members of members of `base`, which the condition calls `of`."""
    if not names:
        return base
    steps = [(name, ".".join([of, *names[:at]])) for at, name in enumerate(names)]

    def read(frame: Frame) -> Any:
        value = base(frame)
        for name, owner in steps:
            if value.__class__ is dict and name in value:
                value = value[name]
            else:
                value = select(value, name, owner)
        return value if value.__class__ is str else from_json(value)

    return read


def _has(base: Evaluate, member: str, of: str) -> Evaluate:
    def look(frame: Frame) -> bool:
        value = base(frame)
        if is_map(value):
            return member in value
        raise no_map(member, value, of)

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
                frame.left -= FAILURE
                failed = failed or without_frames(error)
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
            given = key(frame)
            if given.__class__ is float:
                raise EvaluationError("unsupported key type: double")
            name = key_of(given)
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
        frame.spend(MATCH)
        return bool(frame.timed(longest_search(search, value), search, value))

    return evaluate
