"""The longest that one condition takes, of many made at random, on payloads of a megabyte.

python packages/acteon-rules/benchmarks/stalls.py [SECONDS] [SEED]
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from typing import Any

from acteon.core import Action
from acteon.rules import Deny, EvaluationError, Rule, RuleSet, describe
from acteon.rules.builtins import ARITIES
from acteon.rules.expression import (
    Binary,
    BinaryOperator,
    Call,
    Exists,
    Expression,
    Field,
    Index,
    ListOf,
    Literal,
    Name,
)

MEGABYTE = 1_000_000
SHOWN = 5
NOW = datetime(2026, 1, 5, tzinfo=UTC)
ATOMS = ["a", "b", "é", "z", ".", r"\w", r"\d", r"\s", r"[a-f]", r"[^a-f]", r"\pL", "(?i:k)", "@"]
REPEATS = ["", "", "", "*", "+", "?", "{3}", "{2,5}", "{0,30}", "{1,255}", "{900}"]
EDGES = ["", "", "", "^", "$", r"\b", r"\A", r"\z"]


def payloads(chance: Random) -> dict[str, Any]:
    """Return payloads of about a megabyte, each of another kind."""
    letters = "".join(chance.choices("abcdefgz@ 1", k=MEGABYTE))
    return {
        "one letter": {"x": "a" * MEGABYTE, "y": "a" * MEGABYTE},
        "letters": {"x": letters, "y": letters[::-1]},
        "unicode": {"x": "éß漢" * (MEGABYTE // 7), "y": "é"},
        "numbers": {"x": [1] * (MEGABYTE // 2), "y": [1] * (MEGABYTE // 2)},
        "texts": {"x": ["ab"] * (MEGABYTE // 5), "y": "zz"},
        "lists": {"x": [[]] * (MEGABYTE // 3), "y": [[]] * (MEGABYTE // 3)},
        "maps": {"x": {f"k{n}": n for n in range(MEGABYTE // 12)}, "y": {"a": 1}},
    }


def pattern(chance: Random, depth: int = 2) -> str:
    """Return a regular expression."""
    pieces: list[str] = []
    for _ in range(chance.randint(1, 4)):
        atom = chance.choice(ATOMS)
        if depth and chance.random() < 0.3:
            atom = f"({pattern(chance, depth - 1)}|{pattern(chance, depth - 1)})"
        pieces.append(chance.choice(EDGES) + atom + chance.choice(REPEATS))
    return "".join(pieces)


def expression(chance: Random, depth: int = 3) -> Expression:
    """Return a condition that looks at much of the payload."""
    payload = Field(Name("action"), "payload")
    if not depth:
        return chance.choice(
            [
                payload,
                Field(payload, "x"),
                Field(payload, "y"),
                Index(Field(payload, "x"), Literal(-1)),
                Literal(chance.choice([1, 1.5, "a", "zz", None, True])),
                ListOf((Literal(1), Literal("a"))),
            ]
        )
    parts = [expression(chance, depth - 1) for _ in range(2)]
    match chance.randrange(6):
        case 0:
            function = chance.choice(sorted(ARITIES))
            count = ARITIES[function]
            return Call(function, tuple(parts[: 2 if count is None else count]))
        case 1:
            return Binary(BinaryOperator.MATCHES, parts[0], Literal(pattern(chance)))
        case 2:
            return Exists(parts[0])
        case _:
            return Binary(chance.choice(list(BinaryOperator)), parts[0], parts[1])


def made(chance: Random) -> tuple[str, Callable[[Action], Any]]:
    """Return a condition, as text and ready to be asked."""
    if chance.random() < 0.5:
        text = pattern(chance)
        condition: Expression = Binary(
            BinaryOperator.MATCHES,
            Field(Field(Name("action"), "payload"), "x"),
            Literal(text),
        )
    else:
        condition = expression(chance)
        text = describe(condition)
    rules = RuleSet.compile([Rule(name="r", condition=condition, effect=Deny())])
    return text, lambda action: rules.decide(action, now=NOW)


def main() -> None:
    """Print how many conditions were tried, and the longest that one took."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    chance = Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    actions = {
        kind: Action(namespace="n", tenant="t", provider="p", action_type="a", payload=payload)
        for kind, payload in payloads(chance).items()
    }
    took: list[tuple[float, str]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text, ask = made(chance)
        for kind, action in actions.items():
            began = time.thread_time()
            with suppress(EvaluationError):
                ask(action)
            took.append((time.thread_time() - began, f"{text[:160]} on {kind}"))
    took.sort(reverse=True)
    over = sum(each > 0.005 for each, _ in took)
    print(f"{len(took)} evaluations on a megabyte, {over} of them over 5 ms; the longest:")
    for each, text in took[:SHOWN]:
        print(f"{each * 1000:8.1f} ms  {text}")


if __name__ == "__main__":
    main()
