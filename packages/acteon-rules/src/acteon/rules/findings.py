"""What is odd about rules: found when they are loaded rather than when they are needed."""

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from acteon.rules.builtins import check_call
from acteon.rules.context import ACTION_MEMBERS, TIME_MEMBERS
from acteon.rules.errors import (
    EvaluationError,
    InvalidRegexError,
    Problem,
    TypeMismatchError,
    UndefinedFunctionError,
)
from acteon.rules.expression import (
    Binary,
    BinaryOperator,
    Call,
    Exists,
    Expression,
    Field,
    Foreign,
    Literal,
    Name,
)
from acteon.rules.mismatches import mismatch
from acteon.rules.regex import compile_regex
from acteon.rules.rule import Deduplicate, Modify, Reroute, Rule, Throttle
from acteon.rules.walking import parts

_KNOWN_NAMES: Final = frozenset({"action", "env", "environment", "now", "time"})
_STATE: Final = frozenset({"state", "state_counter", "state_seen"})
_DEFINE: Final = "; define it under [rules.environment]"
_FAILS: Final = "fails when it is evaluated"
_CALLS: Final[dict[type[EvaluationError], str]] = {
    UndefinedFunctionError: "unknown-function",
    TypeMismatchError: "wrong-type",
}


def expressions_of(rule: Rule) -> Iterator[Expression]:
    """Yield every expression of `rule`: its condition, and what its effect works out."""
    yield rule.condition
    computed = computed_by(rule)
    if computed is not None:
        yield computed


def computed_by(rule: Rule) -> Expression | None:
    """Return what the effect of `rule` works out for each action: its key, or its changes."""
    match rule.effect:
        case Deduplicate(key=key) | Throttle(key=key):
            return key
        case Modify(changes=changes) | Reroute(changes=changes) if isinstance(changes, Expression):
            return changes
        case _:
            return None


def find_problems(
    rules: Iterable[Rule], *, variables: Collection[str] | None, always: Callable[[int], bool]
) -> Iterator[Problem]:
    """Yield what is odd about `rules`.

    Args:
        rules: In the order of evaluation.
        variables: The names that the environment gives; None: not known.
        always: Whether the rule of that number matches whatever the action.
    """
    named: dict[str, Rule] = {}
    ended_by: Rule | None = None
    for number, rule in enumerate(rules):
        first = named.setdefault(rule.name, rule)
        if first is not rule:
            yield _problem(rule, "duplicate-name", _two_of_a_name(first, rule))
        if ended_by is not None and rule.enabled:
            message = f"never asked: rule {ended_by.name!r} before it matches always"
            yield _problem(rule, "unreachable", message)
        elif rule.enabled and always(number) and not (rule.continues or rule.shadow):
            ended_by = rule
        for expression in expressions_of(rule):
            for code, message in _oddities(expression, variables):
                yield _problem(rule, code, message)


def _two_of_a_name(first: Rule, second: Rule) -> str:
    place = ":".join(str(each) for each in (first.source, first.line) if each)
    where = f" ({place})" if place else ""
    text = f"another rule has the same name{where}; only the first can be switched off and on"
    if isinstance(first.effect, Throttle) and isinstance(second.effect, Throttle):
        text += ", and their throttles share one count"
    return f"{text}; rename one of them"


def _problem(rule: Rule, code: str, message: str) -> Problem:
    return Problem(message=message, file=rule.source, rule=rule.name, line=rule.line, code=code)


def _oddities(
    expression: Expression, variables: Collection[str] | None
) -> Iterator[tuple[str, str]]:
    asked: Expression | None = None
    for part in parts(expression):
        match part:
            case Name(name) if name not in _KNOWN_NAMES and name not in (variables or ()):
                hint = _meant(name, variables or ())
                yield "unknown-name", f"{_FAILS}: undefined variable: {name}{hint}"
            case Field(Name("action"), name) if name not in ACTION_MEMBERS:
                hint = _close(name, ACTION_MEMBERS)
                yield "unknown-field", f"action has no member {name!r}, so it is always null{hint}"
            case Field(Name("time"), name) if name not in TIME_MEMBERS:
                hint = _close(name, TIME_MEMBERS)
                yield "unknown-field", f"time has no member {name!r}, so it is always null{hint}"
            case Call(function, arguments):
                try:
                    check_call(function, len(arguments))
                except EvaluationError as error:
                    yield _CALLS[type(error)], f"{_FAILS}: {error}"
            case Exists(operand):
                asked = operand  # Whether it is there is just what this one wants to know.
            case Field(Name("env" | "environment" as env), name):
                if variables is not None and name not in variables and part is not asked:
                    yield "unknown-field", _undefined(env, name, variables)
            case Foreign(program) if variables is not None:
                for name in program.variables:
                    if name not in variables:
                        mend = _close(name, variables) or _DEFINE
                        yield "unknown-field", f"{_FAILS}: env has no {name!r}{mend}"
            case Binary():
                yield from _failing(part)
            case _:
                pass


def _failing(comparison: Binary) -> Iterator[tuple[str, str]]:
    reason = mismatch(comparison)
    if reason is not None:
        yield "wrong-type", f"{_FAILS}: {reason}"
    match comparison:
        case Binary(BinaryOperator.MATCHES, _, Literal(str() as pattern)):
            try:
                compile_regex(pattern)
            except InvalidRegexError as error:
                yield "bad-pattern", f"{_FAILS}: {error}"
        case _:
            pass


def _undefined(env: str, name: str, variables: Collection[str]) -> str:
    mend = _close(name, variables) or _DEFINE
    return f"{env} has no {name!r}, so it is always null{mend}"


def _meant(name: str, variables: Collection[str]) -> str:
    """Return a hint at the variable, or the member of the action, that `name` is meant to be."""
    if name in _STATE:
        return "; state entries are asked by a condition of their own, such as {state_counter: …}"
    known = {member: f"action.{member}" for member in ACTION_MEMBERS}
    known |= {each: each for each in (*_KNOWN_NAMES, *variables)}
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {known[close[0]]}?" if close else ""


def _close(name: str, known: Collection[str]) -> str:
    spelt = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), spelt, n=1)
    return f"; did you mean {spelt[close[0]]!r}?" if close else ""
