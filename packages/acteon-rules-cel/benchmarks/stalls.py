"""The longest that one CEL condition takes, of many made at random, on payloads of a megabyte.

python packages/acteon-rules-cel/benchmarks/stalls.py [SECONDS] [SEED]
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from typing import Any

from acteon.core import Action
from acteon.rules import ConditionError, Deny, EvaluationError, Rule, RuleSet
from acteon.rules.expression import Foreign
from acteon.rules_cel.engines import engine, read
from acteon.rules_cel.program import CelProgram

MEGABYTE = 1_000_000
SHOWN = 5
REPEATS = 3
"""An evaluation counts with its shortest run, as others use the machine, too."""
LONG = 0.005
NOW = datetime(2026, 1, 5, tzinfo=UTC)
X, Y = "action.payload.x", "action.payload.y"
LOOPS = ["all", "exists", "exists_one", "filter", "map"]
PATTERNS = ["a+b", "(a*)*b", "[a-f]{1,200}@", "(?i)k.*z", r"(\\w{1,50}@){2}", "^$", "é"]
HOSTILE = [
    f"{X}.all(a, {X}.all(b, {X}.all(c, a == c)))",
    f"{X}.map(a, {X}.map(b, a)) == []",
    f"{X}.exists(a, {X} == {Y})",
    f"{X}.exists(a, a.nope)",
    f"{X}.all(a, a.nope || a == 0)",
    f"{X}.exists(a, a in {X})",
    f"({X} + {X}) == ({Y} + {Y})",
    " || ".join([f"{X} == {Y}"] * 100),
    " || ".join([f"{X}.nope"] * 150),
    " || ".join([f"{X}.contains({Y})"] * 80),
    " || ".join([f"{X}.matches('[a-f]{{1,9{n}}}@')" for n in range(9)]),
    " || ".join([f"{X}.lowerAscii() == {Y}.upperAscii()"] * 40),
    "[" + " + ".join([X] * 60) + "].exists(a, a == 1)",
    f"[{X}].map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).exists(a, size(a) == 1)",
    f"{X}.split('a').map(a, a).exists(a, a == {Y})",
    f"{X}.split('').all(a, a == 'a')",
    f"{X}.replace('a', {Y}) == ''",
    f"{X}.exists(a, now.getHours(a) == 1)",
    f"{X}.exists(a, a.contains(a + 'a'))",
    f"{X}.exists(a, a.matches(a))",
    f"{X}.exists(a, double(a) == 1.0 || int(a) == 1 || timestamp(a) == now)",
    f"double({X}) == 1.0 || duration({X}) == duration('1s') || timestamp({X}) == now",
    f"size({X}.map(a, [a, a, a, a, a, a, a, a])) == 0",
    "[" + ", ".join(["1"] * 1_000) + "].map(a, a).all(b, b > 1)",
    "[" * 20 + X + "]" * 20 + " == " + "[" * 20 + Y + "]" * 20,
    f"{X}.exists(a, state.get(a) == '')",
]


def payloads(chance: Random) -> dict[str, Any]:
    """Return payloads of about a megabyte, each of another kind, and smaller ones for loops."""
    letters = "".join(chance.choices("abcdefgz@ 1", k=MEGABYTE))
    words = ["".join(chance.choices("abkz@", k=20)) for _ in range(MEGABYTE // 24)]
    return {
        "one letter": {"x": "a" * MEGABYTE, "y": "a" * (MEGABYTE // 2) + "b"},
        "letters": {"x": letters, "y": letters[::-1]},
        "unicode": {"x": "Éß漢" * (MEGABYTE // 7), "y": "é"},
        "numbers": {"x": [1] * (MEGABYTE // 2), "y": [1] * (MEGABYTE // 2)},
        "words": {"x": words, "y": words[::-1]},
        "lists": {"x": [[]] * (MEGABYTE // 3), "y": [[]] * (MEGABYTE // 3)},
        "maps": {"x": {f"k{n}": n for n in range(MEGABYTE // 12)}, "y": {"a": 1}},
        "objects": {"x": [{"a": n} for n in range(MEGABYTE // 10)], "y": []},
        "some words": {"x": words[:3_000], "y": words[:3_000]},
        "some objects": {"x": [{"a": n} for n in range(1_500)], "y": 1},
        "few numbers": {"x": [1] * 140, "y": [1] * 140},
        "long texts": {"x": ["a" * 2_400] * 400, "y": "a" * 1_200 + "b"},
        "two long texts": {"x": ["a" * 30_000, "b" * 30_000], "y": "a" * 15_000 + "b"},
    }


def value(chance: Random, names: list[str], depth: int) -> str:
    """Return an expression of any type."""
    if not depth:
        return chance.choice([X, Y, *names, *names, "dyn(1)", "dyn(1.5)", "dyn('a')", "[dyn(1)]"])
    one, other = (value(chance, names, depth - 1) for _ in range(2))
    match chance.randrange(9):
        case 0:
            return f"dyn({one} {chance.choice(['+', '+', '-', '*', '==', 'in', '<'])} {other})"
        case 1 | 2:
            name = f"v{len(names)}"
            body = value(chance, [*names, name], depth - 1)
            return f"{one}.{chance.choice(LOOPS)}({name}, {body})"
        case 3:
            return f"dyn({chance.choice(['size', 'string', 'int', 'double', 'timestamp'])}({one}))"
        case 4:
            return f"{one}.{chance.choice(['contains', 'startsWith', 'split', 'join'])}({other})"
        case 5:
            return f"{one}.matches('{chance.choice(PATTERNS)}')"
        case 6:
            return f"[{one}, {other}]"
        case 7:
            return f"{one}.{chance.choice(['lowerAscii', 'trim', 'size'])}()"
        case _:
            return f"({one} ? {other} : {one})"


def conditions(chance: Random) -> Iterator[str]:
    """Yield those known to be bad, then others without end."""
    yield from HOSTILE
    while True:
        terms = [f"{value(chance, [], 4)} == dyn({value(chance, [], 1)})" for _ in range(3)]
        yield f" {chance.choice(['||', '&&'])} ".join(terms)


def made(name: str, text: str) -> Callable[[Action], Any] | None:
    """Return what asks a rule with the condition, if the engine takes it."""
    try:
        condition = Foreign(CelProgram(read(text), engine(name)))
    except ConditionError:
        return None
    rules = RuleSet.compile([Rule(name="r", condition=condition, effect=Deny())])
    return lambda action: rules.decide(action, now=NOW)


def time_of(ask: Callable[[Action], Any], action: Action) -> float:
    """Return the seconds that an evaluation takes."""
    shortest = float("inf")
    for _ in range(REPEATS):
        began = time.thread_time()
        with suppress(EvaluationError):
            ask(action)
        shortest = min(shortest, time.thread_time() - began)
        if shortest < LONG / 5:
            break
    return shortest


def main() -> None:
    """Print how many evaluations were tried with each engine, and the longest."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    chance = Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    actions = {
        kind: Action(namespace="n", tenant="t", provider="p", action_type="a", payload=payload)
        for kind, payload in payloads(chance).items()
    }
    took: dict[str, list[tuple[float, str]]] = {"python": [], "native": []}
    end = time.monotonic() + seconds
    for text in conditions(chance):
        if time.monotonic() > end:
            break
        for name, times in took.items():
            ask = made(name, text)
            if ask is None:
                continue
            for kind, action in actions.items():
                with suppress(Exception):  # State entries are asked for.
                    times.append((time_of(ask, action), f"{text[:150]} on {kind}"))
    for name, times in took.items():
        times.sort(reverse=True)
        over = sum(each > LONG for each, _ in times)
        print(f"{name}: {len(times)} evaluations on a megabyte, {over} over 5 ms; the longest:")
        for each, text in times[:SHOWN]:
            print(f"{each * 1000:8.1f} ms  {text}")


if __name__ == "__main__":
    main()
