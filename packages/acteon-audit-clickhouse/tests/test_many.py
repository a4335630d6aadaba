"""Many records, brought by the trail's writer; then every filter and page equals a model's."""

import os
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from attrs import evolve

from acteon.audit import (
    AuditQuery,
    AuditRecord,
    AuditSettings,
    AuditStore,
    AuditTrail,
    Position,
    Scope,
)
from acteon.audit.testing import NOON, PlainAuditStore, make_record
from acteon.audit_clickhouse import ClickHouseAuditConfig, ClickHouseAuditPlugin

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

COUNT = 100_000 if os.environ.get("ACTEON_TEST_FULL") else 5_000
SPAN = timedelta(days=70)
"""Over several months, so that there are several partitions."""
TEXTS = {
    "namespace": 4,
    "tenant": 20,
    "provider": 5,
    "action_type": 30,
    "outcome": 3,
    "verdict": 4,
    "matched_rule": 50,
    "caller_id": 200,
}


def made() -> list[AuditRecord]:
    chance = random.Random(11)
    records: list[AuditRecord] = []
    for number in range(COUNT):
        texts = {name: f"{name}-{chance.randrange(many)}" for name, many in TEXTS.items()}
        dispatched_at = NOON + SPAN * (number - number % 3) / COUNT  # three at a time
        records.append(
            make_record(
                action_id=f"action-{chance.randrange(COUNT)}",
                dispatched_at=dispatched_at.replace(
                    microsecond=dispatched_at.microsecond // 1000 * 1000
                ),
                **(texts | ({"matched_rule": None} if chance.random() < 0.3 else {})),
            )
        )
    return records


@pytest.fixture
async def filled(
    config: ClickHouseAuditConfig,
) -> AsyncIterator[tuple[AuditStore, PlainAuditStore, list[AuditRecord]]]:
    model, records = PlainAuditStore(), made()
    await model.write(records)
    chance = random.Random(3)
    shuffled = chance.sample(records, len(records))
    async with ClickHouseAuditPlugin.open(config) as store:
        async with AuditTrail(store, AuditSettings(block_for=timedelta(minutes=1))) as trail:
            for record in shuffled:
                await trail.record(record)
            await trail.flush()
            assert (trail.written, trail.dropped) == (COUNT, 0)
        await store.write(shuffled[:500])  # once more
        gone = [record.id for record in chance.sample(records, 100)]
        assert await store.erase(gone) == await model.erase(gone) == 100
        yield store, model, records


async def test_every_filter_and_page_is_right(
    filled: tuple[AuditStore, PlainAuditStore, list[AuditRecord]],
) -> None:
    store, model, records = filled
    middle = NOON + SPAN / 2
    filters = [AuditQuery(**{name: f"{name}-1"}) for name in TEXTS]  # type: ignore[arg-type]
    tenant = frozenset({"tenant-1", "tenant-2"})
    filters += [
        AuditQuery(),
        AuditQuery(since=middle),
        AuditQuery(until=middle, tenant="tenant-3"),
        AuditQuery(since=middle, until=middle + timedelta(hours=1)),
        AuditQuery(scopes=(Scope(tenants=tenant), Scope(namespaces=frozenset({"namespace-2"})))),
        AuditQuery(outcome="outcome-0", verdict="verdict-0", caller_id="caller_id-7"),
        AuditQuery(tenant="nobody"),
    ]
    for query in filters:
        await all_pages(store, model, query)
    for record in random.Random(5).sample(records, 50):
        assert await store.get(record.id) == await model.get(record.id)
        wanted = await model.latest(record.action_id)
        assert await store.latest(record.action_id) == wanted


async def all_pages(store: AuditStore, model: PlainAuditStore, query: AuditQuery) -> None:
    query = evolve(query, limit=1000)
    total = (await model.query(query)).total
    by_offset: list[AuditRecord] = []
    by_position: list[AuditRecord] = []
    for offset in range(0, total + 1, 1000):
        page = await store.query(evolve(query, offset=offset))
        assert page.total == total
        by_offset += page.records
        last = by_position[-1] if by_position else None
        after = Position(last.dispatched_at, last.id) if last else None
        page = await store.query(evolve(query, after=after))
        assert page.total == total
        by_position += page.records
    expected = [
        record
        for offset in range(0, total + 1, 1000)
        for record in (await model.query(evolve(query, offset=offset))).records
    ]
    assert by_offset == expected
    assert by_position == expected
