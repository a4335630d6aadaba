"""An audit server that goes away under load: what is recorded, and who waits for it."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from statistics import median, quantiles
from time import monotonic
from typing import TypeVar

import pytest
from attrs import define, field

from acteon.audit import AuditRecord, AuditSettings, AuditTrail
from acteon.core import Action
from acteon.gateway import Gateway, Plugin
from servers.process import Server

T = TypeVar("T")


def chosen(short: T, whole: T) -> T:
    """Return `short`, unless `ACTEON_TEST_FULL` is set."""
    return whole if os.environ.get("ACTEON_TEST_FULL") else short


pytestmark = [pytest.mark.server, pytest.mark.timeout(chosen(60, 300))]

Kept = Callable[[], Awaitable[list[AuditRecord]]]

RATE = 500
"""Dispatches a second."""
BEFORE = chosen(0.8, 10.0)
"""Seconds that show how long dispatches take while all is well."""
AWAY = chosen(2.5, 30.0)
"""Seconds that the server is away."""
SMALL = 250
"""A queue of so many is full after half a second."""
OVERFLOW = chosen(1.0, 30.0)
"""Seconds that the server is away, for a queue of that size."""
BACK = 30.0
"""Seconds in which all that has been queued is written: a pause, and the writing."""
SLOWER = 3.0
"""So many times as long a dispatch may take on average while the server is away."""
RARELY = 0.25
"""Seconds that one dispatch of a hundred may take, on a machine that does other things as well."""
NEVER = 1.0
"""Seconds that none takes: the least that waiting for a server that is away would take."""

STORES = chosen(("postgres",), ("clickhouse", "elasticsearch", "postgres"))
"""Where what is the same for all is tested."""

OUTAGES: dict[str, tuple[Callable[[Server], None], Callable[[Server], None]]] = {
    "stopped": (Server.stop, Server.start),
    "killed": (Server.kill, Server.start),
    "frozen": (Server.freeze, Server.thaw),
}


@define(eq=False)
class Load:
    """Dispatches that come at an even pace, whatever becomes of those before.

    Attributes:
        trail: Where they are recorded.
        sent: The ids of the actions, in order.
        took: How long each took that was due since this list was put here, in seconds, from the
            moment when it was.
    """

    gateway: Gateway
    trail: AuditTrail
    sent: list[str] = field(factory=list[str])
    took: list[float] = field(factory=list[float])
    _ended: bool = False

    async def run(self) -> None:
        """Dispatch until the end, and wait for those that are under way."""
        began = monotonic()
        async with asyncio.TaskGroup() as group:
            for number in count():
                due = began + number / RATE
                await asyncio.sleep(due - monotonic())
                if self._ended:
                    return
                self.sent.append(f"a-{number}")
                group.create_task(self._one(self.sent[-1], due, self.took))

    async def _one(self, name: str, due: float, took: list[float]) -> None:
        action = Action(
            id=name,
            namespace="shop",
            tenant="acme",
            provider="deliver",
            action_type="greet",
            payload={"for": name},
        )
        assert (await self.gateway.dispatch(action)).tag == "executed"
        took.append(monotonic() - due)

    async def last(self, seconds: float) -> list[float]:
        """Return how long those take that are due in so many seconds from now on."""
        self.took = took = list[float]()
        await asyncio.sleep(seconds)
        return took

    async def caught_up(self) -> list[float]:
        """Return how long those take that are due until the store has what was queued."""
        self.took = took = list[float]()
        async with asyncio.timeout(BACK):
            while self.trail.queued > RATE / 5:  # noqa: ASYNC110 - seen from outside
                await asyncio.sleep(0.02)
        return took

    def end(self) -> None:
        """Send no more."""
        self._ended = True


@asynccontextmanager
async def under_load(
    audit: Plugin, settings: AuditSettings, delivered: Counter[str]
) -> AsyncGenerator[Load]:
    """Give a gateway under load, which ends with the block; then the trail is written."""

    async def deliver(action: Action) -> None:
        delivered[action.id] += 1

    opening = Gateway.open(
        providers=[deliver], state="memory", audit=audit, audit_settings=settings
    )
    async with opening as gateway, asyncio.TaskGroup() as group:
        load = Load(gateway, gateway.trail)
        group.create_task(load.run())
        try:
            yield load
        finally:
            load.end()


@asynccontextmanager
async def away(server: Server, outage: str) -> AsyncGenerator[None]:
    """Have the server away while the block runs."""
    ends, begins_again = OUTAGES[outage]
    await asyncio.to_thread(ends, server)
    try:
        yield
    finally:
        await asyncio.to_thread(begins_again, server)


def tell(what: str, took: list[float]) -> tuple[float, float]:
    """Print how long dispatches took; return the median, and what one of a hundred exceeds."""
    middle, rare = median(took), quantiles(took, n=100)[98]
    sys.stdout.write(
        f"  {what}: {len(took)} dispatches, median {middle * 1000:.2f} ms, "
        f"p99 {rare * 1000:.1f} ms, longest {max(took) * 1000:.0f} ms\n"
    )
    return middle, rare


@pytest.fixture
def delivered() -> Counter[str]:
    """Give how often each action was delivered."""
    return Counter()


@pytest.mark.parametrize("outage", chosen(("killed", "frozen"), ("stopped", "killed", "frozen")))
async def test_nothing_is_lost_or_doubled_and_nobody_waits(
    audit: Plugin,
    audit_server: tuple[str, Server],
    kept: Kept,
    delivered: Counter[str],
    outage: str,
) -> None:
    backend, server = audit_server
    async with under_load(audit, AuditSettings(max_queue=100_000), delivered) as load:
        before = await load.last(BEFORE)
        assert load.trail.failed_writes == 0
        async with away(server, outage):
            during = await load.last(AWAY)
            queued = load.trail.queued
        returned = monotonic()
        after = await load.caught_up()
        caught_up = monotonic() - returned
    trail, sent = load.trail, load.sent
    sys.stdout.write(
        f"\n{backend} {outage}: {len(sent)} sent, {trail.written} written, {trail.dropped} "
        f"dropped, {trail.failed_writes} writes failed, {queued} queued when it was back, "
        f"written {caught_up:.1f} s later, and no dispatch took more than "
        f"{max(after, default=0) * 1000:.0f} ms of that\n"
    )
    usual, _ = tell("before", before)
    middle, rare = tell("while it was away", during)

    assert queued > RATE * AWAY / 2
    assert trail.failed_writes > 0
    assert (trail.written, trail.dropped, trail.queued) == (len(sent), 0, 0)
    assert Counter(record.action_id for record in await kept()) == Counter(sent)
    assert delivered == Counter(sent)
    assert middle < SLOWER * usual
    assert rare < RARELY
    assert max(during + after) < NEVER


@pytest.mark.parametrize("outage", chosen(("frozen",), ("killed", "frozen")))
async def test_what_a_full_queue_drops_is_counted_exactly(
    audit: Plugin,
    audit_server: tuple[str, Server],
    kept: Kept,
    delivered: Counter[str],
    outage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend, server = audit_server
    settings = AuditSettings(max_queue=SMALL, on_overflow="drop")
    async with under_load(audit, settings, delivered) as load:
        async with away(server, outage):
            during = await load.last(OVERFLOW)
        await load.caught_up()
    trail, sent = load.trail, load.sent
    sys.stdout.write(
        f"\n{backend} {outage}, dropping: {len(sent)} sent, {trail.written} written, "
        f"{trail.dropped} dropped\n"
    )
    assert trail.dropped > RATE * OVERFLOW / 4
    assert trail.written + trail.dropped == len(sent)
    assert delivered == Counter(sent), "delivered were all"
    held = Counter(record.action_id for record in await kept())
    assert set(held.values()) == {1}
    assert held.total() == trail.written
    assert held.keys() <= set(sent)
    _, rare = tell("while it was away", during)
    assert rare < RARELY
    assert max(during) < NEVER
    lines = [line for line in caplog.records if line.message == "audit records dropped"]
    assert sum(vars(line)["acteon.dropped"] for line in lines) == trail.dropped
    assert {line.levelname for line in lines} == {"ERROR"}


@pytest.mark.parametrize("outage", chosen(("frozen",), ("killed", "frozen")))
async def test_dispatches_wait_for_room_in_a_full_queue_and_go_on(
    audit: Plugin,
    audit_server: tuple[str, Server],
    kept: Kept,
    delivered: Counter[str],
    outage: str,
) -> None:
    backend, server = audit_server
    settings = AuditSettings(max_queue=SMALL, block_for=timedelta(minutes=5))
    async with under_load(audit, settings, delivered) as load:
        async with away(server, outage):
            during = await load.last(OVERFLOW)
            waiting = load.gateway.in_flight
        await load.caught_up()
    trail, sent = load.trail, load.sent
    sys.stdout.write(
        f"\n{backend} {outage}, waiting: {len(sent)} sent, {trail.written} written, "
        f"{waiting} waited for room when it was back, {max(during):.1f} s at the most\n"
    )
    assert waiting > RATE * OVERFLOW / 4
    assert max(during) > OVERFLOW / 4
    assert (trail.written, trail.dropped) == (len(sent), 0)
    assert Counter(record.action_id for record in await kept()) == Counter(sent)
    assert delivered == Counter(sent)


@pytest.mark.parametrize("audit_server", STORES, indirect=True)
async def test_dispatches_wait_no_longer_than_they_may(
    audit: Plugin, audit_server: tuple[str, Server], kept: Kept, delivered: Counter[str]
) -> None:
    _, server = audit_server
    settings = AuditSettings(max_queue=SMALL)
    async with under_load(audit, settings, delivered) as load:
        async with away(server, "frozen"):
            during = await load.last(OVERFLOW)
        await load.caught_up()
    assert load.trail.dropped > RATE * OVERFLOW / 4
    assert load.trail.written + load.trail.dropped == len(load.sent)
    held = Counter(record.action_id for record in await kept())
    assert set(held.values()) == {1}
    assert held.total() == load.trail.written
    assert settings.block_for.total_seconds() < max(during)
    assert max(during) < settings.block_for.total_seconds() + NEVER


@pytest.mark.parametrize("audit_server", STORES, indirect=True)
async def test_what_was_given_up_may_be_in_the_store_all_the_same(
    audit: Plugin, audit_server: tuple[str, Server], kept: Kept, delivered: Counter[str]
) -> None:
    backend, server = audit_server
    settings = AuditSettings(
        write_limit=timedelta(seconds=0.2), retry_for=timedelta(0), max_queue=100_000
    )
    async with under_load(audit, settings, delivered) as load:
        await load.last(0.1)
        async with away(server, "frozen"):
            await load.last(OVERFLOW)
        await load.caught_up()
    trail, sent = load.trail, load.sent
    held = Counter(record.action_id for record in await kept())
    sys.stdout.write(
        f"\n{backend}, giving up: {len(sent)} sent, {trail.written} written, "
        f"{trail.dropped} given up, of which the store has {held.total() - trail.written}\n"
    )
    assert trail.written + trail.dropped == len(sent)
    assert set(held.values()) == {1}
    assert trail.dropped > 0
    assert trail.written <= held.total() <= len(sent)
    assert held.keys() <= set(sent)
