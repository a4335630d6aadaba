"""Partitions are there before they are needed, and go with nothing in them that has not expired."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic

import psycopg
import pytest
from attrs import evolve

from acteon.audit import AuditQuery, AuditRecord, AuditStorageError, AuditStore
from acteon.audit.testing import NOON, make_record
from acteon.audit_postgres import Layout, PostgresAuditConfig, PostgresAuditPlugin
from acteon.audit_postgres.layout import COLUMNS, Month
from acteon.audit_postgres.partitions import COUNTED, PAUSE, TURN
from acteon.audit_postgres.store import PostgresAuditStore
from acteon.core import ManualClock
from acteon.state_postgres import Connections
from servers.process import Server
from servers.proxy import Proxy

pytestmark = pytest.mark.server

Execute = Callable[[str], list[tuple[object, ...]]]
Partitions = Callable[[], dict[str, int]]
Until = Callable[[str], Awaitable[None]]
Warnings = Callable[[], list[tuple[str, str]]]

MONTH = timedelta(days=31)
JANUARY = Month(2025, 1)
WAITING = (
    "EXISTS (SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' "
    "AND relation = '{table}'::regclass)"
)
"""Whether somebody waits for the whole table."""
TOLD = "records of a month go into the default partition: its own cannot be made"


@pytest.fixture
def reader(server: Server, store: AuditStore, layout: Layout) -> Iterator[psycopg.Connection]:
    """Give somebody who reads the default partition for long, as a backup does."""
    with psycopg.connect(server.url) as reader:
        reader.execute(f"LOCK TABLE {layout.name('audit_default')} IN ACCESS SHARE MODE".encode())
        yield reader
        reader.rollback()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Warnings:
    """Give what tells the warnings so far, each with its hint."""

    def tell() -> list[tuple[str, str]]:
        return [
            (one.getMessage(), str(vars(one)["acteon.hint"]))
            for one in caplog.records
            if one.levelno >= logging.WARNING
        ]

    return tell


def expired(count: int, *, at: datetime = NOON) -> list[AuditRecord]:
    return [make_record(dispatched_at=at, expires_at=at) for _ in range(count)]


@pytest.mark.usefixtures("store")
async def test_this_month_and_the_next_have_their_partitions_from_the_start(
    execute: Execute, layout: Layout
) -> None:
    month = Month.of(datetime.now(UTC))
    for one in (month, month.next):
        name = layout.partition(one)
        assert execute(f"SELECT to_regclass('{name}') IS NOT NULL") == [(True,)]


@pytest.mark.usefixtures("reader")
async def test_who_reads_at_the_first_write_of_a_month_is_in_nobodys_way(
    store: AuditStore, partitions: Partitions, warnings: Warnings
) -> None:
    await store.write([make_record(dispatched_at=datetime.now(UTC))])
    assert partitions() == {"default": 0}
    assert warnings() == []


async def test_a_month_that_cannot_have_its_partition_is_told_once_and_has_it_later(
    store: AuditStore,
    reader: psycopg.Connection,
    layout: Layout,
    execute: Execute,
    partitions: Partitions,
    warnings: Warnings,
) -> None:
    december = NOON - MONTH
    await store.clean_up(december)
    await store.clean_up(december)
    assert [text for text, _ in warnings()] == [TOLD, TOLD]  # for each of the two months
    assert all("it is tried again" in hint for _, hint in warnings())
    assert partitions() == {"default": 0}

    reader.rollback()
    await store.clean_up(december)
    assert partitions() == {"2024_12": 0, "2025_01": 0, "default": 0}
    execute(f"DROP TABLE {layout.partition(JANUARY)}")
    reader.execute(f"LOCK TABLE {layout.name('audit_default')} IN ACCESS SHARE MODE".encode())
    await store.clean_up(december)
    assert len(warnings()) == 3


async def test_those_who_write_try_again_after_a_pause(
    config: PostgresAuditConfig,
    reader: psycopg.Connection,
    layout: Layout,
    execute: Execute,
    partitions: Partitions,
    warnings: Warnings,
) -> None:
    clock = ManualClock()
    async with Connections(config, clock) as connections:
        store = PostgresAuditStore(connections, layout)
        await store.write([make_record()])
        reader.rollback()
        for _ in range(2):
            # Once there are rows, what would be made does not fit any more.
            execute(f"DELETE FROM {layout.name('audit')}")
            await store.write([make_record()])
            assert partitions() == {"default": 1}
        await clock.advance(timedelta(seconds=PAUSE))
        await store.write([make_record()])
        await clock.advance(timedelta(seconds=PAUSE))
        execute(f"DELETE FROM {layout.name('audit')}")
        await store.write([make_record()])
        assert partitions() == {"2025_01": 1, "default": 0}
    assert len(warnings()) == 1


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
async def test_what_comes_while_a_month_is_about_to_be_dropped_is_kept(
    server: Server,
    config: PostgresAuditConfig,
    layout: Layout,
    execute: Execute,
    until: Until,
    isolation: str,
) -> None:
    option = f"-c%20default_transaction_isolation%3D{isolation.replace(' ', '%5C%20')}"
    async with PostgresAuditPlugin.open(
        evolve(config, url=f"{config.url}?options={option}")
    ) as store:
        await store.clean_up(NOON + MONTH)  # so that the months that it makes are there
        await store.write(expired(7))
        late = make_record(expires_at=None)
        await store.write([late])
        execute(f"CREATE TABLE late AS SELECT * FROM {layout.name('audit')} WHERE id = '{late.id}'")
        execute(f"DELETE FROM {layout.name('audit')} WHERE id = '{late.id}'")
        with psycopg.connect(server.url) as other:
            other.execute(f"INSERT INTO {layout.name('audit')} TABLE late".encode())
            removal = asyncio.create_task(store.clean_up(NOON + MONTH))
            await until(WAITING.format(table=layout.name("audit")))
            other.commit()
            assert await removal == 7
        execute("DROP TABLE late")
        assert (await store.query(AuditQuery())).records == (late,)


async def test_a_month_that_somebody_detaches_meanwhile_is_left_alone(
    server: Server, store: AuditStore, layout: Layout, execute: Execute, until: Until
) -> None:
    await store.clean_up(NOON + MONTH)
    await store.write(expired(2))
    table, january = layout.name("audit"), layout.partition(JANUARY)
    with psycopg.connect(server.url) as owner:
        owner.execute(f"LOCK TABLE ONLY {table} IN ACCESS SHARE MODE".encode())
        removal = asyncio.create_task(store.clean_up(NOON + MONTH))
        await until(WAITING.format(table=table))
        owner.execute(f"ALTER TABLE {table} DETACH PARTITION {january}".encode())
        owner.commit()
        await removal
    assert execute(f"SELECT count(*) FROM {january}") == [(2,)]


async def test_a_month_that_others_clean_up_is_left_to_them(
    server: Server, store: AuditStore, layout: Layout, partitions: Partitions
) -> None:
    await store.write(expired(3))
    with psycopg.connect(server.url) as other:
        name = layout.name("audit")
        other.execute(f"SELECT pg_advisory_xact_lock({TURN}, hashtext('{name}'))".encode())
        assert await store.clean_up(NOON + MONTH) == 0
        assert partitions()["2025_01"] == 3
        other.rollback()
    assert await store.clean_up(NOON + MONTH) == 3
    assert "2025_01" not in partitions()


@pytest.mark.parametrize("count", [COUNTED - 1, COUNTED + 50])
async def test_the_rows_of_a_dropped_month_are_counted_or_estimated(
    store: AuditStore, layout: Layout, execute: Execute, partitions: Partitions, count: int
) -> None:
    table, columns = layout.name("audit"), ", ".join(name for name in COLUMNS if name != "id")
    await store.write(expired(1))
    execute(
        f"INSERT INTO {table} (id, {columns}) "
        f"SELECT n::text, {columns} FROM {table}, generate_series(2, {count}) AS n"
    )
    execute(f"ANALYZE {layout.partition(JANUARY)}")
    assert await store.clean_up(NOON + MONTH) == count
    assert "2025_01" not in partitions()


async def test_a_month_that_cannot_be_dropped_hinders_no_other(
    store: AuditStore, layout: Layout, execute: Execute, partitions: Partitions
) -> None:
    await store.write([*expired(3), *expired(4, at=NOON + MONTH)])
    execute(f"CREATE VIEW {layout.prefix}view AS TABLE {layout.partition(JANUARY)}")
    assert await store.clean_up(NOON + 2 * MONTH) == 7
    assert partitions() == {"2025_01": 0, "2025_03": 0, "2025_04": 0, "default": 0}


async def test_rows_that_cannot_be_removed_hinder_nothing_else(
    server: Server,
    config: PostgresAuditConfig,
    layout: Layout,
    partitions: Partitions,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    held = make_record(dispatched_at=NOON + MONTH, expires_at=NOON)
    async with PostgresAuditPlugin.open(evolve(config, command_timeout_seconds=1)) as store:
        await store.write([*expired(3), held])
        with psycopg.connect(server.url) as other:
            february = layout.partition(JANUARY.next)
            other.execute(f"SELECT FROM {february} FOR UPDATE".encode())
            with pytest.raises(AuditStorageError):
                await store.clean_up(NOON + MONTH)
        assert partitions() == {"2025_02": 1, "2025_03": 0, "default": 0}
        assert await store.clean_up(NOON + MONTH) == 1
    (line,) = (one for one in caplog.records if "removed" in one.getMessage())
    assert vars(line)["acteon.removed"] == 3


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    async with Proxy(server.host, server.port) as proxy:
        yield proxy


async def test_a_drop_whose_answer_is_lost_counts(
    server: Server,
    config: PostgresAuditConfig,
    proxy: Proxy,
    layout: Layout,
    until: Until,
) -> None:
    url = config.url.replace(f":{server.port}/", f":{proxy.url_port}/")
    async with PostgresAuditPlugin.open(evolve(config, url=url)) as store:
        await store.write(expired(7))
        proxy.delay(timedelta(milliseconds=300))
        removal = asyncio.create_task(store.clean_up(NOON + MONTH))
        await until(f"to_regclass('{layout.partition(JANUARY)}') IS NULL")
        proxy.cut()
        proxy.delay(timedelta(0))
        assert await removal == 7


@pytest.fixture
def slow_drops(execute: Execute) -> Iterator[None]:
    """Have every DROP take five seconds, with all its locks."""
    execute(
        "CREATE FUNCTION dawdle() RETURNS event_trigger LANGUAGE plpgsql "
        "AS 'BEGIN PERFORM pg_sleep(5); END'"
    )
    execute("CREATE EVENT TRIGGER dawdle ON sql_drop EXECUTE FUNCTION dawdle()")
    yield
    execute("DROP EVENT TRIGGER dawdle")
    execute("DROP FUNCTION dawdle")


@pytest.mark.usefixtures("slow_drops")
async def test_nobody_waits_long_for_a_month_that_takes_long_to_drop(
    store: AuditStore, layout: Layout, until: Until, partitions: Partitions
) -> None:
    await store.clean_up(NOON + MONTH)
    await store.write(expired(7))
    removal = asyncio.create_task(store.clean_up(NOON + MONTH))
    await until(WAITING.format(table=layout.name("audit")).replace("NOT granted", "granted"))
    began = monotonic()
    await store.write([make_record(expires_at=None)])
    assert monotonic() - began < 2.5
    assert await removal == 7
    assert partitions()["2025_01"] == 1
