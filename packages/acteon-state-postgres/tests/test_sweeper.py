"""What has expired goes, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from acteon.core import ManualClock, Tasks
from acteon.state import StateKey
from acteon.state_postgres import (
    Connections,
    Layout,
    PostgresLocks,
    PostgresStateConfig,
    PostgresStatePlugin,
    PostgresStateStore,
)
from acteon.state_postgres.sweeper import BATCH, TURN, sweep, sweep_now_and_then
from servers.process import Server

pytestmark = pytest.mark.server

HOUR = timedelta(hours=1)
NOTHING = timedelta(0)
LAYOUT = Layout(prefix="swept_")


@pytest.fixture
async def connections(server: Server) -> AsyncIterator[Connections]:
    config = PostgresStateConfig(url=server.url, prefix="swept")
    async with PostgresStatePlugin.open(config), Connections(config) as connections:
        await connections.run(b"TRUNCATE swept_state, swept_locks")
        yield connections


async def rows(connections: Connections) -> int:
    ((count,),) = await connections.run(
        b"SELECT (SELECT count(*) FROM swept_state) + (SELECT count(*) FROM swept_locks)"
    )
    return int(count)


async def fill(connections: Connections, count: int) -> None:
    await connections.run(
        b"INSERT INTO swept_state SELECT n::text, 'old', now() FROM generate_series(1, %s) AS n",
        (count,),
    )


async def until_asleep(clock: ManualClock) -> None:
    while not clock.sleepers:  # noqa: ASYNC110 - the clock has no event for it
        await asyncio.sleep(0.01)


async def test_what_has_expired_is_removed_and_nothing_else(connections: Connections) -> None:
    store, locks = PostgresStateStore(connections, LAYOUT), PostgresLocks(connections, LAYOUT)
    key = StateKey("test", uuid4().hex, "state", "1")
    await fill(connections, 2 * BATCH + 1)
    await store.set(key, "short", ttl=NOTHING)
    await store.set(key._replace(id="2"), "long", ttl=HOUR)
    await store.set(key._replace(id="3"), "for ever", ttl=None)
    await locks.try_acquire("short", "mine", NOTHING)
    await locks.try_acquire("long", "mine", HOUR)

    assert await sweep(connections, LAYOUT) == 2 * BATCH + 3
    assert await rows(connections) == 3
    assert await store.get(key._replace(id="2")) == "long"
    assert not await locks.release("short", "mine")
    assert await locks.release("long", "mine")
    assert await sweep(connections, LAYOUT) == 0


async def test_one_process_sweeps_at_a_time(connections: Connections, server: Server) -> None:
    await fill(connections, 10)
    with psycopg.connect(server.url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (TURN,))
        assert await sweep(connections, LAYOUT) == 0
    assert await sweep(connections, LAYOUT) == 10


async def test_it_goes_on_for_as_long_as_the_backend_is_open(connections: Connections) -> None:
    clock = ManualClock()
    async with asyncio.timeout(10), Tasks() as tasks:
        tasks.start(
            sweep_now_and_then(connections, LAYOUT, HOUR, clock=clock, chance=lambda: 0.5),
            endless=True,
        )
        for wait in (HOUR / 2, HOUR, HOUR):
            await fill(connections, 10)
            await until_asleep(clock)
            clock.move(wait)
            while await rows(connections):
                pass


async def test_it_survives_a_server_that_fails(connections: Connections) -> None:
    clock = ManualClock()
    async with asyncio.timeout(10), Tasks() as tasks:
        sweeping = tasks.start(
            sweep_now_and_then(connections, Layout(prefix="none_"), HOUR, clock=clock),
            endless=True,
        )
        for _ in range(3):
            await until_asleep(clock)
            clock.move(2 * HOUR)
        assert not sweeping.done()
