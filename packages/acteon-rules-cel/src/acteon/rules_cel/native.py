"""Google's engine, `cel-expr-python`, within the same bounds.

It has no bound of its own that would do: `map` and `filter` take time quadratic in the list, texts
grow without end, and `matches` and `contains` take as long as texts and patterns make them. So
these two are our own functions there, under another name, and what may do too much with an action
is left to the Python engine, which counts steps. What comes from an action is taken over once for
all rules of a decision.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from attrs import define, field
from cel_expr_python import cel  # pyright: ignore[reportMissingTypeStubs]

from acteon.rules import ConditionError, Context, EvaluationError, StateNotReadError
from acteon.rules.context import ACTION_MEMBERS, TIME_MEMBERS, local_time
from acteon.rules_cel import functions
from acteon.rules_cel.complaints import UnsaidError, condition_error, evaluation_error
from acteon.rules_cel.costs import Held
from acteon.rules_cel.engines import NOWHERE, Condition, Evaluate, PythonEngine
from acteon.rules_cel.roots import STATE, state_key
from acteon.rules_cel.syntax import Call, Constant, Node, children
from acteon.rules_cel.values import CelType, Frame, Uint, from_json, is_list, is_map, key_of

_cel: Any = cel
_MAX_VALUES: Final = 4_000
"""Values, and 64 characters each, that are taken over; converting more takes too long."""
_MAX_PART: Final = 64
"""Characters of a text that the engine may look for; it does so in the plainest way."""
_OWN: Final = {
    "matches": "acteon_matches",
    "contains": "acteon_contains",
    "lowerAscii": "acteon_lowerAscii",
    "upperAscii": "acteon_upperAscii",
    "trim": "acteon_trim",
    "replace": "acteon_replace",
    "split": "acteon_split",
    "join": "acteon_join",
}
"""Functions that are ours there, too, with the names under which it knows them."""


class _Asking(threading.local):
    """What the functions of the evaluation that runs in this thread need to know.

    Attributes:
        failed: What one of them raised; the engine keeps no more of it than its text.
        frame: The evaluation.
    """

    failed: EvaluationError | StateNotReadError | None
    frame: Frame | None

    def __init__(self) -> None:
        self.failed = self.frame = None

    def taken(self) -> EvaluationError | StateNotReadError | None:
        return self.failed


_asking: Final = _Asking()


def _kept(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, which keeps what it raises."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*[_ours(argument) for argument in arguments])
        except (EvaluationError, StateNotReadError) as error:
            # What asks for state goes before what failed: with it, that may be another matter.
            if _asking.failed is None or isinstance(error, StateNotReadError):
                _asking.failed = error
            raise

    return call


def _frame() -> Frame:
    assert _asking.frame is not None, "functions are called while a condition is evaluated"
    return _asking.frame


def _state(function: str) -> Callable[..., Any]:
    read = STATE[function]

    def call(key: Any) -> Any:
        return read(_frame().context, state_key(key))

    return call


def _own(name: str) -> Callable[..., Any]:
    apply, _ = functions.METHODS[name]

    return lambda *arguments: apply(_frame(), *arguments)


def _declarations() -> list[Any]:
    kind = _cel.Type
    texts = kind.List(kind.STRING)
    keys = [[kind.STRING], [kind.INT], [kind.UINT], [kind.DOUBLE]]
    declared: list[tuple[str, bool, Any, list[list[Any]], Callable[..., Any]]] = [
        ("state.get", False, kind.DYN, keys, _state("get")),
        ("state.counter", False, kind.INT, keys, _state("counter")),
        ("state.since", False, kind.DURATION, keys, _state("since")),
        (_OWN["contains"], True, kind.BOOL, [[kind.STRING] * 2], _own("contains")),
        (_OWN["matches"], True, kind.BOOL, [[kind.STRING] * 2], _own("matches")),
        (_OWN["lowerAscii"], True, kind.STRING, [[kind.STRING]], _own("lowerAscii")),
        (_OWN["upperAscii"], True, kind.STRING, [[kind.STRING]], _own("upperAscii")),
        (_OWN["trim"], True, kind.STRING, [[kind.STRING]], _own("trim")),
        (_OWN["replace"], True, kind.STRING, [[kind.STRING] * 3], _own("replace")),
        (_OWN["split"], True, texts, [[kind.STRING] * 2], _own("split")),
        (_OWN["join"], True, kind.STRING, [[kind.LIST], [kind.LIST, kind.STRING]], _own("join")),
    ]
    return [
        _cel.FunctionDecl(
            name,
            [
                _cel.Overload(
                    f"{name.replace('.', '_')}_{number}",
                    return_type=gives,
                    parameters=takes,
                    is_member=is_member,
                    impl=_kept(function),
                )
                for number, takes in enumerate(overloads)
            ],
        )
        for name, is_member, gives, overloads, function in declared
    ]


@define(eq=False)
class NativeEngine:
    """Evaluates conditions in C++."""

    name: str = "native"
    _environment: Any = field(init=False)
    _fallback: PythonEngine = field(factory=PythonEngine, init=False)

    def __attrs_post_init__(self) -> None:
        kind = _cel.Type
        self._environment = _cel.NewEnv(
            variables={
                "action": kind.Map(kind.STRING, kind.DYN),
                "env": kind.Map(kind.STRING, kind.STRING),
                "now": kind.TIMESTAMP,
                "time": kind.Map(kind.STRING, kind.DYN),
            },
            functions=_declarations(),
        )

    def prepare(self, condition: Condition) -> Callable[[Mapping[str, str], tzinfo], Evaluate]:
        """Return what evaluates `condition`; see `CelEngine`."""
        slow = self._fallback.prepare(condition)
        try:
            program = _compiled(self._environment, _renamed(condition.text, condition.node))
        except ConditionError:
            return slow  # It knows no `1.`, and nests 32 levels deep only.
        cost = condition.facts.cost

        def bind(environment: Mapping[str, str], timezone: tzinfo) -> Evaluate:
            slowly = slow(environment, timezone)
            key = (NativeEngine, id(environment), timezone)

            def evaluate(context: Context) -> Any:
                shared = context.shared
                held = shared.get(Held)
                if held is None:
                    held = shared[Held] = _held_by(context)
                if held is _TOO_MUCH or not cost.fits(held):
                    return slowly(context)
                activation = shared.get(key)
                if activation is None:
                    activation = shared[key] = self._activation(context, environment, timezone)
                try:
                    return _value(program, activation, Frame(context, environment, timezone))
                except UnsaidError:
                    pass
                return slowly(context)  # Our own engine knows of what.

            return evaluate

        return bind

    def _activation(
        self, context: Context, environment: Mapping[str, str], timezone: tzinfo
    ) -> Any:
        local = local_time(context, timezone)
        return self._environment.Activation(
            {
                "action": {name: _theirs(read(context)) for name, read in ACTION_MEMBERS.items()},
                "env": dict(environment),
                "now": context.now,
                "time": {name: part(local) for name, part in TIME_MEMBERS.items()},
            }
        )


def _held_by(context: Context) -> Held:
    """Return how much the action of `context` holds, counted until that is too much."""
    metadata = context.action.metadata
    values = longest = len(metadata)
    pending: list[Any] = [context.payload, *metadata.values()]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            values += len(value) // 64
            if values <= _MAX_VALUES and not _is_unicode(value):
                return _TOO_MUCH
        elif is_list(value) or is_map(value):
            values += len(value)
            longest = max(longest, len(value))
            if values <= _MAX_VALUES:
                if is_map(value):
                    pending += value
                    pending += value.values()
                else:
                    pending += value
        if values > _MAX_VALUES:
            return _TOO_MUCH
    return Held(values=values, longest=longest)


def _is_unicode(text: str) -> bool:
    """Return whether a text can be UTF-8, as JSON may hold half of a surrogate pair."""
    if text.isascii():
        return True
    return not any("\ud800" <= character <= "\udfff" for character in text)


_TOO_MUCH: Final = Held(values=_MAX_VALUES + 1, longest=_MAX_VALUES + 1)


def _compiled(environment: Any, text: str) -> Any:
    try:
        return environment.compile(text)
    except RuntimeError:
        pass  # The checker refuses `1 == 1.0`, though it takes `x == 1.0`, whatever x is.
    try:
        return environment.compile(text, disable_check=True)
    except RuntimeError as error:
        raise condition_error(str(error)) from None


def _value(program: Any, activation: Any, frame: Frame) -> Any:
    outer = _asking.frame, _asking.failed
    _asking.frame, _asking.failed = frame, None
    try:
        result = program.eval(activation)
        failed = _asking.taken()
    except RuntimeError as error:
        raise evaluation_error(str(error)) from None
    finally:
        _asking.frame, _asking.failed = outer
    try:
        if isinstance(failed, StateNotReadError):
            raise failed
        if result.type() == _ERROR:
            raise failed or evaluation_error(str(result.value()))
    finally:
        del failed  # Without it, error and frame would keep each other.
    return _converted(result)


_ERROR: Final = _cel.Type.ERROR


def _renamed(text: str, node: Node) -> str:
    """Return `text` with the functions that are ours under the names that the engine knows."""
    lines = text.split("\n")
    places = [
        (each.place, each.function)
        for each in _calls(node)
        if each.is_method and each.function in _OWN and not _is_short(each)
    ]
    for (line, column), function in sorted(places, reverse=True):
        before, after = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
        lines[line - 1] = before + _OWN[function] + after.removeprefix(function)
    return "\n".join(lines)


def _is_short(call: Call) -> bool:
    """Return whether a call looks for a short text, which the engine may do itself."""
    match call:
        case Call("contains", (_, Constant(str() as part))):
            return len(part) <= _MAX_PART
        case _:
            return False


def _calls(node: Node) -> list[Call]:
    found = [node] if isinstance(node, Call) else []
    return [*found, *(call for part in children(node) for call in _calls(part))]


def _theirs(value: Any) -> Any:
    """Return a value as the engine takes it."""
    kind = value.__class__
    if kind is dict:
        return {str(name): _theirs(member) for name, member in value.items()}
    if kind is list:
        return [_theirs(each) for each in value]
    if kind is int:
        return from_json(value)
    return str(value) if isinstance(value, str) else value


def _ours(value: Any) -> Any:
    """Return an argument of a function as ours."""
    return bytes(value) if isinstance(value, bytearray) else value


def _converted(result: Any) -> Any:
    """Return a value of the engine as ours."""
    kind, value = result.type(), result.value()
    name = str(kind.name())
    match value:
        case _ if is_list(value):
            return [_converted(each) for each in value]
        case _ if is_map(value):
            return {key_of(key): _converted(member) for key, member in value.items()}
        case bytearray():
            return bytes(value)
        case int() if name == "UINT":
            return Uint(value)
        case _ if name == "TYPE":
            type_name = str(value.name()).partition("<")[0]
            return CelType(_TYPES.get(type_name, type_name))
        case _:
            return value


_TYPES: Final = {
    "NULL": "null_type",
    "BOOL": "bool",
    "INT": "int",
    "UINT": "uint",
    "DOUBLE": "double",
    "STRING": "string",
    "BYTES": "bytes",
    "LIST": "list",
    "MAP": "map",
    "TIMESTAMP": "google.protobuf.Timestamp",
    "DURATION": "google.protobuf.Duration",
    "TYPE": "type",
}


_DECLARED: Final[Mapping[type, str]] = {
    Uint: "UINT",
    bytes: "BYTES",
    datetime: "TIMESTAMP",
    timedelta: "DURATION",
}
"""The types of values that the engine does not find out by itself."""


def evaluate_natively(text: str, node: Node, variables: Mapping[str, Any]) -> Any:
    """Return the value of an expression over variables of its own; see `evaluate_with`."""
    given: dict[str, Any] = {}
    kinds: dict[str, Any] = {}
    for name, value in variables.items():
        kinds[name] = getattr(_cel.Type, _DECLARED.get(value.__class__, "DYN"))
        given[name] = value.value if isinstance(value, Uint) else _theirs(value)
    environment = _cel.NewEnv(variables=kinds, functions=_declarations())
    program = _compiled(environment, _renamed(text, node))
    return _value(program, environment.Activation(given), Frame(NOWHERE, {}, UTC))
