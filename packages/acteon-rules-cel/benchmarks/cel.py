"""How long a hundred conditions in CEL take together, with each engine.

python packages/acteon-rules-cel/benchmarks/cel.py
"""

import time
from datetime import UTC, datetime
from statistics import median

from acteon.core import Action
from acteon.rules import Deny, Rule, RuleSet
from acteon.rules.expression import Foreign
from acteon.rules_cel.engines import engine, read
from acteon.rules_cel.program import CelProgram

RULES = 100
ROUNDS = 300
CONDITIONS = (
    'action.payload.amount > {n} && action.payload.to.endsWith("@corp{n}.example")',
    "action.payload.items.exists(i, i.price > 1000 + {n})",
    "has(action.payload.urgent) && action.payload.count == {n}",
    'action.payload.kind in ["a{n}", "b{n}"] || action.payload.amount * 2 < {n}',
)
ACTION = Action(
    namespace="shop",
    tenant="acme",
    provider="email",
    action_type="order",
    payload={
        "amount": 250,
        "to": "ada@example.com",
        "kind": "c",
        "count": -1,
        "items": [{"price": 10, "sku": "A-1"}, {"price": 20, "sku": "B-2"}],
    },
)
NOW = datetime(2026, 1, 5, tzinfo=UTC)


def measured(name: str) -> float:
    """Return the seconds that all rules take together about one action, in the median."""
    rules = RuleSet.compile(
        Rule(
            name=str(number),
            effect=Deny(),
            condition=Foreign(
                CelProgram(
                    read(CONDITIONS[number % len(CONDITIONS)].format(n=number)), engine(name)
                )
            ),
        )
        for number in range(RULES)
    )
    took: list[float] = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        decision = rules.decide(ACTION, now=NOW)
        took.append(time.perf_counter() - start)
        assert decision.rule is None
    return median(took)


def main() -> None:
    """Print the figures."""
    for name in ("python", "native"):
        print(f"{RULES} rules in CEL, {name:6} engine: {measured(name) * 1000:.2f} ms a decision")


if __name__ == "__main__":
    main()
