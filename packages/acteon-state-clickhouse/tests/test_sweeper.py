"""What has expired goes, and nothing else does."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from time import monotonic
from uuid import uuid4

import pytest

from acteon.state import StateKey
from acteon.state_clickhouse import (
    Calls,
    ClickHouseStateConfig,
    Layout,
    Session,
    clickhouse_backend,
)
from acteon.state_clickhouse.layout import HOUR
from acteon.state_clickhouse.ledger import Claim, Value
from acteon.state_clickhouse.sweeper import sweep

pytestmark = pytest.mark.server

DAY = 24 * HOUR


@pytest.fixture
async def session(config: ClickHouseStateConfig) -> AsyncIterator[Session]:
    async with Calls(config) as calls:
        layout = Layout(f"sweep{uuid4().hex[:8]}", await calls.version())
        async with Session(calls, layout) as session:
            yield session


async def count(session: Session, table: str) -> int:
    ((number,),) = (await session.engine.ask(f"SELECT count() FROM {table}")).rows
    return int(number)


async def becomes(session: Session, table: str, wanted: int) -> None:
    deadline = monotonic() + 10
    while (found := await count(session, table)) != wanted:
        assert monotonic() < deadline, f"wanted {wanted} rows, found {found}"
        await asyncio.sleep(0.05)


async def test_claims_that_are_long_over_are_dropped(session: Session) -> None:
    ledger = session.ledger
    now = ledger.now().middle
    old = [Claim(f"l:{n}", "me", 1, 1, 1, now - 2 * DAY) for n in range(3)]
    young = [Claim(f"l:{n}", "me", 1, 1, 2, now + 1000) for n in range(2)]
    await ledger.claim(old)
    await ledger.claim(young)
    await sweep(session)
    assert await count(session, session.layout.claims) == 2


async def test_entries_that_are_long_dead_are_deleted_in_all_versions(session: Session) -> None:
    ledger, state = session.ledger, session.layout.state
    now = ledger.now().middle
    store = clickhouse_backend(session).store
    keys = [StateKey("a", "b", "state", str(n)) for n in range(3)]
    dead, revived, lasting = (f"k:{key.text}" for key in keys)
    await ledger.write([Value(dead, "once for ever", 1, now + DAY)])
    await ledger.write([Value(dead, "dead", 2, now - DAY), Value(revived, "dead", 1, now - DAY)])
    await ledger.write([Value(revived, "live", 2, now + DAY), Value(lasting, "live", 1, now + DAY)])

    assert await sweep(session) == 1
    await becomes(session, f"{state} WHERE key = '{keys[0].text}'", 0)
    assert [await store.get(key) for key in keys] == [None, "live", "live"]


async def test_what_has_just_expired_stays_for_a_while(session: Session) -> None:
    store = clickhouse_backend(session).store
    key = StateKey("a", "b", "state", "1")
    await store.set(key, "short", ttl=timedelta(0))
    assert await sweep(session) == 0
    assert await count(session, session.layout.state) == 1
