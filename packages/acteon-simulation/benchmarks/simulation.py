"""How many dispatches a gateway in memory makes in a second, and how long each takes.

Figures of one run belong together: machines differ and are shared, ratios are what lasts.

    nox -s bench

prints a table, and writes a plot of the latencies to `simulation-bench.svg`; `--json FILE` and
`--plot FILE` say where else.
"""

import argparse
import asyncio
import gc
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from attrs import asdict, frozen

from acteon.core import Action
from acteon.simulation import RecordingProvider, SimulationConfig, SimulationHarness

SINGLE = 5_000
WARM_UP = 100
LOAD = 1.5
"""Seconds of each measurement under load."""
WIDTH, ROW, LEFT = 900, 22, 330


@frozen(kw_only=True)
class Figures:
    """What was measured.

    Attributes:
        suite: `throughput` or `latency`.
        bench: What was done.
        per_second: Dispatches in a second.
        p50: Microseconds that half of the dispatches, or batches, took at the most.
        p95: The same of 95 in 100.
        p99: The same of 99 in 100.
    """

    suite: str
    bench: str
    per_second: float
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(
        cls, suite: str, bench: str, count: int, took: float, each: Sequence[float]
    ) -> "Figures":
        """Return the figures for `count` dispatches in `took` seconds, with how long each took."""
        cuts = quantiles(each, n=100, method="inclusive") if len(each) > 1 else [each[0]] * 99
        p50, p95, p99 = (cuts[at] * 1e6 for at in (49, 94, 98))
        return cls(suite=suite, bench=bench, per_second=count / took, p50=p50, p95=p95, p99=p99)


def action(payload: Any = None, **members: Any) -> Action:
    """Return an action of the benchmarks."""
    given = {"key": "value"} if payload is None else payload
    names = ("bench-ns", "bench-tenant", "bench-provider", "bench-action")
    return Action(*names, given, **members)


def config(**members: Any) -> SimulationConfig:
    """Return a configuration with one provider that keeps only a few calls."""
    provider = RecordingProvider("bench-provider", keep=1)
    given: dict[str, Any] = {"providers": [provider], "audit": None, **members}
    return SimulationConfig(**given)


async def timed(harness: SimulationHarness, sent: Action, into: list[float]) -> None:
    """Dispatch `sent`, and add how long that took."""
    begun = time.perf_counter()
    await harness.dispatch(sent)
    into.append(time.perf_counter() - begun)


async def one_by_one(suite: str, bench: str, count: int = SINGLE, **members: Any) -> Figures:
    """Measure dispatches one after the other."""
    payload = members.pop("payload", None)
    async with SimulationHarness(config(**members)) as harness:
        for _ in range(WARM_UP):
            await harness.dispatch(action(payload))
        each: list[float] = []
        sent = [action(payload) for _ in range(count)]
        begun = time.perf_counter()
        for one in sent:
            await timed(harness, one, each)
        return Figures.of(suite, bench, count, time.perf_counter() - begun, each)


async def batches(size: int) -> Figures:
    """Measure batches one after the other; the latencies are those of whole batches."""
    rounds = max(5, 5_000 // size)
    async with SimulationHarness(config()) as harness:
        await harness.dispatch_batch([action() for _ in range(size)])
        each: list[float] = []
        begun = time.perf_counter()
        for _ in range(rounds):
            sent = [action() for _ in range(size)]
            start = time.perf_counter()
            await harness.dispatch_batch(sent)
            each.append(time.perf_counter() - start)
        took = time.perf_counter() - begun
        return Figures.of("throughput", f"batches of {size}", rounds * size, took, each)


async def concurrent(tasks: int) -> Figures:
    """Measure as many dispatches as there are tasks, all at one time."""
    async with SimulationHarness(config()) as harness:
        await harness.dispatch(action())
        each: list[float] = []
        rounds = 5_000 // tasks
        begun = time.perf_counter()
        for _ in range(rounds):
            await asyncio.gather(*(timed(harness, action(), each) for _ in range(tasks)))
        took = time.perf_counter() - begun
        return Figures.of("throughput", f"{tasks} at one time", rounds * tasks, took, each)


async def under_load(loops: int) -> Figures:
    """Measure dispatches while others dispatch as fast as they can."""
    async with SimulationHarness(config()) as harness:

        async def busy() -> None:
            while True:
                await harness.dispatch(action())
                await asyncio.sleep(0)

        others = [asyncio.create_task(busy()) for _ in range(loops)]
        each: list[float] = []
        begun = time.perf_counter()
        while time.perf_counter() - begun < LOAD:
            await timed(harness, action(), each)
            await asyncio.sleep(0)
        took = time.perf_counter() - begun
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return Figures.of("latency", f"beside {loops} busy loops", len(each), took, each)


async def cold(rounds: int = 30) -> Figures:
    """Measure the first dispatch of a gateway, its making included."""
    each: list[float] = []
    begun = time.perf_counter()
    for _ in range(rounds):
        start = time.perf_counter()
        async with SimulationHarness(config()) as harness:
            await harness.dispatch(action())
            each.append(time.perf_counter() - start)
    return Figures.of("latency", "cold: a new gateway", rounds, time.perf_counter() - begun, each)


async def contention(tasks: int) -> Figures:
    """Measure dispatches of one action, which are never made at one time."""
    async with SimulationHarness(config()) as harness:
        each: list[float] = []
        rounds = 1_000 // tasks

        async def repeat() -> None:
            for _ in range(rounds):
                await timed(harness, action(id="contended"), each)

        begun = time.perf_counter()
        await asyncio.gather(*(repeat() for _ in range(tasks)))
        took = time.perf_counter() - begun
        return Figures.of("latency", f"one id, {tasks} tasks", rounds * tasks, took, each)


def rules(count: int) -> str:
    """Return so many rules that never match."""
    return "rules:\n" + "".join(
        f"  - name: never-{number}\n"
        f"    condition: {{field: action.action_type, eq: nonexistent-{number}}}\n"
        "    action: {type: suppress}\n"
        for number in range(count)
    )


BENCHES: tuple[Callable[[], Awaitable[Figures]], ...] = (
    lambda: one_by_one("throughput", "one after the other"),
    lambda: one_by_one("throughput", "with an audit trail", audit="memory"),
    *((lambda size=size: batches(size)) for size in (10, 100, 1000)),
    *((lambda tasks=tasks: concurrent(tasks)) for tasks in (10, 50, 100)),
    *(
        (lambda n=n: one_by_one("throughput", f"{n} rules that never match", rules=rules(n)))
        for n in (1, 10, 50)
    ),
    *((lambda loops=loops: under_load(loops)) for loops in (0, 10, 50)),
    cold,
    lambda: one_by_one("latency", "warm: after 100 dispatches"),
    *(
        (lambda n=n: one_by_one("latency", f"payload of {n} characters", payload={"data": "x" * n}))
        for n in (100, 1_000, 10_000)
    ),
    *((lambda tasks=tasks: contention(tasks)) for tasks in (1, 5, 10)),
)


def plot(measured: Sequence[Figures]) -> str:
    """Return an SVG picture of the latencies: a bar from the median to p99, a tick at p95."""
    longest = max(each.p99 for each in measured)
    shortest = min(each.p50 for each in measured)
    decades = _log(longest / shortest) or 1

    def at(microseconds: float) -> float:
        return LEFT + (WIDTH - LEFT - 90) * _log(microseconds / shortest) / decades

    height = ROW * len(measured) + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="8" y="18">median to p99 of a dispatch in µs, logarithmic; tick: p95</text>',
    ]
    for row, each in enumerate(measured):
        y = 36 + row * ROW
        color = "#4878a8" if each.suite == "throughput" else "#a86848"
        start, tick, end = at(each.p50), at(each.p95), at(each.p99)
        lines += [
            f'<text x="8" y="{y + 11}">{each.suite}: {each.bench}</text>',
            f'<rect x="{start:.1f}" y="{y + 2}" width="{max(end - start, 2):.1f}" height="10" '
            f'fill="{color}"/>',
            f'<line x1="{tick:.1f}" x2="{tick:.1f}" y1="{y}" y2="{y + 14}" stroke="black"/>',
            f'<text x="{end + 6:.1f}" y="{y + 11}">{each.p50:,.0f} to {each.p99:,.0f}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def _log(ratio: float) -> float:
    from math import log10

    return log10(max(ratio, 1.0))


async def measure() -> list[Figures]:
    """Return the figures of all benches, one after the other."""
    measured: list[Figures] = []
    print(f"{'':42}{'a second':>12}{'p50 µs':>11}{'p95 µs':>11}{'p99 µs':>11}")
    for bench in BENCHES:
        gc.collect()
        each = await bench()
        measured.append(each)
        print(
            f"{each.suite + ': ' + each.bench:42}{each.per_second:12,.0f}"
            f"{each.p50:11,.1f}{each.p95:11,.1f}{each.p99:11,.1f}"
        )
    return measured


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path, default=Path("simulation-bench.svg"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    logging.disable()
    measured = asyncio.run(measure())
    given.plot.write_text(plot(measured), encoding="utf-8")
    print(f"the plot is in {given.plot}")
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(each) for each in measured], indent=2))


if __name__ == "__main__":
    main()
