"""How many statements a dispatch takes, whatever the size of the group."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve

from acteon.state import Begin, Ending, Quota, Settle, StateKey
from acteon.state_clickhouse import (
    Answer,
    Calls,
    ClickHouseDispatch,
    ClickHouseStateConfig,
    Engine,
    Layout,
    Session,
)

pytestmark = pytest.mark.server

HOUR = timedelta(hours=1)


class Counting(Engine):
    """Notes what is carried out."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.seen: list[str] = []

    async def ask(self, statement: str) -> Answer:
        self.seen.append("read")
        return await self.calls.ask(statement)

    async def insert(self, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self.seen.append(f"insert {table}")
        await self.calls.insert(table, columns, rows)

    def told(self) -> list[str]:
        seen, self.seen = self.seen, []
        return seen


@pytest.fixture
async def engine(config: ClickHouseStateConfig) -> AsyncIterator[Counting]:
    async with Calls(config) as calls:
        yield Counting(calls)


@pytest.fixture
async def dispatch(engine: Counting) -> AsyncIterator[ClickHouseDispatch]:
    async with Session(engine, Layout("acteon", await engine.calls.version())) as session:
        engine.told()
        yield ClickHouseDispatch(session)


@pytest.fixture
def begins() -> list[Begin]:
    run = uuid4().hex
    return [
        Begin(
            token=f"{run}{n}",
            lease=HOUR,
            lock=f"{run}{n}",
            claim=StateKey("test", run, "d", f"{n}"),
        )
        for n in map(str, range(ClickHouseDispatch.max_batch))
    ]


async def test_a_group_begins_in_two_trips_and_settles_in_three(
    engine: Counting, dispatch: ClickHouseDispatch, begins: list[Begin]
) -> None:
    assert all(began.admitted for began in await dispatch.begin(begins))
    assert engine.told() == ["insert acteon_claims", "read"]

    done = [
        Settle(token=one.token, lock=one.lock, claim=one.claim, ending=Ending.DONE, ttl=HOUR)
        for one in begins
    ]
    assert await dispatch.settle(done) == [True] * len(begins)
    assert engine.told() == ["read", "insert acteon_state", "insert acteon_claims"]


async def test_renewing_takes_two_trips(
    engine: Counting, dispatch: ClickHouseDispatch, begins: list[Begin]
) -> None:
    await dispatch.begin(begins)
    engine.told()
    assert all(began.admitted for began in await dispatch.begin(begins))
    assert engine.told() == ["read", "insert acteon_claims"]


async def test_counting_and_being_refused_take_one_more(
    engine: Counting, dispatch: ClickHouseDispatch, begins: list[Begin]
) -> None:
    quota = Quota(StateKey("test", uuid4().hex, "rate_limit", "1"), 1, HOUR)
    first, second, *_ = begins
    assert (await dispatch.begin([evolve(first, quotas=(quota,))]))[0].admitted
    assert engine.told() == ["insert acteon_claims", "read", "insert acteon_state"]

    assert (await dispatch.begin([evolve(second, quotas=(quota,))]))[0].refused is not None
    assert engine.told() == ["insert acteon_claims", "read", "insert acteon_claims"]


async def test_peeking_reads(
    engine: Counting, dispatch: ClickHouseDispatch, begins: list[Begin]
) -> None:
    peeks = [evolve(one, peek=True) for one in begins]
    assert all(began.admitted for began in await dispatch.begin(peeks))
    assert engine.told() == ["read"]
