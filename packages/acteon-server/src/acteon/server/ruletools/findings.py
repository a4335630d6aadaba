"""What can be found wrong with rules, or odd about them, each kind under a code of its own."""

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final

from attrs import frozen

from acteon.rules import Deduplicate, Problem, Reroute, Rule
from acteon.rules.expression import (
    Binary,
    BinaryOperator,
    Exists,
    Expression,
    Field,
    ListOf,
    Literal,
    Name,
)
from acteon.server.ruletools.clauses import implied
from acteon.server.ruletools.constants import contradictions
from acteon.server.ruletools.order import hidden

CODES: Final = {
    "load": "a file, or a rule of it, cannot be read; the server would refuse it",
    "file": "something in a file is ignored, or not what it seems to be",
    "empty": "there are no rules, in any of the files",
    "duplicate-name": "two rules have one name; only the first can be switched off and on",
    "duplicate-rule": "a rule has the condition of one before it, which decides",
    "unreachable": "an earlier rule decides whenever this one could match",
    "no-effect": "an earlier rule of the same type counts whenever this one matches",
    "unknown-name": "a name stands for nothing; the rule fails when it is asked",
    "unknown-field": "`action`, `time` or `env` has no such member; it is always null",
    "unknown-function": "there is no such function",
    "bad-pattern": "a pattern is no regular expression",
    "wrong-type": "an operator gets what it does not take; the rule fails when it is asked",
    "never-true": "comparisons that can never be true",
    "always-true": "comparisons that are always true",
    "unknown-provider": "a rule reroutes to a provider that is not configured",
    "no-dedup-key": "a rule deduplicates by `dedup_key`, which actions may lack",
    "odd": "anything else that is odd",
}
"""All kinds of findings."""


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """The server would not take these rules."""
    WARNING = "warning"


@frozen
class Finding:
    """One thing that was found.

    Attributes:
        severity: How bad it is.
        code: The kind, one of `CODES`.
        problem: Where and what it is.
    """

    severity: Severity
    code: str
    problem: Problem

    def __str__(self) -> str:
        return f"{self.problem.located} [{self.severity} {self.code}]"

    def as_json(self) -> dict[str, Any]:
        """Return the finding as JSON has it."""
        problem = self.problem
        return {
            "severity": self.severity.value,
            "code": self.code,
            "file": problem.file,
            "line": problem.line,
            "column": problem.column,
            "rule": problem.rule,
            "path": problem.path,
            "message": problem.message,
        }


def warning_of(problem: Problem) -> Finding:
    """Return the finding for what loading or compiling rules calls odd."""
    code = problem.code or ("file" if problem.column or not problem.rule else "odd")
    return Finding(Severity.WARNING, code, problem)


def findings_about(
    rules: Sequence[Rule], *, providers: Collection[str] | None = None
) -> Iterator[Finding]:
    """Yield what is odd about `rules` beyond what loading them tells.

    Args:
        rules: In the order of evaluation.
        providers: The names of those that are configured; None: not known.
    """
    odd = [*hidden(rules), *_contradictory(rules), *_without_key(rules)]
    if providers is not None:
        odd += _dead_ends(rules, providers)
    for code, rule, message in odd:
        yield Finding(Severity.WARNING, code, _problem(rule, message))


def dead_ends(rules: Iterable[Rule], providers: Collection[str]) -> list[Problem]:
    """Return a problem for each rule that reroutes to none of `providers`."""
    return [_problem(rule, message) for _, rule, message in _dead_ends(rules, providers)]


def _problem(rule: Rule, message: str) -> Problem:
    return Problem(message=message, file=rule.source, rule=rule.name, line=rule.line)


def _contradictory(rules: Iterable[Rule]) -> Iterator[tuple[str, Rule, str]]:
    for rule in rules:
        for code, message in contradictions(rule.condition):
            yield code, rule, message


def _dead_ends(
    rules: Iterable[Rule], providers: Collection[str]
) -> Iterator[tuple[str, Rule, str]]:
    for rule in rules:
        if isinstance(rule.effect, Reroute) and rule.effect.target not in providers:
            target = rule.effect.target
            message = f"reroutes to provider {target!r}, which is not configured"
            close = difflib.get_close_matches(target[:100], providers, n=1)
            there_are = f"; there are: {', '.join(sorted(providers))}" if providers else ""
            hint = f"; did you mean {close[0]!r}?" if close else there_are
            yield "unknown-provider", rule, message + hint


_DEDUP_KEY: Final = Field(Name("action"), "dedup_key")


def _without_key(rules: Iterable[Rule]) -> Iterator[tuple[str, Rule, str]]:
    for rule in rules:
        if not isinstance(rule.effect, Deduplicate) or rule.effect.key is not None:
            continue
        if not any(_needs_a_key(clause) for clause in implied(rule.condition)):
            yield (
                "no-dedup-key",
                rule,
                "an action without dedup_key is a duplicate of nothing but itself; say with `key:` "
                "what makes two actions the same, or match only actions that have a dedup_key",
            )


_TELLING: Final[dict[BinaryOperator, Callable[[Expression], bool]]] = {
    BinaryOperator.EQUAL: lambda right: right != Literal(None),
    BinaryOperator.NOT_EQUAL: lambda right: right == Literal(None),
    BinaryOperator.IN: lambda right: isinstance(right, ListOf) and Literal(None) not in right.items,
    BinaryOperator.CONTAINS: lambda _: True,
    BinaryOperator.STARTS_WITH: lambda _: True,
    BinaryOperator.ENDS_WITH: lambda _: True,
    BinaryOperator.MATCHES: lambda _: True,
}


def _needs_a_key(clause: Expression) -> bool:
    """Return whether an action without `dedup_key` cannot make `clause` true."""
    match clause:
        case Exists(operand):
            return operand == _DEDUP_KEY
        case Binary(operator, left, right) if operator in _TELLING and left == _DEDUP_KEY:
            return _TELLING[operator](right)
        case _:
            return False
