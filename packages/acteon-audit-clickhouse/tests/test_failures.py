"""A server that is gone, or of no use, and back again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from attrs import define, evolve

from acteon.audit import (
    AuditQuery,
    AuditQueryError,
    AuditSettings,
    AuditStorageError,
    AuditStore,
    AuditTrail,
)
from acteon.audit.testing import NOON, make_record
from acteon.audit_clickhouse import (
    ClickHouseAuditConfig,
    ClickHouseAuditPlugin,
    ClickHouseAuditStore,
)
from acteon.state_clickhouse import Answer, Engine
from servers import clickhouse
from servers.process import Server
from servers.proxy import Proxy

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

Eventually = Callable[[Callable[[], Awaitable[Any]], float], Awaitable[Any]]
Lines = Callable[[], list[tuple[str, str]]]

RECOVERED = 5.0
LIMIT = 1.0
BOUND = 3.0
"""Seconds until an error at the most: for connecting and for an answer, and some to spare."""
AWAY = ("WARNING", "the audit store is lost")
BACK = ("INFO", "the audit store is back")


@pytest.fixture(scope="module")
def doomed() -> Iterator[Server]:
    with clickhouse.running() as server:
        yield server


@pytest.fixture
async def proxy(doomed: Server) -> AsyncIterator[Proxy]:
    async with Proxy(doomed.host, doomed.port) as proxy:
        yield proxy


@pytest.fixture
def config(doomed: Server, prefix: str) -> ClickHouseAuditConfig:
    return ClickHouseAuditConfig(
        url=doomed.url,
        prefix=prefix,
        connect_timeout_seconds=LIMIT,
        command_timeout_seconds=LIMIT,
    )


@pytest.fixture
def behind(proxy: Proxy, config: ClickHouseAuditConfig) -> ClickHouseAuditConfig:
    return evolve(config, url=f"clickhouse://127.0.0.1:{proxy.url_port}/default")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Give what tells the lines logged at INFO and above, each with its level."""
    caplog.set_level(logging.INFO)

    def tell() -> list[tuple[str, str]]:
        assert not [record for record in caplog.records if record.exc_info]
        return [
            (record.levelname, record.message)
            for record in caplog.records
            if "state_clickhouse" in record.name
        ]

    return tell


@contextmanager
def fails_soon(bound: float = BOUND) -> Generator[None]:
    """Expect an `AuditStorageError` in bounded time."""
    began = monotonic()
    with pytest.raises(AuditStorageError):
        yield
    assert monotonic() - began < bound


async def every_call_fails_soon(store: AuditStore) -> None:
    for call in (
        lambda: store.write([make_record()]),
        lambda: store.get("x"),
        lambda: store.latest("x"),
        lambda: store.query(AuditQuery()),
        lambda: store.clean_up(NOON),
        lambda: store.erase(["x"]),
        store.ping,
    ):
        with fails_soon():
            await call()


async def test_a_restarted_server_is_used_again(
    doomed: Server, config: ClickHouseAuditConfig, lines: Lines, eventually: Eventually
) -> None:
    record = make_record()
    async with ClickHouseAuditPlugin.open(config) as store:
        await store.write([record])
        doomed.stop()
        try:
            await every_call_fails_soon(store)
        finally:
            doomed.start()
        assert await eventually(lambda: store.get(record.id), RECOVERED) == record
        await store.write([record, make_record()])
        assert (await store.query(AuditQuery())).total == 2
    assert lines() == [AWAY, BACK]


@define(eq=False)
class Endless(Engine):
    """Has more to count than anybody has time for."""

    engine: Engine
    table: str

    async def ask(self, statement: str) -> Answer:
        counted = f"SELECT count() FROM {self.table} FINAL WHERE 1 "
        return await self.engine.ask(
            statement.replace(counted, "SELECT count() FROM system.numbers ")
        )

    async def insert(self, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
        await self.engine.insert(table, columns, rows)


async def test_a_query_that_is_too_heavy_says_so_and_is_no_outage(
    config: ClickHouseAuditConfig, lines: Lines
) -> None:
    async with ClickHouseAuditPlugin.open(evolve(config, command_timeout_seconds=3)) as store:
        assert isinstance(store, ClickHouseAuditStore)
        await store.write([make_record() for _ in range(3)])
        store.engine = Endless(store.engine, store.layout.table)
        with pytest.raises(AuditQueryError, match=r"Timeout exceeded.+; ask for less") as failed:
            await store.query(AuditQuery(limit=2))
        assert "\n" not in str(failed.value)
        assert len((await store.query(AuditQuery(limit=50))).records) == 3
    assert lines() == []


async def test_a_restart_between_two_calls_is_not_noticed(
    doomed: Server, config: ClickHouseAuditConfig, lines: Lines
) -> None:
    async with ClickHouseAuditPlugin.open(config) as store:
        await asyncio.gather(*(store.write([make_record()]) for _ in range(4)))
        doomed.stop()
        doomed.start()
        await asyncio.gather(*(store.write([make_record()]) for _ in range(4)))
        assert (await store.query(AuditQuery())).total == 8
    assert lines() == []


async def test_a_frozen_server_fails_in_time_and_is_used_again(
    doomed: Server, config: ClickHouseAuditConfig, lines: Lines, eventually: Eventually
) -> None:
    record = make_record()
    async with ClickHouseAuditPlugin.open(config) as store:
        await store.write([make_record()])
        doomed.freeze()
        try:
            await every_call_fails_soon(store)
            with fails_soon():
                await store.write([record])
        finally:
            doomed.thaw()
        # Whether the write before was carried out is unknown; again, it is harmless.
        await eventually(lambda: store.write([record]), RECOVERED)
        assert await store.get(record.id) == record
        assert (await store.query(AuditQuery(since=NOON))).total in {2, 3}
    assert lines() == [AWAY, BACK]


async def test_cut_connections_are_replaced(
    proxy: Proxy, behind: ClickHouseAuditConfig, lines: Lines
) -> None:
    async with ClickHouseAuditPlugin.open(behind) as store:
        for number in range(1, 4):
            proxy.cut()
            await store.write([make_record()])
            assert (await store.query(AuditQuery())).total == number
    assert lines() == []


async def test_a_server_that_refuses_fails_at_once(
    proxy: Proxy, behind: ClickHouseAuditConfig, lines: Lines, eventually: Eventually
) -> None:
    async with ClickHouseAuditPlugin.open(behind) as store:
        await store.ping()
        proxy.refuse(True)
        proxy.cut()
        await every_call_fails_soon(store)
        proxy.refuse(False)
        await eventually(store.ping, RECOVERED)
    assert lines() == [AWAY, BACK]


async def test_slow_answers_are_waited_for_up_to_the_limit(
    proxy: Proxy, behind: ClickHouseAuditConfig, lines: Lines, eventually: Eventually
) -> None:
    async with ClickHouseAuditPlugin.open(behind) as store:
        proxy.delay(timedelta(seconds=LIMIT / 4))
        await store.ping()
        proxy.delay(timedelta(seconds=3 * LIMIT))
        with fails_soon():
            await store.ping()
        proxy.delay(timedelta(0))
        await eventually(store.ping, RECOVERED)
    assert lines() == [AWAY, BACK]


async def test_the_trail_loses_nothing_and_doubles_nothing(
    doomed: Server, config: ClickHouseAuditConfig, lines: Lines
) -> None:
    records = [make_record() for _ in range(2000)]
    settings = AuditSettings(batch_size=100)
    async with (
        ClickHouseAuditPlugin.open(config) as store,
        AuditTrail(store, settings) as trail,
    ):
        for number, record in enumerate(records):
            if number == 500:
                doomed.freeze()
            await trail.record(record)
            await asyncio.sleep(0)
            if number == 1000:
                with fails_soon():
                    await store.ping()
                doomed.thaw()
        async with asyncio.timeout(30):
            while trail.queued:
                await trail.flush()
                await asyncio.sleep(0.05)
        assert (trail.written, trail.dropped) == (2000, 0)
        assert (await store.query(AuditQuery())).total == 2000
    assert lines() == [AWAY, BACK]
