import asyncio
import gc
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.audit import AuditQuery, AuditRecord, AuditStore, Scope
from acteon.audit.testing import (
    NOON,
    AuditStoreConformance,
    PlainAuditStore,
    make_record,
    queries,
    records,
)
from acteon.audit_memory import MemoryAuditStore

TICK = timedelta(milliseconds=1)


class TestMemoryAuditStore(AuditStoreConformance):
    @pytest.fixture
    def store(self) -> AuditStore:
        return MemoryAuditStore()


async def test_the_oldest_records_make_room_and_are_counted() -> None:
    store = MemoryAuditStore(max_records=3)
    known = [
        make_record(dispatched_at=NOON + step * TICK, expires_at=NOON - step * TICK)
        for step in range(5)
    ]
    await store.write([known[step] for step in (3, 0, 4, 1, 2)])

    page = await store.query(AuditQuery())
    assert list(page.records) == known[:1:-1]
    assert (len(store), store.dropped) == (3, 2)
    assert await store.get(known[0].id) is None
    assert await store.latest("a-1") == known[4]
    assert await store.clean_up(NOON) == 3
    assert await store.latest("a-1") is None


async def test_the_oldest_make_room_for_large_ones_too() -> None:
    store = MemoryAuditStore(max_bytes=1_000_000)
    known = [
        make_record(dispatched_at=NOON + step * TICK, action_payload=b"1" * 300_000)
        for step in range(5)
    ]
    await store.write(known)
    assert (await store.query(AuditQuery())).records == tuple(known[:1:-1])
    assert (len(store), store.dropped) == (3, 2)

    # What is erased gives its room back.
    assert await store.erase([one.id for one in known]) == 3
    await store.write(known[:2])
    assert (len(store), store.dropped) == (5, 2)


async def test_one_that_is_too_large_by_itself_takes_no_other_ones_room() -> None:
    store = MemoryAuditStore(max_bytes=1_000_000)
    small, large = make_record(), make_record(action_payload=b"1" * 1_000_000)
    await store.write([small, large])

    assert (await store.query(AuditQuery())).records == (small,)
    assert store.dropped == 1


async def test_writing_a_kept_record_again_drops_nothing() -> None:
    store = MemoryAuditStore(max_records=1)
    record = make_record()
    await store.write([record, record])

    assert store.dropped == 0


@given(written=st.lists(records(), max_size=30), query=queries(), bound=st.integers(1, 40))
async def test_it_equals_the_plain_model_of_the_newest(
    written: list[AuditRecord], query: AuditQuery, bound: int
) -> None:
    store, model = MemoryAuditStore(bound), PlainAuditStore()
    await store.write(written)
    await model.write(newest(written, bound))

    await assert_equal(store, model, query)
    for instant in (NOON - TICK, NOON + TICK, NOON + 9 * TICK):
        assert await store.clean_up(instant) == await model.clean_up(instant)
        await assert_equal(store, model, query)
    await store.write(written[:1])
    await model.write(written[:1])
    if len(model.records) <= bound:
        await assert_equal(store, model, query)


def newest(written: list[AuditRecord], bound: int) -> Sequence[AuditRecord]:
    return sorted(written, key=lambda record: (record.dispatched_at, record.id))[-bound:]


async def assert_equal(store: MemoryAuditStore, model: PlainAuditStore, query: AuditQuery) -> None:
    assert len(store) == len(model.records)
    assert await store.query(query) == await model.query(query)
    for action_id in ("a", "b"):
        expected = await model.latest(action_id, scopes=query.scopes)
        assert await store.latest(action_id, scopes=query.scopes) == expected
    for record_id in model.records:
        assert await store.get(record_id) == await model.get(record_id)


async def test_many_removals_keep_the_order() -> None:
    store = MemoryAuditStore(max_records=1000)
    many = [
        make_record(dispatched_at=NOON + step * TICK, expires_at=NOON + step * TICK)
        for step in range(5000)
    ]
    await store.write(many)
    assert await store.clean_up(NOON + 4499 * TICK) == 500

    page = await store.query(AuditQuery(limit=500))
    assert list(page.records) == many[:4499:-1]
    assert page.total == 500


async def test_a_query_over_many_lets_others_run_and_sees_one_moment() -> None:
    store = MemoryAuditStore()
    await store.write([make_record(id=str(number)) for number in range(20_000)])
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await store.write([make_record()])
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(others())
        await asyncio.sleep(0)
        before = len(store)
        scope = Scope(tenants=frozenset({"acme"}))
        page = await store.query(AuditQuery(tenant="acme", scopes=(scope,)))
        task.cancel()

    assert turns > 2
    assert page.total == before


async def test_the_garbage_collector_has_no_records_to_look_at() -> None:
    store = MemoryAuditStore()
    await store.write([make_record(action_id=str(number)) for number in range(2000)])
    gc.collect()

    looked_at = sum(starts_at_noon(one) for one in gc.get_objects())
    assert looked_at == 0


def starts_at_noon(one: object) -> bool:
    return isinstance(one, tuple) and one[:1] == (NOON,)  # pyright: ignore[reportUnknownVariableType] - anything at all
