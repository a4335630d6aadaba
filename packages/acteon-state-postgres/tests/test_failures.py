"""A server that is gone, or of no use, and back again."""

import asyncio
import logging
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from time import monotonic

import psycopg
import pytest
from attrs import evolve

from acteon.state import (
    Begin,
    Ending,
    Settle,
    StateBackendError,
    StateConnectionError,
    StateError,
    StateKey,
    Trips,
    dispatch_state,
)
from acteon.state.testing import together
from acteon.state_postgres import PostgresStateConfig, PostgresStatePlugin
from acteon.state_postgres.errors import LateError
from servers import postgres
from servers.process import Server
from servers.proxy import Proxy

pytestmark = pytest.mark.server

Eventually = Callable[[Callable[[], Awaitable[object]], float], Awaitable[object]]

MINUTE = timedelta(minutes=1)
KEY = StateKey("test", "failures", "state", "1")
RECOVERED = 5.0
LIMIT = 1.0
BOUND = 3.5
"""Seconds until an error at the most: for a free connection, a new one, and an answer."""


@pytest.fixture(scope="module")
def doomed() -> Iterator[Server]:
    with postgres.running(settings={"max_connections": "12"}) as server:
        yield server


@pytest.fixture
async def proxy(doomed: Server) -> AsyncIterator[Proxy]:
    async with Proxy(doomed.host, doomed.port) as proxy:
        yield proxy


@pytest.fixture
def config(doomed: Server) -> PostgresStateConfig:
    return PostgresStateConfig(
        url=doomed.url, connect_timeout_seconds=LIMIT, command_timeout_seconds=LIMIT
    )


@pytest.fixture
def behind(proxy: Proxy, doomed: Server) -> PostgresStateConfig:
    url = doomed.url.replace(f":{doomed.port}/", f":{proxy.url_port}/")
    return PostgresStateConfig(
        url=url, connect_timeout_seconds=LIMIT, command_timeout_seconds=LIMIT
    )


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    """Give what tells the lines logged at INFO and above, each with its level."""
    caplog.set_level(logging.INFO)

    def tell() -> list[tuple[str, str]]:
        assert not [record for record in caplog.records if record.exc_info]
        return [(record.levelname, record.message) for record in caplog.records]

    return tell


LOST = ("WARNING", "the state store is lost")
BACK = ("INFO", "the state store is back")


@contextmanager
def fails_soon(kind: type[StateError] = StateConnectionError) -> Generator[None]:
    """Expect an error of `kind` in bounded time."""
    began = monotonic()
    with pytest.raises(kind):
        yield
    assert monotonic() - began < BOUND


async def test_a_restarted_server_is_used_again(
    doomed: Server,
    config: PostgresStateConfig,
    eventually: Eventually,
    lines: Callable[[], list[tuple[str, str]]],
) -> None:
    async with PostgresStatePlugin.open(config) as backend:
        await together(backend.store.set(KEY, "kept", ttl=None) for _ in range(4))
        doomed.stop()
        try:
            for _ in range(3):
                with fails_soon():
                    await backend.store.get(KEY)
        finally:
            doomed.start()
        assert await eventually(lambda: backend.store.get(KEY), RECOVERED) == "kept"
        assert await backend.store.get(KEY) == "kept"
    assert lines() == [LOST, BACK]


async def test_a_server_behind_a_pooler_is_used_again(
    doomed: Server,
    config: PostgresStateConfig,
    eventually: Eventually,
    lines: Callable[[], list[tuple[str, str]]],
) -> None:
    with postgres.pgbouncer(doomed) as pooler:
        async with PostgresStatePlugin.open(evolve(config, url=pooler.url)) as backend:
            await backend.store.set(KEY, "kept", ttl=None)
            doomed.stop()
            try:
                with fails_soon():
                    await backend.store.get(KEY)
            finally:
                doomed.start()
            assert await eventually(lambda: backend.store.get(KEY), RECOVERED) == "kept"
            pooler.kill()
            with fails_soon():
                await backend.store.get(KEY)
            pooler.start()
            assert await eventually(lambda: backend.store.get(KEY), RECOVERED) == "kept"
    assert lines() == [LOST, BACK, LOST, BACK]


async def test_a_restart_between_two_calls_is_not_noticed(
    doomed: Server, config: PostgresStateConfig, lines: Callable[[], list[tuple[str, str]]]
) -> None:
    async with PostgresStatePlugin.open(config) as backend:
        await together(backend.store.set(KEY, "kept", ttl=None) for _ in range(4))
        doomed.kill()
        doomed.start()
        assert await together(backend.store.get(KEY) for _ in range(4)) == ["kept"] * 4
    assert lines() == []


async def test_a_frozen_server_fails_in_time_and_is_used_again(
    doomed: Server,
    config: PostgresStateConfig,
    eventually: Eventually,
    lines: Callable[[], list[tuple[str, str]]],
) -> None:
    async with PostgresStatePlugin.open(config) as backend:
        await backend.store.set(KEY, "kept", ttl=None)
        doomed.freeze()
        try:
            for _ in range(2):
                with fails_soon():
                    await backend.store.get(KEY)
            crowd = [asyncio.create_task(backend.store.get(KEY)) for _ in range(200)]
            began = monotonic()
            await asyncio.wait(crowd)
            assert monotonic() - began < BOUND
            assert all(isinstance(one.exception(), StateConnectionError) for one in crowd)
        finally:
            doomed.thaw()
        assert await eventually(lambda: backend.store.get(KEY), RECOVERED) == "kept"
    assert lines() == [LOST, BACK]


async def test_a_frozen_server_does_not_keep_us_from_closing(
    doomed: Server, config: PostgresStateConfig
) -> None:
    async with asyncio.timeout(30):
        try:
            async with PostgresStatePlugin.open(config) as backend:
                await backend.store.ping()
                doomed.freeze()
                waiting = asyncio.create_task(backend.store.get(KEY))
                await asyncio.sleep(0)
                began = monotonic()
            assert monotonic() - began < BOUND
            with pytest.raises(StateConnectionError):
                await waiting
        finally:
            doomed.thaw()


async def test_cut_connections_fail_what_is_under_way_and_nothing_else(
    behind: PostgresStateConfig, proxy: Proxy, lines: Callable[[], list[tuple[str, str]]]
) -> None:
    async with PostgresStatePlugin.open(behind) as backend:
        await backend.store.set(KEY, "kept", ttl=None)
        proxy.delay(timedelta(milliseconds=200))
        waiting = asyncio.create_task(backend.store.get(KEY))
        await asyncio.sleep(0.1)
        proxy.cut()
        with fails_soon():
            await waiting
        proxy.delay(timedelta(0))
        assert await backend.store.get(KEY) == "kept"
        proxy.cut()
        await asyncio.sleep(0.05)  # until the reset has come; nothing else would tell
        assert await backend.store.get(KEY) == "kept"
    assert lines() == [LOST, BACK]


async def test_a_refused_connection_fails_at_once(
    behind: PostgresStateConfig,
    proxy: Proxy,
    eventually: Eventually,
    lines: Callable[[], list[tuple[str, str]]],
) -> None:
    async with PostgresStatePlugin.open(behind) as backend:
        await backend.store.set(KEY, "kept", ttl=None)
        proxy.refuse(True)
        proxy.cut()
        for _ in range(20):
            with fails_soon():
                await backend.store.get(KEY)
        proxy.refuse(False)
        assert await eventually(lambda: backend.store.get(KEY), RECOVERED) == "kept"
    assert lines() == [LOST, BACK]


async def test_what_took_too_long_is_not_done_later(
    doomed: Server, config: PostgresStateConfig, eventually: Eventually
) -> None:
    key = KEY._replace(kind="counter", id="held")
    async with PostgresStatePlugin.open(evolve(config, pool_size=4)) as backend:
        await backend.store.increment(key, ttl=None)
        with psycopg.connect(doomed.url) as other:
            other.execute("SELECT 1 FROM acteon_state WHERE key = %s FOR UPDATE", (key.text,))
            for _ in range(3):
                late = [asyncio.create_task(backend.store.increment(key, ttl=None)) for _ in "1234"]
                await asyncio.wait(late)
                assert {type(one.exception()) for one in late} <= {
                    LateError,
                    StateConnectionError,
                }

            async def none_waits() -> None:
                waiting = other.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                ).fetchone()
                if waiting != (0,):
                    raise StateConnectionError("they wait in the server")

            await eventually(none_waits, RECOVERED)
        assert await backend.store.get(key) == "1"


async def test_what_was_told_survives_a_crash(
    doomed: Server, config: PostgresStateConfig, eventually: Eventually
) -> None:
    async with PostgresStatePlugin.open(config) as backend:
        dispatch = dispatch_state(backend)
        for number in range(5):
            claim = KEY._replace(kind="dedup", id=f"crash {number}")
            begin = Begin(token=f"crash {number}", lease=MINUTE, claim=claim)
            (began,) = await dispatch.begin([begin])
            assert began.admitted
            settle = Settle(token=begin.token, claim=claim, ending=Ending.DONE, ttl=MINUTE)
            assert await dispatch.settle([settle]) == [True]
            doomed.kill()
            doomed.start()
            assert await eventually(partial(backend.store.get, claim), RECOVERED) == "done"


async def test_slow_replies_are_waited_for_up_to_the_limit(
    behind: PostgresStateConfig, proxy: Proxy, eventually: Eventually
) -> None:
    async with PostgresStatePlugin.open(behind) as backend:
        await backend.store.set(KEY, "kept", ttl=None)
        proxy.delay(timedelta(seconds=LIMIT / 2))
        assert await backend.store.get(KEY) == "kept"
        proxy.delay(timedelta(seconds=2 * LIMIT))
        with fails_soon():
            await backend.store.get(KEY)
        proxy.delay(timedelta(0))
        assert await eventually(lambda: backend.store.get(KEY), RECOVERED) == "kept"


async def test_a_cancelled_caller_costs_no_connection(
    behind: PostgresStateConfig, proxy: Proxy
) -> None:
    async with PostgresStatePlugin.open(behind) as backend:
        await backend.store.delete(KEY)
        made = proxy.connections
        proxy.delay(timedelta(milliseconds=100))
        for number in range(3):
            calling = asyncio.create_task(backend.store.increment(KEY, ttl=MINUTE))
            await asyncio.sleep(0.03)
            calling.cancel()
            await asyncio.wait((calling,))
            assert calling.cancelled()
            await asyncio.sleep(0.2)
            assert await backend.store.get(KEY) == str(number + 1)
        assert proxy.connections == made


async def test_a_server_that_turns_read_only_is_told_and_used_again(
    doomed: Server,
    config: PostgresStateConfig,
    eventually: Eventually,
    lines: Callable[[], list[tuple[str, str]]],
) -> None:
    async with PostgresStatePlugin.open(config) as backend:
        await backend.store.set(KEY, "kept", ttl=None)
        _execute(doomed, "ALTER SYSTEM SET default_transaction_read_only = on")
        _execute(doomed, "SELECT pg_reload_conf()")
        try:

            async def refused() -> None:
                try:
                    await backend.store.set(KEY, "changed", ttl=None)
                except StateBackendError as error:
                    assert "read-only" in str(error)  # noqa: PT017 - it may take a moment
                else:
                    raise StateConnectionError("not yet")

            await eventually(refused, RECOVERED)
        finally:
            _execute(doomed, "SET default_transaction_read_only = off; ALTER SYSTEM RESET ALL")
            _execute(doomed, "SELECT pg_reload_conf()")
        await eventually(lambda: backend.store.set(KEY, "again", ttl=None), RECOVERED)
    assert lines() == []  # It answers, and can be read: that it is of no use its users tell.


async def test_without_connections_left_it_gets_by_with_those_it_has(
    doomed: Server, config: PostgresStateConfig
) -> None:
    async with PostgresStatePlugin.open(config) as backend:
        await backend.store.set(KEY, "kept", ttl=None)
        others = _occupy(doomed)
        try:
            outcomes = await asyncio.gather(
                *(backend.store.get(KEY) for _ in range(100)), return_exceptions=True
            )
            # What found the server full has failed; what came later waited for ours.
            assert {type(one) for one in outcomes} <= {str, StateConnectionError}
            assert await together(backend.store.get(KEY) for _ in range(100)) == ["kept"] * 100
        finally:
            for other in others:
                other.close()


async def test_without_any_connection_left_it_says_so_and_recovers(
    doomed: Server, config: PostgresStateConfig, eventually: Eventually
) -> None:
    async with PostgresStatePlugin.open(config) as backend:
        await backend.store.set(KEY, "kept", ttl=None)
        doomed.kill()
        doomed.start()
        others = _occupy(doomed)
        try:
            with pytest.raises(StateConnectionError, match=r"too many clients|slots are reserved"):
                await backend.store.get(KEY)
        finally:
            for other in others:
                other.close()
        assert await eventually(lambda: backend.store.get(KEY), RECOVERED) == "kept"


@contextmanager
def no_descriptors() -> Generator[None]:
    """Let this process open no file and no connection; those it has go on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_descriptors_it_gets_by_with_what_is_open(
    config: PostgresStateConfig, lines: Callable[[], list[tuple[str, str]]]
) -> None:
    async with PostgresStatePlugin.open(evolve(config, pool_size=3)) as backend:
        await together(backend.store.set(KEY, "kept", ttl=None) for _ in range(3))
        with no_descriptors():
            for _ in range(10):
                assert await together(backend.store.get(KEY) for _ in range(3)) == ["kept"] * 3
    assert lines() == []


async def test_a_connection_that_descriptors_lack_for_costs_no_place_in_the_pool(
    doomed: Server, config: PostgresStateConfig, lines: Callable[[], list[tuple[str, str]]]
) -> None:
    async with PostgresStatePlugin.open(evolve(config, pool_size=3)) as backend:
        await together(backend.store.set(KEY, "kept", ttl=None) for _ in range(3))
        doomed.kill()
        doomed.start()
        with no_descriptors():
            for _ in range(10):
                with fails_soon():
                    await backend.store.get(KEY)
        assert await together(backend.store.get(KEY) for _ in range(10)) == ["kept"] * 10
    assert lines() == [LOST, BACK]


async def test_without_descriptors_a_statement_ends_in_time_all_the_same(
    behind: PostgresStateConfig, proxy: Proxy, eventually: Eventually
) -> None:
    async with PostgresStatePlugin.open(behind) as backend:
        await backend.store.set(KEY, "kept", ttl=None)
        proxy.delay(timedelta(seconds=2 * LIMIT))
        with no_descriptors(), fails_soon():
            await backend.store.get(KEY)
        proxy.delay(timedelta(0))
        assert await eventually(lambda: backend.store.get(KEY), RECOVERED) == "kept"


async def test_dispatches_go_on_after_a_restart(
    doomed: Server, config: PostgresStateConfig, eventually: Eventually
) -> None:
    async with PostgresStatePlugin.open(config) as backend:
        assert backend.dispatch is not None
        async with Trips(backend.dispatch) as trips:
            claim = KEY._replace(kind="dedup")
            begin = Begin(token="mine", lease=MINUTE, lock="failures", claim=claim)
            assert (await trips.begin(begin)).admitted
            doomed.stop()
            trips.settle(
                Settle(token="mine", lock="failures", claim=claim, ending=Ending.DONE, ttl=MINUTE)
            )
            with fails_soon():
                await trips.begin(Begin(token="yours", lease=MINUTE, lock="failures 2"))
            doomed.start()
            async with asyncio.timeout(RECOVERED):
                await trips.flush()
            assert (trips.stale, trips.failed) == (0, 0)
            assert await eventually(lambda: backend.store.get(claim), RECOVERED) == "done"


def _execute(server: Server, statements: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        for statement in statements.split(";"):
            connection.execute(statement.encode())


def _occupy(server: Server) -> "list[psycopg.Connection[tuple[object, ...]]]":
    """Take all the connections that the server has left."""
    taken: list[psycopg.Connection[tuple[object, ...]]] = []
    while True:
        try:
            taken.append(psycopg.connect(server.url))
        except psycopg.OperationalError:
            return taken
