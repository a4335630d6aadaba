"""What the audit store in PostgreSQL takes and gives: rows per second, and the time of a query.

The writer of the trail brings records into an empty table, as it is configured by default but for
the size of its batches and of its queue (`max_queue`: four batches, for whose room is waited);
beside it stands COPY, in batches of the same size, into a table with the same indexes. Then each
filter is asked for a first page, counted anew each time, and for a next one, of a table of many
rows.

    PYTHONPATH=.ci python packages/acteon-audit-postgres/benchmarks/audit.py [ROWS]
"""

import asyncio
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import median
from time import perf_counter
from typing import Any, Final

import psycopg
from attrs import evolve

from acteon.audit import AuditQuery, AuditRecord, AuditSettings, AuditTrail, Position, Scope
from acteon.audit.testing import make_record
from acteon.audit_postgres import PostgresAuditConfig, PostgresAuditPlugin, PostgresAuditStore
from acteon.audit_postgres.layout import MEMBERS
from servers import postgres

ROWS: Final = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
WRITTEN: Final = 200_000
BATCHES: Final = (500, 5000)
TIMES: Final = 15
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


def copy(url: str, table: str, records: Iterable[AuditRecord], size: int) -> float:
    """Bring `records` into `table`, so many at a time; return the seconds."""
    names = ", ".join(MEMBERS)
    rows = [
        tuple(one.decode() if isinstance(one := getattr(record, name), bytes) else one
              for name in MEMBERS)
        for record in records
    ]  # fmt: skip
    with psycopg.connect(url, autocommit=True) as connection:
        begun = perf_counter()
        for some in batches(rows, size):
            with connection.cursor().copy(f"COPY {table} ({names}) FROM STDIN".encode()) as lines:
                for row in some:
                    lines.write_row(row)
        return perf_counter() - begun


def batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield the `items` in parts of `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


async def write(store: PostgresAuditStore, records: Sequence[AuditRecord], size: int) -> float:
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


async def ask(store: PostgresAuditStore, query: AuditQuery) -> tuple[float, float, int]:
    """Return the medians of a first page and of a next one, in milliseconds, and the total."""
    first: list[float] = []
    further: list[float] = []
    page = await store.query(query)
    last = page.records[-1]
    behind = evolve(query, after=Position(last.dispatched_at, last.id))
    for _ in range(TIMES):
        with store.totals.changing():  # so that it counts
            pass
        for asked, seconds in ((query, first), (behind, further)):
            begun = perf_counter()
            await store.query(asked)
            seconds.append(perf_counter() - begun)
    return median(first) * 1000, median(further) * 1000, page.total


def queries() -> dict[str, AuditQuery]:
    """Return what is asked for."""
    middle = FIRST + SPAN / 2
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
        "a day": AuditQuery(since=middle, until=middle + timedelta(days=1)),
        "tenant, outcome": AuditQuery(tenant="tenant-1", outcome="failed"),
        "tenant, a day": AuditQuery(
            tenant="tenant-1", since=middle, until=middle + timedelta(days=1)
        ),
        "scope": AuditQuery(scopes=(Scope(tenants=frozenset({"tenant-1"})),)),
        "scopes": AuditQuery(
            scopes=(
                Scope(tenants=frozenset({"tenant-1", "tenant-2"})),
                Scope(namespaces=frozenset({"namespace-3"}), action_types=frozenset({"type-7"})),
            )
        ),
    }


async def main() -> None:
    """Measure, and print what was found."""
    with postgres.running() as server:
        for size in BATCHES:
            config = PostgresAuditConfig(url=server.url, prefix=f"writer{size}")
            some = list(made(WRITTEN, span=timedelta(days=1)))
            async with PostgresAuditPlugin.open(config) as store:
                assert isinstance(store, PostgresAuditStore)
                written = WRITTEN / await write(store, some, size)
            config = PostgresAuditConfig(url=server.url, prefix=f"copy{size}")
            async with PostgresAuditPlugin.open(config) as store:
                await store.write(some[:1])  # makes the partition
                copied = WRITTEN / copy(server.url, f"copy{size}_audit", some[1:], size)
            print(f"batches of {size}: writer {written:,.0f} rows/s, COPY {copied:,.0f} rows/s")
        config = PostgresAuditConfig(url=server.url)
        async with PostgresAuditPlugin.open(config) as store:
            assert isinstance(store, PostgresAuditStore)
            records = made(ROWS)
            while some := list(islice(records, 5000)):
                await store.write(some)
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("VACUUM (ANALYZE) acteon_audit")
            print(f"of {ROWS:,} rows: first page (counted), next page, total")
            for name, query in queries().items():
                first, further, total = await ask(store, query)
                print(f"{name:16} {first:8.1f} ms {further:8.1f} ms {total:>10,}")
            begun = perf_counter()
            for number in range(TIMES):
                await store.latest(f"action-{number * 50_000 % ROWS}")
            print(f"latest of an action {(perf_counter() - begun) * 1000 / TIMES:.1f} ms")
            ids = [one.id for one in (await store.query(AuditQuery(limit=1000))).records]
            begun = perf_counter()
            await store.erase(ids)
            print(f"erasing {len(ids):,} payloads {(perf_counter() - begun) * 1000:.0f} ms")
            begun = perf_counter()
            removed = await store.clean_up(FIRST + timedelta(days=365) + SPAN / 10)
            print(f"cleaning up {removed:,} rows {removed / (perf_counter() - begun):,.0f} rows/s")


if __name__ == "__main__":
    asyncio.run(main())
