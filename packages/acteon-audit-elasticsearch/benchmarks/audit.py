"""What the audit store in Elasticsearch takes and gives: rows per second, and the time of a query.

The writer of the trail brings records into an empty index, as it is configured by default but for
the size of its batches and of its queue (`max_queue`: four batches, for whose room is waited);
beside it stands the server's own bulk, the same documents encoded before, one request after the
other of the same size, and then several at once. Then each filter is asked for a first page,
counted anew each time, and for a next one, of an index of many rows.

    PYTHONPATH=.ci python packages/acteon-audit-elasticsearch/benchmarks/audit.py [ROWS]
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

import msgspec
from attrs import evolve

from acteon.audit import AuditQuery, AuditRecord, AuditSettings, AuditTrail, Position, Scope
from acteon.audit.testing import make_record
from acteon.audit_elasticsearch import (
    ElasticsearchAuditConfig,
    ElasticsearchAuditPlugin,
    ElasticsearchAuditStore,
)
from acteon.audit_elasticsearch.documents import document
from servers import elasticsearch

ROWS: Final = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
WRITTEN: Final = min(ROWS, 50_000)
BATCHES: Final = (500, 5000)
AT_ONCE: Final = 4
TIMES: Final = 15
FIRST: Final = datetime(2026, 1, 10, tzinfo=UTC)
SPAN: Final = timedelta(days=60)
PAYLOAD: Final = b'{"body":"' + b"x" * 200 + b'","subject":"Your order","to":"ann@example.com"}'


def made(count: int) -> Iterator[AuditRecord]:
    """Yield so many records, in the order of time."""
    chance = random.Random(count)
    for number in range(count):
        dispatched_at = FIRST + SPAN * number / count
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


def encoded(records: Sequence[AuditRecord], size: int) -> Iterator[list[bytes]]:
    """Yield the operations that write `records`, in parts of `size` records."""
    for start in range(0, len(records), size):
        lines: list[bytes] = []
        for one in records[start : start + size]:
            name, source = document(one)
            lines += msgspec.json.encode({"create": {"_id": name}}), source
        yield lines


async def bulk(store: ElasticsearchAuditStore, parts: Sequence[list[bytes]], width: int) -> float:
    """Send `parts`, so many at a time; return the seconds."""
    waiting = iter(parts)

    async def send() -> None:
        for lines in waiting:
            store.calls.check(await store.calls.bulk(lines, store.layout.alias))

    begun = perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(send())
    return perf_counter() - begun


async def write(store: ElasticsearchAuditStore, records: Sequence[AuditRecord], size: int) -> float:
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


async def ask(store: ElasticsearchAuditStore, query: AuditQuery) -> tuple[float, float, int]:
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
        last = page.records[-1]
        begun = perf_counter()
        await store.query(evolve(query, after=Position(last.dispatched_at, last.id)))
        further.append(perf_counter() - begun)
    return median(first) * 1000, median(further) * 1000, total


def queries() -> dict[str, AuditQuery]:
    """Return what is asked for."""
    middle = FIRST + SPAN / 2
    day = timedelta(days=1)
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
        "a day": AuditQuery(since=middle, until=middle + day),
        "tenant, outcome": AuditQuery(tenant="tenant-1", outcome="failed"),
        "tenant, a day": AuditQuery(tenant="tenant-1", since=middle, until=middle + day),
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
    with elasticsearch.running(heap="1g") as server:
        some = list(made(WRITTEN))
        rates: dict[str, float] = {}

        async def measured(name: str, size: int, width: int) -> None:
            config = ElasticsearchAuditConfig(url=server.url, prefix=f"{name}{size}-{width}")
            async with ElasticsearchAuditPlugin.open(config) as store:
                assert isinstance(store, ElasticsearchAuditStore)
                if name == "bulk":
                    seconds = await bulk(store, list(encoded(some, size)), width)
                else:
                    seconds = await write(store, some, size)
            rates[name] = WRITTEN / seconds
            print(f"{name:7} batches of {size}, {width} at once: {rates[name]:,.0f} rows/s")

        await measured("warm", 5000, 1)
        for size in BATCHES:
            await measured("writer", size, 1)
            await measured("bulk", size, 1)
            await measured("bulk", size, AT_ONCE)
        async with ElasticsearchAuditPlugin.open(
            ElasticsearchAuditConfig(url=server.url, command_timeout_seconds=60)
        ) as store:
            assert isinstance(store, ElasticsearchAuditStore)
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
