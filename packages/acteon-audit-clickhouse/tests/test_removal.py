"""What has expired or was erased goes, from the answers and from the disk."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from acteon.audit import AuditQuery
from acteon.audit.testing import NOON, make_record
from acteon.audit_clickhouse import (
    ClickHouseAuditConfig,
    ClickHouseAuditPlugin,
    ClickHouseAuditStore,
)
from acteon.audit_clickhouse.removal import Removal
from acteon.audit_clickhouse.statements import Statements
from acteon.core import SYSTEM_CLOCK, ManualClock
from servers import clickhouse

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

Eventually = Callable[[Callable[[], Awaitable[Any]], float], Awaitable[Any]]
LONG_AGO = NOON - timedelta(days=200)


async def number(store: ClickHouseAuditStore, statement: str) -> int:
    ((found,),) = (await store.engine.ask(statement)).rows
    return int(found)


async def months(store: ClickHouseAuditStore) -> list[str]:
    rows = (
        await store.engine.ask(
            "SELECT DISTINCT partition FROM system.parts WHERE database = currentDatabase() "
            f"AND table = '{store.layout.table}' AND active ORDER BY partition"
        )
    ).rows
    return [partition for (partition,) in rows]


async def deletions(store: ClickHouseAuditStore) -> list[str]:
    """Return what the mutations are, the oldest first, whether they are done or not."""
    rows = (
        await store.engine.ask(
            "SELECT command FROM system.mutations WHERE database = currentDatabase() "
            f"AND table = '{store.layout.table}' ORDER BY create_time, mutation_id"
        )
    ).rows
    return [command for (command,) in rows]


async def test_a_month_in_which_all_has_expired_is_dropped(store: ClickHouseAuditStore) -> None:
    old = [make_record(dispatched_at=LONG_AGO, expires_at=NOON) for _ in range(3)]
    await store.write(old)
    await store.write(old)  # counts once
    mixed = make_record(dispatched_at=LONG_AGO - timedelta(days=60), expires_at=NOON)
    kept = evolve(mixed, id="kept", expires_at=None)
    new = make_record(expires_at=NOON + timedelta(days=1))
    await store.write([mixed, kept, new])
    assert len(await months(store)) == 3

    assert await store.clean_up(NOON) == 4
    assert len(await months(store)) == 2
    assert set((await store.query(AuditQuery())).records) == {kept, new}
    assert await number(
        store,
        "SELECT count() FROM system.mutations "
        f"WHERE table = '{store.layout.table}' AND database = currentDatabase()",
    )


async def test_a_month_that_may_still_be_written_to_is_not_dropped(
    store: ClickHouseAuditStore,
) -> None:
    await store.write([make_record(expires_at=NOON)])
    now = NOON + timedelta(days=20)
    assert await store.clean_up(now) == 1
    # Not dropped, which would take what comes in meanwhile, too.
    assert len(await deletions(store)) == 1
    late = make_record()
    await store.write([late])
    assert (await store.query(AuditQuery())).records == (late,)


async def test_while_a_deletion_is_under_way_a_clean_up_does_nothing(
    store: ClickHouseAuditStore, eventually: Eventually
) -> None:
    expired = make_record(expires_at=NOON)
    await store.write([expired])
    impatient = ClickHouseAuditStore(store.engine, store.layout, patience=timedelta(0))

    found = sorted(await asyncio.gather(impatient.clean_up(NOON), store.clean_up(NOON)))
    # Two that begin at once may both count; whoever comes later does not.
    assert found in ([0, 1], [1, 1])

    async def gone() -> None:
        assert (await store.query(AuditQuery())).total == 0

    await eventually(gone, 60)
    assert await store.clean_up(NOON) == 0


async def test_erased_payloads_leave_the_disk(
    store: ClickHouseAuditStore, eventually: Eventually
) -> None:
    secret = make_record(action_payload=b'{"canary":"3141"}')
    other = make_record()
    await store.write([secret, other])
    assert await store.erase([secret.id]) == 1
    await store.write([secret])  # a write that was repeated late

    async def gone() -> None:
        await store.clean_up(NOON)
        assert not await number(
            store,
            f"SELECT count() FROM {store.layout.table} WHERE action_payload LIKE '%3141%'",
        )

    await eventually(gone, 90)
    assert await store.get(secret.id) == evolve(secret, action_payload=None)
    assert await store.get(other.id) == other


async def test_erased_payloads_leave_the_disk_without_a_clean_up(
    store: ClickHouseAuditStore, eventually: Eventually
) -> None:
    secret = make_record(action_payload=b'{"canary":"2718"}')
    await store.write([secret, make_record()])
    assert await store.erase([secret.id]) == 1

    async def gone() -> None:
        assert not await number(
            store,
            f"SELECT count() FROM {store.layout.table} WHERE action_payload LIKE '%2718%'",
        )

    await eventually(gone, 60)
    assert await store.get(secret.id) == evolve(secret, action_payload=None)


async def test_whoever_erases_page_after_page_begins_one_deletion_a_minute(
    store: ClickHouseAuditStore, eventually: Eventually
) -> None:
    clock = ManualClock()
    store = ClickHouseAuditStore(store.engine, store.layout, clock=clock)
    records = [make_record() for _ in range(4)]
    await store.write(records)

    async def done() -> None:
        assert not await number(
            store,
            "SELECT count() FROM system.mutations WHERE database = currentDatabase() "
            f"AND table = '{store.layout.table}' AND NOT is_done",
        )

    for one in records[:3]:
        assert await store.erase([one.id]) == 1
        await eventually(done, 60)
    assert len(await deletions(store)) == 1
    clock.move(timedelta(minutes=1))
    assert await store.erase([records[3].id]) == 1
    assert len(await deletions(store)) == 2
    await eventually(done, 60)
    assert await number(store, f"SELECT count() FROM {store.layout.table}") == 4


async def test_a_month_that_is_too_large_to_be_dropped_is_deleted(
    prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "acteon.audit_clickhouse")
    small = "<max_partition_size_to_drop>1</max_partition_size_to_drop>"
    with clickhouse.running(config=small) as server:
        config = ClickHouseAuditConfig(url=server.url, prefix=prefix)
        async with ClickHouseAuditPlugin.open(config) as store:
            old = [
                make_record(dispatched_at=LONG_AGO - month * timedelta(days=40), expires_at=NOON)
                for month in range(3)
            ]
            new = make_record(expires_at=NOON + timedelta(days=1))
            await store.write([*old, new])
            assert await store.clean_up(NOON) == 3
            assert (await store.query(AuditQuery())).records == (new,)
    assert [record.levelname for record in caplog.records] == ["INFO"] * 3
    assert "was not dropped" in caplog.records[0].__dict__["acteon.error"]


async def test_records_that_were_written_twice_count_once(store: ClickHouseAuditStore) -> None:
    records = [make_record(expires_at=NOON) for _ in range(20)]
    for _ in range(3):
        await store.write(records)
    assert await store.clean_up(NOON) == 20


async def test_a_deletion_that_fails_is_told_once_and_begun_anew(
    current: ClickHouseAuditStore, caplog: pytest.LogCaptureFixture, eventually: Eventually
) -> None:
    await current.write([make_record(expires_at=NOON), make_record()])
    await fail_for_ever(current, "SETTINGS mutations_sync = 0")
    removal = removal_of(current, bound=timedelta(hours=1))

    async def failing() -> None:
        caplog.clear()
        assert await removal.clean_up(NOON) == 0
        assert [record.levelname for record in caplog.records] == ["WARNING"]

    await eventually(failing, 60)
    assert "throwIf" in caplog.records[0].__dict__["acteon.error"]
    assert await removal.clean_up(NOON) == 0
    assert len(caplog.records) == 1

    caplog.clear()
    assert await removal_of(current, bound=timedelta(0)).clean_up(NOON) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert (await current.query(AuditQuery())).total == 1
    assert len(await deletions(current)) == 1


async def test_where_the_server_cannot_end_it_a_deletion_that_fails_is_told(
    store: ClickHouseAuditStore, caplog: pytest.LogCaptureFixture
) -> None:
    await store.write([make_record(expires_at=NOON), make_record()])
    await fail_for_ever(store)
    caplog.clear()
    removal = removal_of(store, bound=timedelta(hours=1))
    assert await removal.clean_up(NOON) == 0
    assert not caplog.records
    removal = removal_of(store, bound=timedelta(0))
    for _ in range(2):
        assert await removal.clean_up(NOON) == 0
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    await store.engine.ask(f"DROP TABLE {store.layout.table}")  # it goes on for ever otherwise


async def fail_for_ever(store: ClickHouseAuditStore, settings: str = "") -> None:
    await store.engine.ask(
        f"ALTER TABLE {store.layout.table} DELETE "
        f"WHERE expires_at >= 0 AND throwIf(duration_ms >= 0) = 0 {settings}"
    )


def removal_of(store: ClickHouseAuditStore, *, bound: timedelta) -> Removal:
    statements = Statements(store.layout.table, 10, store.layout.is_modern)
    return Removal(store.engine, statements, SYSTEM_CLOCK, timedelta(minutes=1), bound)


async def test_many_are_erased_at_once(store: ClickHouseAuditStore) -> None:
    many = [make_record() for _ in range(1700)]
    await store.write(many)
    ids = [one.id for one in many[:1600]]

    assert await store.erase(ids) == 1600
    full = [
        record
        for offset in (0, 1000)
        for record in (await store.query(AuditQuery(limit=1000, offset=offset))).records
        if record.action_payload is not None
    ]
    assert {record.id for record in full} == {record.id for record in many[1600:]}


async def test_two_who_erase_the_same_leave_one_record(store: ClickHouseAuditStore) -> None:
    record = make_record()
    await store.write([record])
    await asyncio.gather(*(store.erase([record.id]) for _ in range(4)))

    page = await store.query(AuditQuery())
    assert (page.records, page.total) == ((evolve(record, action_payload=None),), 1)


async def test_a_current_engine_drops_and_deletes_too(current: ClickHouseAuditStore) -> None:
    old = make_record(dispatched_at=LONG_AGO, expires_at=NOON)
    secret = make_record()
    await current.write([old, secret, make_record(expires_at=NOON)])
    assert await current.erase([secret.id]) == 1
    current.patience = timedelta(0)

    async def removed() -> int:
        return await current.clean_up(NOON)

    found = 0
    while found < 2:  # the deletion that erasing has begun may be under way
        found += await removed()
    assert (await current.query(AuditQuery())).total == 1
