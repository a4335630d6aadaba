"""Rules: the cost of a decision, a start with many of them, and a reload while others wait.

Figures of one run belong together: machines differ and are shared, ratios are what lasts.

    nox -s bench
"""

import asyncio
import gc
import http.client
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from attrs import define, field
from dispatch import free_port, running

from acteon.core import Action
from acteon.gateway import Gateway, parse_rules
from acteon.rules import RuleSet

SIZES = (10, 100, 1_000, 10_000)
PER_FILE = 1_000
DECISIONS = 5_000
KINDS = 100
CLIENTS = 4
RELOADS = 5
NOW = datetime(2025, 1, 31, 9, tzinfo=UTC)

ASKED = 100

FOUR_TERMS = """\
  - name: four-{number}
    condition:
      all:
        - {{field: action.provider, eq: email}}
        - {{field: action.payload.amount, gt: 500}}
        - {{field: action.payload.currency, eq: EUR}}
        - {{field: action.payload.to, ends_with: "{end}"}}
    action: {{type: suppress}}
"""


def rules_text(first: int, count: int) -> str:
    """Return a rule file: each rule is for actions of a type of its own."""
    return "rules:\n" + "".join(
        f"""\
  - name: rule-{number}
    priority: {number}
    description: Hold what nobody reads
    condition:
      all:
        - {{field: action.action_type, eq: type-{number}}}
        - {{field: action.payload.amount, gt: {number}}}
    action: {{type: suppress}}
"""
        for number in range(first, first + count)
    )


def write_rules(folder: Path, count: int) -> None:
    """Write `count` rules into files in `folder`."""
    folder.mkdir()
    for first in range(0, count, PER_FILE):
        text = rules_text(first, min(PER_FILE, count - first))
        (folder / f"{first:06}.yaml").write_text(text)


def action_of(kind: str, amount: int = 10**6) -> Action:
    """Return an action of the type `kind`."""
    payload = {"amount": amount, "currency": "EUR", "to": "user@example.com"}
    return Action(namespace="n", tenant="t", provider="email", action_type=kind, payload=payload)


def decision_seconds(count: int) -> float:
    """Return the p50 of a decision among `count` rules of which one matches."""
    parsed = [
        rule
        for first in range(0, count, PER_FILE)
        for rule in parse_rules(rules_text(first, min(PER_FILE, count - first)))
    ]
    rules = RuleSet.compile(parsed)
    # As many kinds of action whatever the number of rules, from first to last: what differs is
    # the number of rules alone, not how much of them the processor has at hand.
    kinds = [f"type-{number * count // KINDS}" for number in range(KINDS)]
    actions = [action_of(kinds[number % KINDS]) for number in range(DECISIONS)]
    gc.collect()
    taken: list[float] = []
    for action in actions:
        start = time.perf_counter()
        decision = rules.decide(action, now=NOW)
        taken.append(time.perf_counter() - start)
        assert decision.refused
    return median(taken)


def four_term_rules(count: int, end: str) -> RuleSet:
    """Return rules that no index passes over; their last term is true of texts with that end."""
    rules = "".join(FOUR_TERMS.format(number=number, end=end) for number in range(count))
    return RuleSet.compile(parse_rules(f"rules:\n{rules}"))


def best_seconds(rules: RuleSet, rounds: int) -> float:
    """Return what a decision takes when nothing disturbs it."""
    action = action_of("any")
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(rounds):
            rules.decide(action, now=NOW)
        best = min(best, (time.perf_counter() - start) / rounds)
    return best


async def longest_gap(folder: Path, change: Callable[[Gateway], Any]) -> tuple[float, float]:
    """Return how long the event loop stood still at most during `change`, and what that took."""
    async with Gateway.open(rules=folder) as gateway:
        gaps = [0.0]
        done = asyncio.Event()

        async def tick() -> None:
            before = time.perf_counter()
            while not done.is_set():
                await asyncio.sleep(0.001)
                now = time.perf_counter()
                gaps.append(now - before - 0.001)
                before = now

        async with asyncio.TaskGroup() as group:
            group.create_task(tick())
            await asyncio.sleep(0.01)
            gaps.clear()
            start = time.perf_counter()
            await change(gateway)
            taken = time.perf_counter() - start
            await asyncio.sleep(0.01)
            done.set()
        return max(gaps), taken


@define(eq=False)
class Load:
    """Clients that send one action after the other until they are told to stop.

    Attributes:
        port: The server's.
        answered: How many actions were answered 200.
        failed: How many were not.
        slowest: What the slowest answer took.
    """

    port: int
    answered: int = 0
    failed: int = 0
    slowest: float = 0.0
    _stop: threading.Event = field(factory=threading.Event, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    @contextmanager
    def running(self) -> Generator[None]:
        """Send while the block runs."""
        threads = [threading.Thread(target=self._send) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _send(self) -> None:
        body = json.dumps({**action_of("type-1").as_json(), "provider": "null", "id": "@"})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        name = threading.get_ident()
        number = 0
        while not self._stop.is_set():
            number += 1
            start = time.perf_counter()
            try:
                answer = posted(connection, "/v1/dispatch", body.replace("@", f"{name}-{number}"))
                good = answer == 200
            except OSError:
                good = False
                connection.close()
            taken = time.perf_counter() - start
            with self._lock:
                self.answered += good
                self.failed += not good
                self.slowest = max(self.slowest, taken)
        connection.close()


def posted(connection: http.client.HTTPConnection, path: str, body: str | None = None) -> int:
    """Return the status of the answer to a POST."""
    headers = {} if body is None else {"Content-Type": "application/json"}
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def start_seconds(config: Path, port: int) -> float:
    """Return the time from the start of a server's process to its first answer."""
    start = time.perf_counter()
    with running("-m", "acteon.server", "-c", str(config), port=port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        taken = time.perf_counter() - start
        connection.close()
        return taken


def reload_under_load(config: Path, port: int) -> Load:
    """Reload the rules of a server again and again while clients use it; return what they saw."""
    with running("-m", "acteon.server", "-c", str(config), port=port):
        load = Load(port)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with load.running():
            for _ in range(RELOADS):
                assert posted(connection, "/v1/rules/reload") == 200
        connection.close()
        return load


def configured(folder: Path, rules: Path) -> tuple[Path, int]:
    """Return a configuration with those rules, and its port."""
    port = free_port()
    config = folder / f"{rules.name}.toml"
    config.write_text(
        f'[server]\nport = {port}\n[rules]\ndirectory = "{rules}"\n'
        '[[providers]]\nname = "null"\ntype = "log"\n'
    )
    return config, port


def show(what: str, figure: str, wanted: str = "") -> None:
    """Print one row."""
    print(f"{what:<46}{figure:>14}   {wanted}", flush=True)


def main() -> int:
    """Measure and print; return 1 if a promise is not kept."""
    kept = True

    def check(what: str, figure: str, promise: str, holds: bool) -> None:
        nonlocal kept
        kept = kept and holds
        show(what, figure, f"{promise}{'' if holds else '  MISSED'}")

    decisions = {count: decision_seconds(count) for count in SIZES}
    for count, seconds in decisions.items():
        show(f"decision among {count:,} rules, p50", f"{seconds * 1e6:.2f} µs")
    ratio = decisions[10_000] / decisions[100]
    check("  10,000 rules / 100 rules", f"{ratio:.2f}", "at most 2", ratio <= 2)
    one = best_seconds(four_term_rules(1, "@example.com"), 20_000)
    show("decision of one rule with four terms", f"{one * 1e6:.2f} µs")
    four = best_seconds(four_term_rules(ASKED, "@other.example"), 1_000) / ASKED
    check("  a rule with four terms that is asked", f"{four * 1e6:.2f} µs", "below 1", four < 1e-6)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many, some = folder / "many", folder / "some"
        write_rules(many, 10_000)
        write_rules(some, 1_000)
        gap, taken = asyncio.run(longest_gap(some, lambda gateway: gateway.reload_rules()))
        show("reload of 1,000 rules", f"{taken:.2f} s")
        check("  longest stall", f"{gap * 1e3:.0f} ms", "at most 50", gap <= 0.05)
        gap, taken = asyncio.run(
            longest_gap(many, lambda gateway: gateway.set_rule_enabled("rule-5", enabled=False))
        )
        show("switching one of 10,000 rules", f"{taken:.2f} s")
        show("  longest stall", f"{gap * 1e3:.0f} ms")
        load = reload_under_load(*configured(folder, some))
        check(
            f"{RELOADS} reloads under load, {load.answered:,} answers",
            f"{load.failed} failed",
            "none",
            load.failed == 0 and load.answered > 0,
        )
        show("  slowest answer meanwhile", f"{load.slowest * 1e3:.0f} ms")
        seconds = start_seconds(*configured(folder, many))
        check("start with 10,000 rules", f"{seconds:.2f} s", "below 6", seconds < 6)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
