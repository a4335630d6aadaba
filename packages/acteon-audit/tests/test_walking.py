"""All records that fit, however many, a page at a time."""

from contextlib import aclosing
from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from acteon.audit import AuditPage, AuditQuery, AuditRecord, AuditStorageError, walk, walk_pages
from acteon.audit.testing import NOON, PlainAuditStore, make_record, queries, records


async def walked(
    store: PlainAuditStore, query: AuditQuery, *, page_size: int = 1000
) -> list[AuditRecord]:
    return [record async for record in walk(store, query, page_size=page_size)]


@given(st.lists(records(), max_size=12), queries(), st.integers(1, 5))
async def test_it_meets_what_a_query_finds_each_once_and_in_order(
    kept: list[AuditRecord], query: AuditQuery, page_size: int
) -> None:
    store = PlainAuditStore()
    await store.write(kept)
    wanted = await store.query(evolve(query, limit=1000, offset=0))

    assert await walked(store, query, page_size=page_size) == list(wanted.records)


async def test_it_ends_although_records_come_in() -> None:
    store = PlainAuditStore()
    old = [make_record(dispatched_at=NOON - timedelta(seconds=each)) for each in range(5)]
    await store.write(old)
    met: list[AuditRecord] = []

    async for record in walk(store, AuditQuery(), page_size=2):
        met.append(record)
        assert len(met) <= len(old), "it meets only what was there"
        await store.write([make_record(dispatched_at=NOON + timedelta(seconds=len(met)))])

    assert met == old


async def test_it_goes_on_behind_records_that_have_been_removed() -> None:
    store = PlainAuditStore()
    await store.write([make_record(dispatched_at=NOON, expires_at=NOON) for _ in range(4)])
    await store.write([make_record(dispatched_at=NOON - timedelta(days=1))])
    met: list[int] = []

    async for page in walk_pages(store, AuditQuery(), page_size=2):
        met.append(len(page.records))
        await store.clean_up(NOON)

    assert met == [2, 1]


class FailingStore(PlainAuditStore):
    """Fails at its third query."""

    asked = 0

    async def query(self, query: AuditQuery) -> AuditPage:
        self.asked += 1
        if self.asked == 3:
            raise AuditStorageError("away")
        return await super().query(query)


async def test_what_came_before_a_failure_is_right() -> None:
    store = FailingStore()
    kept = [make_record(dispatched_at=NOON - timedelta(seconds=each)) for each in range(9)]
    await store.write(kept)
    met: list[AuditRecord] = []

    async def go() -> None:
        async for record in walk(store, AuditQuery(), page_size=2):
            met.append(record)  # noqa: PERF401 - what was met before it raises is wanted

    with pytest.raises(AuditStorageError, match="away"):
        await go()
    assert met == kept[:4]


async def test_who_has_seen_enough_causes_no_more_queries() -> None:
    store = FailingStore()
    await store.write([make_record() for _ in range(9)])

    async with aclosing(walk(store, AuditQuery(), page_size=2)) as found:
        await anext(found)

    assert store.asked == 1
