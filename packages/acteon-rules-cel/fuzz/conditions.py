"""Look for texts that crash the reading or evaluating of rules, or take long: `nox -s fuzz`.

Every input is a rule file in YAML, a condition in CEL, or a pattern, by its first byte. What loads
is asked about actions that hold about a megabyte. atheris reports what is raised besides the
errors that rules have.

    nox -s fuzz -- -max_total_time=60
"""

import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import atheris

with atheris.instrument_imports(include=["acteon", "celpy"]):
    from acteon.core import Action
    from acteon.rules import (
        ConditionError,
        Deny,
        EvaluationError,
        Rule,
        RuleParseError,
        RuleSet,
        StateNotReadError,
    )
    from acteon.rules.expression import Binary, BinaryOperator, Expression, Field, Literal, Name
    from acteon.rules_cel import CelRuleFrontend
    from acteon.rules_yaml import YamlRuleFrontend

NOW = datetime(2026, 1, 5, tzinfo=UTC)
SLOW = 0.05
"""Seconds of processor time, under instrumentation, after which an evaluation is told."""
PAYLOAD = Field(Name("action"), "payload")
ACTIONS = [
    Action(namespace="n", tenant="t", provider="p", action_type="a", payload=payload)
    for payload in (
        {"x": "ab@ " * 250_000, "y": "a"},
        {"x": [1, "a", {"z": None}] * 50_000, "y": {"k": [1]}},
    )
]


def rules_in(kind: int, text: str) -> RuleSet:
    """Return the rules that an input makes."""
    condition: Expression
    if kind == 0:
        return RuleSet.compile(YamlRuleFrontend().parse(text).rules)
    if kind == 1:
        condition = CelRuleFrontend().parse_condition(text).expression
    else:
        condition = Binary(BinaryOperator.MATCHES, Field(PAYLOAD, "x"), Literal(text))
    return RuleSet.compile([Rule(name="r", condition=condition, effect=Deny())])


def one_input(data: bytes) -> None:
    """Try one input."""
    text = data[1:].decode("utf-8", "replace")
    try:
        rules = rules_in(data[0] % 3 if data else 0, text)
    except (RuleParseError, ConditionError):
        return
    for action in ACTIONS:
        began = time.thread_time()
        with suppress(EvaluationError, StateNotReadError):
            rules.decide(action, now=NOW)
        if time.thread_time() - began > SLOW:
            raise RuntimeError(f"took {time.thread_time() - began:.3f} s: {text!r}")


def main() -> None:
    """Run until it is told to stop, or finds something."""
    module: Any = atheris
    module.Setup(sys.argv, one_input)
    module.Fuzz()


if __name__ == "__main__":
    main()
