"""What has expired goes, in pieces or with its whole month; nobody waits for that."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
from attrs import evolve

from acteon.audit import AuditQuery, AuditRecord, AuditStore
from acteon.audit.testing import NOON, make_record
from acteon.audit_postgres import Layout, PostgresAuditConfig, PostgresAuditPlugin
from acteon.audit_postgres.layout import Month
from acteon.audit_postgres.removal import BATCH
from servers.process import Server

pytestmark = pytest.mark.server

Execute = Callable[[str], list[tuple[object, ...]]]
Partitions = Callable[[], dict[str, int]]

DAY = timedelta(days=1)
MONTH = timedelta(days=31)
JANUARY = Month(2025, 1)


def made(
    count: int, *, at: datetime = NOON, expires_at: datetime | None = NOON
) -> list[AuditRecord]:
    return [make_record(dispatched_at=at, expires_at=expires_at) for _ in range(count)]


async def test_each_month_has_its_partition(store: AuditStore, partitions: Partitions) -> None:
    ends = datetime(2025, 2, 1, tzinfo=UTC) - timedelta(microseconds=1)
    last = make_record(dispatched_at=ends)
    elsewhere = make_record(dispatched_at=ends.astimezone(tz=timezone(timedelta(hours=5))))
    first = make_record(dispatched_at=datetime(2025, 2, 1, tzinfo=UTC))
    await store.write(
        [last, elsewhere, first, make_record(dispatched_at=datetime(1, 1, 1, tzinfo=UTC))]
    )

    assert partitions() == {"0001_01": 1, "2025_01": 2, "2025_02": 1, "default": 0}
    for record in (last, elsewhere, first):
        assert await store.get(record.id) == record


async def test_the_partition_of_the_next_month_is_made_ahead(
    store: AuditStore, partitions: Partitions
) -> None:
    await store.clean_up(datetime(2024, 12, 31, 23, tzinfo=UTC))
    assert partitions() == {"2024_12": 0, "2025_01": 0, "default": 0}


async def test_a_month_in_which_all_has_expired_is_dropped(
    store: AuditStore, partitions: Partitions
) -> None:
    await store.write(made(7))
    await store.write(made(3, at=NOON + MONTH, expires_at=None))
    assert await store.clean_up(NOON + MONTH) == 7
    assert partitions() == {"2025_02": 3, "2025_03": 0, "default": 0}

    late = make_record(expires_at=None)
    await store.write([late])
    assert await store.get(late.id) == late
    assert (await store.query(AuditQuery())).total == 4


@pytest.mark.parametrize("kept_until", [None, NOON + 2 * MONTH])
async def test_a_month_with_something_left_is_kept(
    store: AuditStore, partitions: Partitions, kept_until: datetime | None
) -> None:
    await store.write([*made(7), *made(1, expires_at=kept_until)])
    assert await store.clean_up(NOON + MONTH) == 7
    assert partitions()["2025_01"] == 1


async def test_the_current_month_is_kept(store: AuditStore, partitions: Partitions) -> None:
    await store.write(made(2))
    assert await store.clean_up(NOON + DAY) == 2
    assert partitions() == {"2025_01": 0, "2025_02": 0, "default": 0}


async def test_more_than_one_piece_is_removed(store: AuditStore) -> None:
    count = 2 * BATCH + 1
    records = [
        make_record(expires_at=NOON + timedelta(microseconds=number)) for number in range(count)
    ]
    await store.write(records[::-1])
    await store.write(made(3, expires_at=None))
    assert await store.clean_up(NOON + DAY) == count
    assert (await store.query(AuditQuery())).total == 3


async def test_more_than_one_piece_that_expires_at_one_instant_is_removed(
    store: AuditStore,
) -> None:
    await store.write(made(2 * BATCH))
    assert await store.clean_up(NOON) == 2 * BATCH


async def test_a_record_that_has_its_id_from_an_expired_one_stays(store: AuditStore) -> None:
    old, new = made(1)[0], make_record(dispatched_at=NOON + DAY, expires_at=None)
    namesake = evolve(old, dispatched_at=NOON + DAY / 2, expires_at=NOON + 2 * DAY)
    await store.write([old, namesake, new, evolve(new, id="z", expires_at=NOON)])
    assert await store.clean_up(NOON + DAY) == 2
    assert (await store.query(AuditQuery())).records == (new, namesake)


async def test_one_process_at_a_time_removes(
    server: Server, store: AuditStore, layout: Layout
) -> None:
    await store.write(made(5))
    with psycopg.connect(server.url) as other:
        other.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (0x0AC7E003, layout.name("audit"))
        )
        assert await store.clean_up(NOON) == 0
        other.rollback()
    assert await store.clean_up(NOON) == 5


async def test_writes_and_queries_go_on_meanwhile(store: AuditStore) -> None:
    await store.write(made(4 * BATCH))
    async with asyncio.TaskGroup() as group:
        removal = group.create_task(store.clean_up(NOON))
        turns = 0
        while not removal.done():
            await store.write(made(1, expires_at=None))
            await store.query(AuditQuery(limit=1))
            turns += 1
    assert removal.result() == 4 * BATCH
    assert turns > 5
    assert (await store.query(AuditQuery())).total == turns


async def test_a_month_in_use_is_not_waited_for(
    server: Server,
    store: AuditStore,
    layout: Layout,
    partitions: Partitions,
) -> None:
    await store.write(made(2))
    with psycopg.connect(server.url) as reader:
        reader.execute(f"SELECT count(*) FROM {layout.name('audit')}".encode())
        async with asyncio.timeout(5):
            assert await store.clean_up(NOON + MONTH) == 2
        reader.rollback()
    assert partitions()["2025_01"] == 0
    assert await store.clean_up(NOON + MONTH) == 0
    assert "2025_01" not in partitions()


async def test_rows_that_came_before_their_partition_stay_where_they_are(
    store: AuditStore,
    layout: Layout,
    config: PostgresAuditConfig,
    execute: Execute,
    partitions: Partitions,
    caplog: pytest.LogCaptureFixture,
) -> None:
    early = make_record(expires_at=NOON)
    await store.write([early])
    execute(f"CREATE TABLE moved AS TABLE {layout.name('audit')}")
    execute(f"DROP TABLE {layout.partition(JANUARY)}")
    execute(f"INSERT INTO {layout.name('audit')} TABLE moved; DROP TABLE moved")
    async with PostgresAuditPlugin.open(config) as another:
        await another.write([early, make_record(action_id="b")])
        assert partitions() == {"default": 2}
        (line,) = caplog.records
        assert vars(line)["acteon.hint"].startswith("nothing is lost, and its records stay there")
        assert await another.get(early.id) == early
        assert await another.clean_up(NOON + MONTH) == 1


async def test_a_month_that_was_dropped_by_others_costs_nothing(
    store: AuditStore, layout: Layout, execute: Execute
) -> None:
    await store.write(made(1))
    execute(f"DROP TABLE {layout.partition(JANUARY)}")
    record = make_record()
    await store.write([record])
    assert await store.get(record.id) == record


@pytest.fixture
async def another(config: PostgresAuditConfig) -> AsyncIterator[AuditStore]:
    async with PostgresAuditPlugin.open(config) as store:
        yield store


async def test_many_that_need_a_month_at_once_all_have_it(
    store: AuditStore, another: AuditStore, partitions: Partitions
) -> None:
    records = made(8)
    async with asyncio.TaskGroup() as group:
        for number, record in enumerate(records):
            group.create_task((store, another)[number % 2].write([record]))
    assert partitions() == {"2025_01": 8, "default": 0}


async def test_erasing_takes_the_payload_out_of_the_table(
    store: AuditStore, execute: Execute, layout: Layout
) -> None:
    record = make_record()
    await store.write([record, evolve(record, id="other")])
    assert await store.erase([record.id]) == 1
    found = execute(f"SELECT action_payload->>'to' FROM {layout.name('audit')} ORDER BY 1")
    assert found == [("ann@example.com",), (None,)]
