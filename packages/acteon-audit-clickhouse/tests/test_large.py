"""Payloads of megabytes, through the trail, into a server with little time for each statement."""

from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random

import pytest
from attrs import evolve

from acteon.audit import AuditQuery, AuditRecord, AuditSettings, AuditStore, AuditTrail, walk_pages
from acteon.audit.testing import NOON, make_record
from acteon.audit_clickhouse import ClickHouseAuditConfig, ClickHouseAuditPlugin

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

COUNT = 150
PATIENT = AuditSettings(block_for=timedelta(minutes=1), flush_delay=timedelta(0))


@pytest.fixture
async def hurried(config: ClickHouseAuditConfig) -> AsyncIterator[AuditStore]:
    async with ClickHouseAuditPlugin.open(evolve(config, command_timeout_seconds=0.7)) as store:
        yield store


@pytest.fixture(scope="module")
def records() -> list[AuditRecord]:
    """Give records that compress badly, in the order of pages."""
    chance = Random(5)
    return [
        make_record(
            action_payload=b'"%s"' % chance.randbytes(1_000_000).hex().encode(),
            dispatched_at=NOON - timedelta(seconds=number),
        )
        for number in range(COUNT)
    ]


@pytest.mark.parametrize("batch_bytes", [8 * 1024 * 1024, 1 << 40])
async def test_all_are_written_and_read(
    hurried: AuditStore, store: AuditStore, records: list[AuditRecord], batch_bytes: int
) -> None:
    """Without a bound the whole is too much for one statement, and comes in halves."""
    settings = evolve(PATIENT, batch_bytes=batch_bytes, max_queue_bytes=1 << 40)
    async with AuditTrail(hurried, settings) as trail:
        for record in records:
            await trail.record(record)
    assert (trail.written, trail.dropped) == (COUNT, 0)
    assert trail.failed_writes > 0 or batch_bytes < 1 << 40

    sizes: list[int] = []
    found: list[AuditRecord] = []
    async for page in walk_pages(store, AuditQuery(), page_size=10):
        sizes.append(len(page.records))
        found += page.records
    assert found == records
    assert max(sizes[1:]) <= 8
