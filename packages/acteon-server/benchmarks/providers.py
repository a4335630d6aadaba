"""Providers: what a call costs beside the provider's own work, and that they do not hinder others.

Figures of one run belong together: machines differ and are shared, ratios are what lasts.

    nox -s bench
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from statistics import median, quantiles

from attrs import frozen

from acteon.core import Action, Failed, ProviderResponse
from acteon.executor import Executor, ExecutorSettings
from acteon.provider import (
    CallLimits,
    CircuitBreaker,
    GroupConfig,
    GroupProvider,
    ProviderConnectionError,
    ProviderRegistry,
    RegisteredProvider,
)
from acteon.provider.templates import PayloadTemplate

CALLS = 20_000
BESIDE = 2_000
ROUNDS = 5
HUNG = 1_100
ACTION = Action(
    namespace="n",
    tenant="t",
    provider="quick",
    action_type="a",
    payload={"who": "ann", "text": "disk full", "lines": [1, 2, 3]},
)
ANSWER = ProviderResponse()
TEMPLATE = {
    "text": "Page {{ payload.who }}: {{ payload.text | upper }}",
    "lines": "{{ payload.lines }}",
}


@frozen
class Quick:
    """Answers at once."""

    idempotent: bool = True

    async def execute(self, action: Action) -> ProviderResponse:
        return ANSWER

    async def health_check(self) -> None:
        return


@frozen
class Turn:
    """Answers after one turn of the event loop, as what waits for a socket does."""

    idempotent: bool = True

    async def execute(self, action: Action) -> ProviderResponse:
        await asyncio.sleep(0)
        return ANSWER

    async def health_check(self) -> None:
        return


@frozen
class Hanging:
    """Never answers."""

    idempotent: bool = True

    async def execute(self, action: Action) -> ProviderResponse:
        await asyncio.Event().wait()
        return ANSWER

    async def health_check(self) -> None:
        return


@frozen
class Away:
    """Is out of reach."""

    idempotent: bool = True

    async def execute(self, action: Action) -> ProviderResponse:
        raise ProviderConnectionError("nobody there")

    async def health_check(self) -> None:
        return


async def each(call: Callable[[], Awaitable[object]], count: int = CALLS) -> float:
    """Return the microseconds that one `call` takes: the median of some rounds."""
    found: list[float] = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(count // ROUNDS):
            await call()
        found.append((time.perf_counter() - started) / (count // ROUNDS) * 1e6)
    return median(found)


async def cost() -> None:
    """Show what a call costs."""
    quick = RegisteredProvider("quick", Quick())
    limits = CallLimits(max_concurrent=10, timeout=timedelta(seconds=5), max_per_second=1_000_000)
    limited = RegisteredProvider(
        "limited", Quick(), limits=limits, circuit_breaker=CircuitBreaker()
    )
    away = RegisteredProvider("away", Away(), circuit_breaker=CircuitBreaker(failure_threshold=1))
    group = RegisteredProvider(
        "both", GroupProvider("both", GroupConfig(members=("quick", "limited")))
    )
    registry = ProviderRegistry.listing([quick, limited, away, group])
    executor = Executor(ExecutorSettings(max_retries=0), providers=registry)
    await executor.execute(away, ACTION)  # It opens the circuit.

    bare = await each(lambda: quick.provider.execute(ACTION))
    print(f"the provider alone: {bare:.2f} µs")
    for name, provider in (
        ("without limits of its own", quick),
        ("with a rate, a limit and a circuit", limited),
        ("a group of these two", group),
        ("an open circuit: CIRCUIT_OPEN", away),
    ):
        found = await each(lambda provider=provider: executor.execute(provider, ACTION))  # type: ignore[misc]
        print(f"executed, {name}: {found:.1f} µs")
    template = PayloadTemplate.of(TEMPLATE)
    started = time.perf_counter()
    for _ in range(CALLS):
        template.render(ACTION)
    print(f"a template of two texts: {(time.perf_counter() - started) / CALLS * 1e6:.1f} µs")


async def latencies(executor: Executor, provider: RegisteredProvider) -> tuple[float, float]:
    """Return p50 and p99 of calls one after the other, in microseconds."""
    found: list[float] = []
    for _ in range(BESIDE):
        started = time.perf_counter()
        execution = await executor.execute(provider, ACTION)
        assert not isinstance(execution.result, Failed)
        found.append((time.perf_counter() - started) * 1e6)
    return median(found), quantiles(found, n=100)[98]


async def bulkheads() -> None:
    """Show what others feel of a provider that hangs, with many that wait behind it."""
    turn, hanging = RegisteredProvider("turn", Turn()), RegisteredProvider("hanging", Hanging())
    executor = Executor(providers=ProviderRegistry.listing([turn, hanging]))
    before = await latencies(executor, turn)
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(executor.execute(hanging, ACTION)) for _ in range(HUNG)]
        await asyncio.sleep(0)  # All of them have begun.
        assert executor.line(hanging).waiting == HUNG - 100
        beside = await latencies(executor, turn)
        for call in calls:
            call.cancel()
    print(
        f"beside a provider with 100 calls that hang and {HUNG - 100:,} that wait: "
        f"p50 {beside[0]:.1f} µs, p99 {beside[1]:.1f}; without it {before[0]:.1f}, {before[1]:.1f} "
        f"(p50 {beside[0] / before[0]:.2f} times)"
    )


if __name__ == "__main__":
    logging.disable()
    asyncio.run(cost())
    asyncio.run(bulkheads())
