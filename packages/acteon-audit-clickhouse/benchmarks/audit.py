"""What ClickHouse takes and gives: rows per second, and the time of a query.

The writer of the trail brings records into an empty table, in batches, with a queue of
four (`max_queue`) for whose room is waited; beside it stand inserts by the driver alone, of rows
that are ready, in batches of the same size. Then each filter is asked for a first page, counted
anew each time, and for a next one, of a table of many rows.

    PYTHONPATH=.ci python packages/acteon-audit-clickhouse/benchmarks/audit.py [ROWS]
"""

import asyncio
import random
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import median
from time import perf_counter
from typing import Final

from attrs import evolve

from acteon.audit import AuditQuery, AuditRecord, AuditSettings, AuditTrail, Position, Scope
from acteon.audit.testing import make_record
from acteon.audit_clickhouse import (
    ClickHouseAuditConfig,
    ClickHouseAuditPlugin,
    ClickHouseAuditStore,
)
from acteon.audit_clickhouse.layout import VERSION
from acteon.audit_clickhouse.rows import NAMES, row
from servers import clickhouse

ROWS: Final = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
WRITTEN: Final = 200_000
BATCHES: Final = (500, 5000)
TIMES: Final = 9
FIRST: Final = datetime(2026, 1, 10, tzinfo=UTC)
SPAN: Final = timedelta(days=60)
"""Three months of the calendar: so many partitions."""
PAYLOAD: Final = b'{"body":"' + b"x" * 200 + b'","subject":"Your order","to":"ann@example.com"}'


def made(count: int, *, span: timedelta = SPAN) -> Iterator[AuditRecord]:
    """Yield so many records, in the order of time."""
    chance = random.Random(count)
    for number in range(count):
        dispatched_at = FIRST + span * number / count
        yield make_record(
            action_id=f"action-{number}",
            namespace=f"namespace-{chance.randrange(5)}",
            tenant=f"tenant-{chance.randrange(20)}",
            provider=f"provider-{chance.randrange(10)}",
            action_type=f"type-{chance.randrange(50)}",
            verdict=chance.choice(("allow", "deny", "deduplicate", "suppress", "modify")),
            matched_rule=chance.choice((None, f"rule-{chance.randrange(100)}")),
            outcome=chance.choices(("executed", "suppressed", "failed"), (90, 9, 1))[0],
            caller_id=f"caller-{chance.randrange(1000)}",
            auth_method="jwt",
            action_payload=PAYLOAD,
            dispatched_at=dispatched_at,
            completed_at=dispatched_at + timedelta(milliseconds=12),
            expires_at=dispatched_at + timedelta(days=365),
        )


async def write(store: ClickHouseAuditStore, records: Sequence[AuditRecord], size: int) -> float:
    """Bring `records` into `store` through the trail's writer; return the seconds."""
    settings = AuditSettings(batch_size=size, max_queue=4 * size, block_for=timedelta(minutes=1))
    trail = AuditTrail(store, settings)
    async with trail:
        begun = perf_counter()
        for record in records:
            if not trail.take(record):
                await trail.record(record)
        await trail.flush()
        seconds = perf_counter() - begun
    assert (trail.written, trail.dropped) == (len(records), 0)
    return seconds


async def insert(store: ClickHouseAuditStore, records: Sequence[AuditRecord], size: int) -> float:
    """Bring `records` into the table of `store` as rows that are ready; return the seconds."""
    rows = [(*row(record), 1) for record in records]
    begun = perf_counter()
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        await store.engine.insert(store.layout.table, f"{NAMES}, {VERSION}", some)
    return perf_counter() - begun


async def ask(store: ClickHouseAuditStore, query: AuditQuery) -> tuple[float, float, int]:
    """Return the medians of a first page and of a next one, in milliseconds, and the total."""
    first: list[float] = []
    further: list[float] = []
    total = 0
    for _ in range(TIMES):
        with store.totals.changing():  # so that it counts
            pass
        begun = perf_counter()
        page = await store.query(query)
        first.append(perf_counter() - begun)
        total = page.total
        if page.records:
            last = page.records[-1]
            begun = perf_counter()
            await store.query(evolve(query, after=Position(last.dispatched_at, last.id)))
            further.append(perf_counter() - begun)
    return median(first) * 1000, median(further or [0]) * 1000, total


def queries() -> dict[str, AuditQuery]:
    """Return what is asked for."""
    middle = FIRST + SPAN / 2
    day = middle + timedelta(days=1)
    return {
        "nothing": AuditQuery(),
        "namespace": AuditQuery(namespace="namespace-1"),
        "tenant": AuditQuery(tenant="tenant-1"),
        "provider": AuditQuery(provider="provider-1"),
        "action_type": AuditQuery(action_type="type-1"),
        "outcome, most": AuditQuery(outcome="executed"),
        "outcome, few": AuditQuery(outcome="failed"),
        "verdict": AuditQuery(verdict="deny"),
        "matched_rule": AuditQuery(matched_rule="rule-1"),
        "caller_id": AuditQuery(caller_id="caller-1"),
        "an hour": AuditQuery(since=middle, until=middle + timedelta(hours=1)),
        "a day": AuditQuery(since=middle, until=day),
        "tenant, outcome": AuditQuery(tenant="tenant-1", outcome="failed"),
        "tenant, a day": AuditQuery(tenant="tenant-1", since=middle, until=day),
        "scope": AuditQuery(scopes=(Scope(tenants=frozenset({"tenant-1"})),)),
    }


async def main() -> None:
    """Measure, and print what was found."""
    with clickhouse.running() as server:
        for size in BATCHES:
            some = list(made(WRITTEN, span=timedelta(days=1)))
            rates: list[float] = []
            for name, bring in (("writer", write), ("driver", insert)):
                config = ClickHouseAuditConfig(url=server.url, prefix=f"{name}{size}")
                async with ClickHouseAuditPlugin.open(config) as store:
                    assert isinstance(store, ClickHouseAuditStore)
                    rates.append(WRITTEN / await bring(store, some, size))
            print(
                f"batches of {size}: writer {rates[0]:,.0f} rows/s, driver {rates[1]:,.0f} rows/s"
            )
        config = ClickHouseAuditConfig(url=server.url)
        async with ClickHouseAuditPlugin.open(config) as store:
            assert isinstance(store, ClickHouseAuditStore)
            records = made(ROWS)
            while some := list(islice(records, 5000)):
                await store.write(some)
            print(f"of {ROWS:,} rows: first page (counted), next page, total")
            for name, query in queries().items():
                first, further, total = await ask(store, query)
                print(f"{name:16} {first:8.1f} ms {further:8.1f} ms {total:>10,}")
            begun = perf_counter()
            for number in range(TIMES):
                await store.latest(f"action-{number * 50_000 % ROWS}")
            print(f"latest of an action {(perf_counter() - begun) * 1000 / TIMES:.1f} ms")


if __name__ == "__main__":
    asyncio.run(main())
