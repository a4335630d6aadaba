"""Many records, through the writer of the trail: every filter and page as a plain model has it."""

import os
from collections.abc import Iterator
from datetime import timedelta
from random import Random

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
    walk,
)
from acteon.audit.testing import NOON, PlainAuditStore, make_record

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

COUNT = 100_000 if os.environ.get("ACTEON_TEST_FULL") else 5_000
SPAN = timedelta(days=70)
"""Four months of the calendar, or parts of them."""


def made() -> Iterator[AuditRecord]:
    chance = Random(1)
    for _ in range(COUNT):
        dispatched_at = NOON + timedelta(milliseconds=chance.randrange(SPAN // MILLISECOND))
        yield make_record(
            action_id=f"a-{chance.randrange(COUNT // 2)}",
            namespace=f"n-{chance.randrange(3)}",
            tenant=f"t-{chance.randrange(20)}",
            provider=f"p-{chance.randrange(5)}",
            action_type=f"y-{chance.randrange(30)}",
            verdict=chance.choice(("allow", "deny", "modify")),
            matched_rule=chance.choice((None, "", "r-1", "r-2")),
            outcome=chance.choices(("executed", "suppressed", "failed"), (90, 9, 1))[0],
            caller_id=f"c-{chance.randrange(200)}",
            dispatched_at=dispatched_at,
            completed_at=dispatched_at + MILLISECOND,
        )


MILLISECOND = timedelta(milliseconds=1)
FILTERS = {
    "namespace": "n-1",
    "tenant": "t-7",
    "provider": "p-2",
    "action_type": "y-11",
    "verdict": "deny",
    "matched_rule": "r-1",
    "outcome": "failed",
    "caller_id": "c-42",
}
QUERIES = [
    AuditQuery(),
    *(AuditQuery(**{name: text}) for name, text in FILTERS.items()),  # type: ignore[arg-type]
    AuditQuery(since=NOON + SPAN / 2),
    AuditQuery(until=NOON + SPAN / 3),
    AuditQuery(since=NOON + SPAN / 3, until=NOON + SPAN / 2),
    AuditQuery(tenant="t-1", outcome="executed", since=NOON + SPAN / 5),
    AuditQuery(scopes=(Scope(tenants=frozenset({"t-1", "t-2"})),)),
    AuditQuery(
        verdict="allow",
        scopes=(
            Scope(tenants=frozenset({"t-1"}), namespaces=frozenset({"n-1", "n-2"})),
            Scope(action_types=frozenset({"y-1"})),
        ),
    ),
    AuditQuery(tenant="nobody"),
]


async def test_every_filter_and_every_page_is_as_a_plain_model_has_it(store: AuditStore) -> None:
    records = list(made())
    async with AuditTrail(store, AuditSettings(block_for=timedelta(minutes=1))) as trail:
        for record in records:
            await trail.record(record)
        await trail.flush()
        assert (trail.written, trail.dropped, trail.failed_writes) == (COUNT, 0, 0)
    model = PlainAuditStore({record.id: record for record in records})

    for query in QUERIES:
        everything = await model.query(_all_of(query))
        assert [one async for one in walk(store, query)] == list(everything.records), query
        total = everything.total
        for offset in {0, 1, total // 2, max(total - 3, 0), total}:
            page = evolve(query, limit=7, offset=offset)
            found = await store.query(page)
            assert found.records == everything.records[offset : offset + 7], page
            assert (found.total, found.limit, found.offset) == (total, 7, offset)
        if total:
            middle = everything.records[total // 2]
            after = evolve(query, after=Position(middle.dispatched_at, middle.id), offset=2)
            found = await store.query(after)
            behind = everything.records[total // 2 + 1 :]
            assert (found.records, found.total) == (behind[2:52], total)
    for record in Random(2).sample(records, 50):
        assert await store.get(record.id) == record
        assert await store.latest(record.action_id) == await model.latest(record.action_id)


def _all_of(query: AuditQuery) -> AuditQuery:
    """Return `query` with no limit, which the plain model does not check."""
    everything = evolve(query)
    object.__setattr__(everything, "limit", COUNT)
    return everything
