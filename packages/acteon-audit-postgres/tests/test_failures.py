"""A server that is gone, or of no use, and back again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic

import psycopg
import pytest
from attrs import evolve

from acteon.audit import AuditQuery, AuditSettings, AuditStorageError, AuditTrail
from acteon.audit.testing import NOON, make_record
from acteon.audit_postgres import Layout, PostgresAuditConfig, PostgresAuditPlugin
from servers import postgres
from servers.process import Server
from servers.proxy import Proxy

pytestmark = pytest.mark.server

Eventually = Callable[[Callable[[], Awaitable[object]], float], Awaitable[object]]
Lines = Callable[[], list[tuple[str, str]]]

RECOVERED = 5.0
LIMIT = 1.0
BOUND = 3.5
"""Seconds until an error at the most: for a free connection, a new one, and an answer."""
LOST = ("WARNING", "the audit store is lost")
BACK = ("INFO", "the audit store is back")
ALL = AuditQuery()


@pytest.fixture(scope="module")
def doomed() -> Iterator[Server]:
    with postgres.running(settings={"max_connections": "12"}) as server:
        yield server


@pytest.fixture
def config(doomed: Server, prefix: str) -> PostgresAuditConfig:
    return PostgresAuditConfig(
        url=doomed.url,
        prefix=prefix,
        connect_timeout_seconds=LIMIT,
        command_timeout_seconds=LIMIT,
    )


@pytest.fixture
async def proxy(doomed: Server) -> AsyncIterator[Proxy]:
    async with Proxy(doomed.host, doomed.port) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: Proxy, doomed: Server, config: PostgresAuditConfig) -> PostgresAuditConfig:
    return evolve(config, url=doomed.url.replace(f":{doomed.port}/", f":{proxy.url_port}/"))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Give what tells the lines logged at INFO and above, each with its level."""
    caplog.set_level(logging.INFO)

    def tell() -> list[tuple[str, str]]:
        assert not [record for record in caplog.records if record.exc_info]
        return [(record.levelname, record.getMessage()) for record in caplog.records]

    return tell


@contextmanager
def fails_soon() -> Generator[None]:
    """Expect an error in bounded time, and in one line."""
    began = monotonic()
    with pytest.raises(AuditStorageError) as raised:
        yield
    assert monotonic() - began < BOUND
    assert raised.value.retryable
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("storage error: postgres at 127.0.0.1:")
    assert "acteon:acteon" not in str(raised.value)


async def test_a_restarted_server_is_used_again(
    doomed: Server, config: PostgresAuditConfig, eventually: Eventually, lines: Lines
) -> None:
    record = make_record()
    async with PostgresAuditPlugin.open(config) as store:
        await store.write([record])
        doomed.stop()
        try:
            for call in (
                lambda: store.write([record]),
                lambda: store.get(record.id),
                lambda: store.latest(record.action_id),
                lambda: store.query(ALL),
                lambda: store.clean_up(NOON),
                lambda: store.erase([record.id]),
                store.ping,
            ):
                with fails_soon():
                    await call()
        finally:
            doomed.start()
        assert await eventually(lambda: store.get(record.id), RECOVERED) == record
        await store.write([record])
        assert (await store.query(ALL)).total == 1
    assert lines() == [LOST, BACK]


async def test_a_frozen_server_fails_in_time_and_is_used_again(
    doomed: Server, config: PostgresAuditConfig, eventually: Eventually, lines: Lines
) -> None:
    record = make_record()
    async with PostgresAuditPlugin.open(config) as store:
        await store.write([record])
        doomed.freeze()
        try:
            with fails_soon():
                await store.write([make_record()])
            began = monotonic()
            crowd = [asyncio.create_task(store.query(ALL)) for _ in range(200)]
            await asyncio.wait(crowd)
            assert monotonic() - began < BOUND
            assert all(isinstance(one.exception(), AuditStorageError) for one in crowd)
        finally:
            doomed.thaw()
        assert await eventually(lambda: store.get(record.id), RECOVERED) == record
    assert lines() == [LOST, BACK]


async def test_no_record_is_lost_or_doubled_over_a_restart_and_a_freeze(
    doomed: Server, config: PostgresAuditConfig
) -> None:
    written: list[str] = []
    settings = AuditSettings(
        flush_delay=timedelta(milliseconds=5), write_limit=timedelta(seconds=BOUND)
    )
    async with PostgresAuditPlugin.open(config) as store:
        trail = AuditTrail(store, settings)
        async with trail:

            async def dispatch(seconds: float) -> None:
                end = monotonic() + seconds
                while monotonic() < end:
                    record = make_record()
                    await trail.record(record)
                    written.append(record.id)
                    await asyncio.sleep(0.002)

            await dispatch(0.3)
            doomed.kill()
            await dispatch(0.5)
            doomed.start()
            await dispatch(0.3)
            doomed.freeze()
            await dispatch(LIMIT + 0.5)
            doomed.thaw()
        assert (trail.dropped, trail.written) == (0, len(written))
        found: set[str] = set()
        for start in range(0, len(written), 1000):
            page = await store.query(AuditQuery(limit=1000, offset=start))
            assert page.total == len(written)
            found |= {record.id for record in page.records}
    assert found == set(written)


async def test_cut_connections_fail_what_is_under_way_and_nothing_else(
    behind: PostgresAuditConfig, proxy: Proxy, lines: Lines
) -> None:
    record = make_record()
    async with PostgresAuditPlugin.open(behind) as store:
        await store.write([record])
        proxy.delay(timedelta(milliseconds=300))
        waiting = asyncio.create_task(store.write([make_record(), record]))
        await asyncio.sleep(0.1)
        proxy.cut()
        with fails_soon():
            await waiting
        proxy.delay(timedelta(0))
        assert await store.get(record.id) == record
    assert lines() == [LOST, BACK]


async def test_slow_answers_are_waited_for_up_to_the_limit(
    behind: PostgresAuditConfig, proxy: Proxy, eventually: Eventually
) -> None:
    record = make_record()
    async with PostgresAuditPlugin.open(behind) as store:
        await store.write([record])
        proxy.delay(timedelta(seconds=LIMIT / 2))
        assert await store.get(record.id) == record
        proxy.delay(timedelta(seconds=2 * LIMIT))
        with fails_soon():
            await store.query(ALL)
        proxy.delay(timedelta(0))
        assert await eventually(lambda: store.get(record.id), RECOVERED) == record


async def test_a_query_that_takes_too_long_fails_in_time(
    doomed: Server, config: PostgresAuditConfig, eventually: Eventually
) -> None:
    async with PostgresAuditPlugin.open(config) as store:
        await store.write([make_record()])
        with psycopg.connect(doomed.url) as other:
            other.execute(f"LOCK TABLE {Layout.of(config).name('audit')}".encode())
            for call in (lambda: store.query(ALL), lambda: store.write([make_record()])):
                with fails_soon():
                    await call()
            other.rollback()
        await eventually(lambda: store.query(ALL), RECOVERED)


async def test_a_read_only_server_is_told_and_used_again(
    doomed: Server, config: PostgresAuditConfig, eventually: Eventually
) -> None:
    async with PostgresAuditPlugin.open(config) as store:

        async def refused() -> None:
            try:
                await store.write([make_record()])
            except AuditStorageError as error:
                assert "read-only" in str(error)  # noqa: PT017 - it may take a moment
            else:
                raise AuditStorageError("not yet")

        with psycopg.connect(doomed.url, autocommit=True) as owner:
            owner.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            owner.execute("SELECT pg_reload_conf()")
            try:
                await eventually(refused, RECOVERED)
            finally:
                owner.execute("SET default_transaction_read_only = off")
                owner.execute("ALTER SYSTEM RESET ALL")
                owner.execute("SELECT pg_reload_conf()")
        await eventually(lambda: store.write([make_record()]), RECOVERED)


async def test_a_table_that_is_gone_is_an_error_of_the_store(
    doomed: Server, config: PostgresAuditConfig
) -> None:
    async with PostgresAuditPlugin.open(config) as store:
        with psycopg.connect(doomed.url, autocommit=True) as owner:
            owner.execute(f"DROP TABLE {Layout.of(config).name('audit')}".encode())
        with fails_soon():
            await store.query(ALL)
