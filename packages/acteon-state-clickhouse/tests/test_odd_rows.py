"""What somebody else has written, or what comes late, spoils nothing but its own key."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from attrs import define

from acteon.state import (
    Began,
    Begin,
    Claimed,
    Ending,
    Settle,
    StateBackend,
    StateBackendError,
    StateKey,
    StateSerializationError,
    dispatch_state,
)
from acteon.state_clickhouse import Calls, ClickHouseStateConfig, Layout, Session
from acteon.state_clickhouse.calls import Answer, Engine, Row
from acteon.state_clickhouse.layout import HOUR as HOUR_MS
from acteon.state_clickhouse.plugin import clickhouse_backend
from acteon.state_clickhouse.turns import PATIENCE

pytestmark = pytest.mark.server

HOUR = timedelta(hours=1)


@define(eq=False)
class SlowEngine(Engine):
    """Sends no insert into a table before it is told to.

    Attributes:
        held: How the name of that table ends; none is held without one.
    """

    engine: Engine
    go_on: asyncio.Event
    reached: asyncio.Event
    held: str = ""

    async def ask(self, statement: str) -> Answer:
        return await self.engine.ask(statement)

    async def insert(self, table: str, columns: str, rows: Sequence[Row]) -> None:
        if self.held and table.endswith(self.held):
            self.reached.set()
            await self.go_on.wait()
        await self.engine.insert(table, columns, rows)


@pytest.fixture
async def calls(config: ClickHouseStateConfig) -> AsyncIterator[Calls]:
    async with Calls(config) as calls:
        yield calls


@pytest.fixture
async def session(calls: Calls) -> AsyncIterator[Session]:
    async with opened(calls) as session:
        yield session


@asynccontextmanager
async def opened(
    calls: Calls, engine: Engine | None = None, prefix: str = ""
) -> AsyncGenerator[Session]:
    layout = Layout(prefix or f"odd{uuid4().hex[:8]}", await calls.version())
    async with Session(engine or calls, layout) as session:
        yield session


def a_key(kind: str = "state") -> StateKey:
    return StateKey("test", uuid4().hex, kind, "1")


async def test_octets_that_are_no_text_spoil_their_own_entry_only(session: Session) -> None:
    backend = clickhouse_backend(session)
    odd, counter = a_key(), a_key("counter")
    for key in (odd, counter):
        await session.engine.ask(
            f"INSERT INTO {session.layout.state} (key, value) SELECT '{key.text}', unhex('ff41')"
        )
    assert await backend.store.get(odd) == "\ufffdA"
    with pytest.raises(StateSerializationError):
        await backend.store.increment(counter, ttl=None)
    refused, reads, begun = await dispatch_state(backend).begin(
        [
            Begin(token="1", lease=HOUR, claim=odd),
            Begin(token="2", lease=HOUR, reads=(counter,)),
            Begin(token="3", lease=HOUR, claim=a_key("dedup")),
        ]
    )
    assert isinstance(refused.error, StateSerializationError)
    assert reads.values == ("\ufffdA",)
    assert begun.claim is Claimed.OURS


async def test_a_version_that_none_can_follow_spoils_its_own_entry_only(session: Session) -> None:
    backend = clickhouse_backend(session)
    odd = a_key("counter")
    await session.engine.ask(
        f"INSERT INTO {session.layout.state} (key, value, version)"
        f" SELECT '{odd.text}', '1', toUInt64(18446744073709551614)"
    )
    with pytest.raises(StateSerializationError, match="found 18446744073709551614 at"):
        await backend.store.increment(odd, ttl=None)
    other = a_key()
    await backend.store.set(other, "fine", ttl=None)
    assert await backend.store.get(other) == "fine"


@pytest.mark.parametrize("cut_short", [False, True])
async def test_no_row_of_a_lock_goes_before_those_that_it_is_about(
    session: Session, cut_short: bool
) -> None:
    backend = clickhouse_backend(session)
    assert await backend.locks.try_acquire("long", "me", 5 * HOUR) is None
    assert await backend.locks.extend("long", "me", timedelta(milliseconds=1200))
    if cut_short:
        await asyncio.sleep(1.3)  # until it is over by itself
    else:
        assert await backend.locks.release("long", "me")
    rows = (await session.engine.ask(f"SELECT kept_until FROM {session.layout.claims}")).rows
    partitions = sorted({kept_until // HOUR_MS for (kept_until,) in rows})
    for partition in partitions[:1]:
        await session.engine.ask(session.layout.drop(partition))
    assert await backend.locks.try_acquire("long", "other", HOUR) is None


async def test_what_could_come_after_the_end_of_a_lease_is_not_sent(
    calls: Calls, session: Session
) -> None:
    slow = SlowEngine(calls, asyncio.Event(), asyncio.Event())
    key = a_key("dedup")
    async with opened(calls, slow, session.layout.prefix) as other:
        first, second = clickhouse_backend(other), clickhouse_backend(session)
        length = timedelta(seconds=2)
        assert (await begin(first, "first", key, length)).claim is Claimed.OURS
        await asyncio.sleep(1.2)  # more than half of it
        slow.held = "state"
        ending = Settle(token="first", claim=key, ending=Ending.DONE, ttl=HOUR)
        with pytest.raises(StateBackendError, match="took too long, and nothing was written"):
            await dispatch_state(first).settle([ending])
        assert not slow.reached.is_set()
        slow.held = ""
        async with asyncio.timeout(10):
            while (await begin(second, "second", key, HOUR)).claim is not Claimed.OURS:
                pass
        assert await dispatch_state(first).settle([ending]) == [False]
        done = Settle(token="second", claim=key, ending=Ending.DONE, ttl=HOUR)
        assert await dispatch_state(second).settle([done]) == [True]
        assert await second.store.get(key) == "done"


async def test_a_turn_lasts_longer_than_its_statements_may(calls: Calls) -> None:
    layout = Layout("acteon", await calls.version())
    async with Session(calls, layout, timedelta(minutes=10)) as session:
        (claim,) = session.turns.claims(["k:1"]).values()
        assert claim.length >= 2 * 600_000
    assert timedelta(minutes=10) > PATIENCE


async def begin(backend: StateBackend, token: str, key: StateKey, lease: timedelta) -> Began:
    (began,) = await dispatch_state(backend).begin([Begin(token=token, lease=lease, claim=key)])
    return began
