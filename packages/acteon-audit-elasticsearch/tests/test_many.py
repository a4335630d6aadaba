"""Many records, through the writer: every filter and every page is that of a plain model."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from attrs import evolve

from acteon.audit import (
    AuditQuery,
    AuditQueryError,
    AuditRecord,
    AuditSettings,
    AuditStore,
    AuditTrail,
    Position,
    Scope,
)
from acteon.audit.testing import NOON, PlainAuditStore, make_record
from acteon.audit_elasticsearch import ElasticsearchAuditConfig, ElasticsearchAuditPlugin

DEEPEST = 10_000
COUNT = 100_000 if os.environ.get("ACTEON_TEST_FULL") else 5_000

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

VALUES = {
    "namespace": 5,
    "tenant": 20,
    "provider": 7,
    "action_type": 50,
    "verdict": 6,
    "matched_rule": 30,
    "outcome": 4,
    "caller_id": 300,
}
"""How many values the members have."""


def made() -> Iterator[AuditRecord]:
    """Yield records in the order of time; now and then several have the same instant."""
    chance = Random(COUNT)
    instant = NOON
    for number in range(COUNT):
        instant += timedelta(microseconds=chance.choice((0, 1, 1000)))
        texts = {name: f"{name} {chance.randrange(many)}" for name, many in VALUES.items()}
        yield make_record(
            **texts,
            action_id=f"action {number % (COUNT // 2)}",
            action_payload=f'{{"number":{number}}}'.encode(),
            dispatched_at=instant,
            completed_at=instant + timedelta(milliseconds=3),
            expires_at=instant + timedelta(days=1) if number % 3 else None,
        )


@pytest.fixture
async def other(config: ElasticsearchAuditConfig, store: AuditStore) -> AsyncIterator[AuditStore]:
    """Give another process's store, as it were."""
    async with ElasticsearchAuditPlugin.open(config) as other:
        yield other


async def test_the_store_equals_the_model(store: AuditStore) -> None:
    records = list(made())
    model = PlainAuditStore()
    await model.write(records)
    trail = AuditTrail(store, AuditSettings(block_for=timedelta(minutes=1)))
    async with trail:
        for record in records:
            if not trail.take(record):
                await trail.record(record)
    assert (trail.written, trail.dropped) == (COUNT, 0)

    async def same(query: AuditQuery) -> None:
        assert await store.query(query) == await model.query(query), query

    for name in VALUES:
        filters: dict[str, Any] = {name: f"{name} 1"}
        query = AuditQuery(**filters)
        wanted = await model.query(query)
        await same(query)
        await same(evolve(query, limit=7, offset=wanted.total - 3))
        last = wanted.records[-1]
        await same(evolve(query, after=Position(last.dispatched_at, last.id), offset=5))
    scopes = (
        Scope(tenants=frozenset({"tenant 1", "tenant 2"}), namespaces=frozenset({"namespace 3"})),
        Scope(action_types=frozenset({"action_type 9"})),
    )
    middle = records[COUNT // 2].dispatched_at
    await same(AuditQuery(scopes=scopes, limit=1000))
    await same(AuditQuery(scopes=scopes, tenant="tenant 1", outcome="outcome 2"))
    await same(AuditQuery(since=middle))
    await same(AuditQuery(until=middle, since=middle - timedelta(milliseconds=100)))
    for offset in (0, 1000, COUNT - 1500, COUNT - 500, COUNT - 1, COUNT, 9_500, 10_000):
        if offset <= DEEPEST:
            await same(AuditQuery(limit=1000, offset=offset))
    with pytest.raises(AuditQueryError, match="offset: elasticsearch leaves out 10,000 records"):
        await store.query(AuditQuery(offset=DEEPEST + 1))

    page = await store.query(AuditQuery(limit=1000))
    seen: list[AuditRecord] = []
    while page.records:
        seen += page.records
        last = page.records[-1]
        page = await store.query(
            AuditQuery(limit=1000, after=Position(last.dispatched_at, last.id))
        )
    assert seen == sorted(records, key=lambda one: (one.dispatched_at, one.id), reverse=True)

    for number in (0, 1, COUNT // 2 - 1):
        assert await store.latest(f"action {number}") == await model.latest(f"action {number}")
        assert await store.get(records[number].id) == records[number]


async def test_two_may_clean_up_at_once_and_each_record_counts_once(
    store: AuditStore, other: AuditStore
) -> None:
    old = [make_record(expires_at=NOON) for _ in range(12_000)]
    new = [make_record(expires_at=NOON + timedelta(microseconds=1)) for _ in range(10)]
    for start in range(0, len(old), 1000):
        await store.write([*old[start : start + 1000], new[start // 2000]])

    removed = await asyncio.gather(store.clean_up(NOON), other.clean_up(NOON))
    assert sum(removed) + await store.clean_up(NOON) == 12_000
    page = await other.query(AuditQuery())
    assert {one.id for one in page.records} == {one.id for one in new[:6]}


async def test_what_is_erased_is_erased_for_all_at_once(
    store: AuditStore, other: AuditStore
) -> None:
    records = [make_record() for _ in range(100)]
    await store.write(records)
    assert (await other.query(AuditQuery(limit=1000))).total <= 100

    counts = await asyncio.gather(*(one.erase([r.id for r in records]) for one in (store, other)))
    assert sum(counts) == 100
    for one in (store, other):
        found = (await one.query(AuditQuery(limit=1000))).records
        assert {record.action_payload for record in found} == {None}
