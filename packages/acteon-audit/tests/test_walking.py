"""All records that fit, however many, a page at a time."""

from collections.abc import Iterable
from contextlib import aclosing
from datetime import timedelta

import pytest
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st

from acteon.audit import (
    AuditPage,
    AuditQuery,
    AuditQueryError,
    AuditRecord,
    AuditStorageError,
    Position,
    walk,
    walk_pages,
)
from acteon.audit.testing import NOON, PlainAuditStore, make_record, queries, records
from acteon.audit.walking import PAGE, whole_page


async def walked(
    store: PlainAuditStore, query: AuditQuery, *, page_size: int = PAGE
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


@define(eq=False)
class MeasuringStore(PlainAuditStore):
    """Remembers how many bytes each of its pages had, and for how many records it was asked."""

    pages: list[int] = field(factory=list[int])
    limits: list[int] = field(factory=list[int])

    async def query(self, query: AuditQuery) -> AuditPage:
        page = await super().query(query)
        self.pages.append(sum(record.size for record in page.records))
        self.limits.append(query.limit)
        return page


def of_sizes(sizes: Iterable[int]) -> list[AuditRecord]:
    """Return records with payloads of so many bytes, in the order of pages."""
    return [
        make_record(dispatched_at=NOON - timedelta(seconds=number), action_payload=b"1" * size)
        for number, size in enumerate(sizes)
    ]


async def test_pages_of_small_records_grow() -> None:
    store = MeasuringStore()
    await store.write(of_sizes([100] * 1500))

    assert len(await walked(store, AuditQuery())) == 1500
    assert store.limits == [50, 200, 400, 400, 400, 400]


async def test_pages_of_large_records_have_few_of_them() -> None:
    store = MeasuringStore()
    known = of_sizes([100] * 50 + [2_000_000] * 130 + [100] * 500)
    await store.write(known)

    assert await walked(store, AuditQuery()) == known
    # The first large ones came as a surprise.
    assert max(store.limits[:2]) == 200
    assert max(store.pages[2:]) < 2 * 16 * 1024 * 1024
    assert max(store.limits[2:-1]) <= 400


async def test_a_record_larger_than_a_page_comes_by_itself() -> None:
    store = MeasuringStore()
    known = of_sizes([20_000_000] * 3)
    await store.write(known)

    assert await walked(store, AuditQuery(), page_size=2) == known
    assert store.limits == [2, 1, 1]


@given(
    st.integers(1, 700),
    st.integers(0, 30),
    st.none() | st.integers(0, 200),
    st.sampled_from([10, 100_000]),
)
@settings(max_examples=40, deadline=None)
async def test_a_whole_page_is_what_the_store_would_give_at_once(
    limit: int, offset: int, after: int | None, size: int
) -> None:
    store = PlainAuditStore()
    known = of_sizes([size] * 500)
    await store.write(known)
    place = None if after is None else Position(known[after].dispatched_at, known[after].id)
    query = AuditQuery(limit=limit, offset=offset, after=place)

    assert await whole_page(store, query) == await store.query(query)


async def test_a_page_that_nobody_should_hold_is_refused_with_one_that_is_not() -> None:
    store = MeasuringStore()
    await store.write(of_sizes([2 * 1024 * 1024] * 300))

    with pytest.raises(AuditQueryError, match="limit: 1000 of these records are more than 256 M"):
        await whole_page(store, AuditQuery(limit=1000))
    assert sum(store.pages) < 1.1 * 256 * 1024 * 1024
    with pytest.raises(AuditQueryError) as refused:
        await whole_page(store, AuditQuery(limit=200))
    at_most = int(str(refused.value).split()[-4])
    assert len((await whole_page(store, AuditQuery(limit=at_most))).records) == at_most
