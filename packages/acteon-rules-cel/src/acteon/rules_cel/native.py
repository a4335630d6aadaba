"""Google's engine, `cel-expr-python`, within the same bounds.

It has no bound of its own that would do: `map` and `filter` take time quadratic in the list, and
`matches` as long as the text and the pattern make it. So `matches` is our own function there, under
another name, and an action that holds too much for loops is left to the Python engine, which counts
steps. What comes from an action is taken over once for all rules of a decision.
"""

import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, timedelta, tzinfo
from typing import Any, Final

from attrs import define, field, frozen
from cel_expr_python import cel

from acteon.rules import ConditionError, Context, EvaluationError, StateNotReadError, StateRead
from acteon.rules.context import ACTION_MEMBERS, TIME_MEMBERS
from acteon.rules.stored import NEVER, counter_of, seconds_since
from acteon.rules_cel import functions
from acteon.rules_cel.engines import NOWHERE, Condition, Evaluate, PythonEngine
from acteon.rules_cel.syntax import Call, Node, children
from acteon.rules_cel.values import MAX_DURATION, CelType, Frame, Uint, from_json, key_of

_cel: Any = cel
_MAX_NODES: Final = 10_000
"""Values of an action that are taken over; converting more takes too long."""
_MAX_LOOPS: Final = 4_000
"""Items that loops within loops may look at."""
_MAX_LISTED: Final = 150
"""Items of a list that `map` or `filter` may go over: they take time quadratic in it."""
_OWN: Final = {
    "matches": "acteon_matches",
    "lowerAscii": "acteon_lowerAscii",
    "upperAscii": "acteon_upperAscii",
    "trim": "acteon_trim",
    "replace": "acteon_replace",
    "split": "acteon_split",
    "join": "acteon_join",
}
"""Functions that are ours there, too, by the names under which it knows them."""


class _Asking(threading.local):
    """What the functions of the evaluation that runs in this thread need to know.

    Attributes:
        context: The decision.
        failed: What one of them raised; the engine keeps no more of it than its text.
        frame: The evaluation.
    """

    context: Context | None = None
    failed: Exception | None = None
    frame: Frame | None = None


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


def _context() -> Context:
    assert _asking.context is not None, "functions are called while a condition is evaluated"
    return _asking.context


def _state_get(key: str) -> str | None:
    return _context().read(StateRead("state", key))


def _state_counter(key: str) -> int:
    return counter_of(_context().read(StateRead("counter", key)))


def _state_since(key: str) -> Any:

    context = _context()
    seconds = seconds_since(context.read(StateRead("state", key)), context.now)
    return MAX_DURATION if seconds == NEVER else timedelta(seconds=seconds)


def _own(name: str) -> Callable[..., Any]:
    apply, _ = functions.METHODS[name]

    def call(*arguments: Any) -> Any:
        frame = _asking.frame
        assert frame is not None, "functions are called while a condition is evaluated"
        return apply(frame, *arguments)

    return call


def _declarations() -> list[Any]:
    kind = _cel.Type
    texts = kind.List(kind.STRING)
    declared: list[tuple[str, bool, Any, list[Any], Callable[..., Any]]] = [
        ("state.get", False, kind.DYN, [kind.STRING], _state_get),
        ("state.counter", False, kind.INT, [kind.STRING], _state_counter),
        ("state.since", False, kind.DURATION, [kind.STRING], _state_since),
        (_OWN["matches"], True, kind.BOOL, [kind.STRING] * 2, _own("matches")),
        (_OWN["lowerAscii"], True, kind.STRING, [kind.STRING], _own("lowerAscii")),
        (_OWN["upperAscii"], True, kind.STRING, [kind.STRING], _own("upperAscii")),
        (_OWN["trim"], True, kind.STRING, [kind.STRING], _own("trim")),
        (_OWN["replace"], True, kind.STRING, [kind.STRING] * 3, _own("replace")),
        (_OWN["split"], True, texts, [kind.STRING] * 2, _own("split")),
        (_OWN["join"], True, kind.STRING, [kind.LIST, kind.STRING], _own("join")),
    ]
    return [
        _cel.FunctionDecl(
            name,
            [
                _cel.Overload(
                    f"{name.replace('.', '_')}_overload",
                    return_type=gives,
                    parameters=takes,
                    is_member=is_member,
                    impl=_kept(function),
                )
            ],
        )
        for name, is_member, gives, takes, function in declared
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
        program = _compiled(self._environment, _renamed(condition.text, condition.node))
        slow = self._fallback.prepare(condition)
        facts = condition.facts

        def bind(environment: Mapping[str, str], timezone: tzinfo) -> Evaluate:
            slowly = slow(environment, timezone)
            key = (NativeEngine, id(environment), timezone)

            def evaluate(context: Context) -> Any:
                shared = context.shared
                held = shared.get(_Held)
                if held is None:
                    held = shared[_Held] = _Held.of(context)
                if not held.fits(facts.loops, makes_lists=facts.makes_lists):
                    return slowly(context)
                activation = shared.get(key)
                if activation is None:
                    activation = shared[key] = self._activation(context, environment, timezone)
                return _value(program, activation, context, Frame(context, environment, timezone))

            return evaluate

        return bind

    def _activation(
        self, context: Context, environment: Mapping[str, str], timezone: tzinfo
    ) -> Any:
        local = context.now.astimezone(timezone)
        return self._environment.Activation(
            {
                "action": {name: _theirs(read(context)) for name, read in ACTION_MEMBERS.items()},
                "env": dict(environment),
                "now": context.now,
                "time": {name: part(local) for name, part in TIME_MEMBERS.items()},
            }
        )


@frozen
class _Held:
    """How much an action holds.

    Attributes:
        nodes: Its values, up to one more than `_MAX_NODES`.
        longest: The items of its longest list or map.
    """

    nodes: int
    longest: int

    @classmethod
    def of(cls, context: Context) -> "_Held":
        """Return how much the action of `context` holds, counted until that is too much."""
        nodes = len(context.action.metadata)
        longest = nodes
        pending: list[Any] = [context.payload]
        while pending and nodes <= _MAX_NODES:
            value = pending.pop()
            if isinstance(value, list | dict):
                nodes += len(value)
                longest = max(longest, len(value))
                if nodes <= _MAX_NODES:
                    inner = value.values() if isinstance(value, dict) else value
                    pending += [each for each in inner if each.__class__ in (dict, list)]
        return cls(nodes, longest)

    def fits(self, loops: int, *, makes_lists: bool) -> bool:
        """Return whether loops so deep over it end soon enough."""
        if self.nodes > _MAX_NODES:
            return False
        if makes_lists and self.longest > _MAX_LISTED:
            return False
        return loops == 0 or self.longest**loops <= _MAX_LOOPS


def _compiled(environment: Any, text: str) -> Any:
    try:
        return environment.compile(text)
    except RuntimeError as error:
        raise _refused(str(error)) from None


def _refused(text: str) -> ConditionError:
    """Return the first complaint of the engine, with its place."""
    found = _COMPLAINT.search(text)
    if found is None:
        return ConditionError(" ".join(text.split())[:200])
    line, column, message = found.groups()
    for own, name in {name: own for own, name in _OWN.items()}.items():
        message = message.replace(own, name)
    return ConditionError(message.strip(), max(0, int(line)), max(0, int(column)))


def _value(program: Any, activation: Any, context: Context, frame: Frame) -> Any:
    _asking.context, _asking.failed, _asking.frame = context, None, frame
    try:
        result = program.eval(activation)
        failed = _asking.failed
    except RuntimeError as error:
        raise EvaluationError(_plain(str(error))) from None
    finally:
        _asking.context = _asking.failed = _asking.frame = None
    try:
        if isinstance(failed, StateNotReadError):
            raise failed
        if result.type() == _ERROR:
            raise failed or EvaluationError(_plain(str(result.value())))
    finally:
        del failed  # Without it, error and frame would keep each other.
    return _converted(result)


_ERROR: Final = _cel.Type.ERROR
_COMPLAINT: Final = re.compile(r"<input>:(-?\d+):(-?\d+): ([^\n]*)")
_MISSING: Final = re.compile(r'Key not found in map : "(.*)"')
_CODE: Final = re.compile(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$")


def _plain(text: str) -> str:
    """Return the engine's text without its code."""
    plain = " ".join(_CODE.sub("", text).split())[:300]
    missing = _MISSING.fullmatch(plain)
    return f"no such key: {missing[1]}" if missing else plain


def _renamed(text: str, node: Node) -> str:
    """Return `text` with the functions that are ours under the names that the engine knows."""
    lines = text.split("\n")
    places = [
        (each.place, each.function)
        for each in _calls(node)
        if each.is_method and each.function in _OWN
    ]
    for (line, column), function in sorted(places, reverse=True):
        before, after = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
        lines[line - 1] = before + _OWN[function] + after.removeprefix(function)
    return "\n".join(lines)


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
    name = kind.name()
    match value:
        case list():
            return [_converted(each) for each in value]
        case dict():
            return {key_of(key): _converted(member) for key, member in value.items()}
        case bytearray():
            return bytes(value)
        case int() if name == "UINT":
            return Uint(value)
        case _ if name == "TYPE":
            return CelType(_TYPES.get(value.name(), value.name()))
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


def evaluate_natively(text: str, node: Node, variables: Mapping[str, Any]) -> Any:
    """Return the value of an expression over variables of its own; see `evaluate_with`."""
    given: dict[str, Any] = {}
    kinds: dict[str, Any] = {}
    for name, value in variables.items():
        kinds[name] = _cel.Type.UINT if isinstance(value, Uint) else _cel.Type.DYN
        given[name] = value.value if isinstance(value, Uint) else _theirs(value)
    environment = _cel.NewEnv(variables=kinds, functions=_declarations())
    program = _compiled(environment, _renamed(text, node))
    context = NOWHERE
    return _value(program, environment.Activation(given), context, Frame(context, {}, UTC))
