"""A server that is gone, or of no use, and back again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from attrs import evolve

from acteon.state import (
    Begin,
    Ending,
    Settle,
    StateBackend,
    StateBackendError,
    StateConnectionError,
    StateError,
    StateKey,
    Trips,
)
from acteon.state.testing import together
from acteon.state_clickhouse import (
    Answer,
    Calls,
    ClickHouseStateConfig,
    ClickHouseStatePlugin,
    Engine,
    Layout,
    Session,
    clickhouse_backend,
)
from servers import clickhouse
from servers.process import Server
from servers.proxy import Proxy

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

T = TypeVar("T")
Lines = Callable[[], list[tuple[str, str]]]

MINUTE = timedelta(minutes=1)
KEY = StateKey("test", "failures", "state", "1")
RECOVERED = 5.0
LIMIT = 1.0
BOUND = 3.0
"""Seconds until an error at the most: for connecting and for an answer, and some to spare."""
CROWD_BOUND = 9.0
"""The same where many want one entry, and wait for each other before."""
AWAY = ("WARNING", "the state store is lost")
BACK = ("INFO", "the state store is back")


@pytest.fixture(scope="module")
def doomed() -> Iterator[Server]:
    with clickhouse.running() as server:
        yield server


@pytest.fixture
async def proxy(doomed: Server) -> AsyncIterator[Proxy]:
    async with Proxy(doomed.host, doomed.port) as proxy:
        yield proxy


@pytest.fixture
def config(doomed: Server) -> ClickHouseStateConfig:
    return ClickHouseStateConfig(
        url=doomed.url,
        allow_weak_locks=True,
        connect_timeout_seconds=LIMIT,
        command_timeout_seconds=LIMIT,
    )


@pytest.fixture
def behind(proxy: Proxy, config: ClickHouseStateConfig) -> ClickHouseStateConfig:
    return evolve(config, url=f"clickhouse://127.0.0.1:{proxy.url_port}/default")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Give what tells the lines logged at INFO and above, each with its level."""
    caplog.set_level(logging.INFO)

    def tell() -> list[tuple[str, str]]:
        assert not [record for record in caplog.records if record.exc_info]
        return [(record.levelname, record.message) for record in caplog.records]

    return tell


@contextmanager
def fails_soon(bound: float = BOUND) -> Generator[None]:
    """Expect a `StateConnectionError` in bounded time."""
    began = monotonic()
    with pytest.raises(StateConnectionError):
        yield
    assert monotonic() - began < bound


async def eventually(call: Callable[[], Awaitable[T]]) -> T:
    """Call until that raises no `StateError`; fail after a while."""
    deadline = monotonic() + RECOVERED
    while True:
        try:
            return await call()
        except StateError:
            if monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


async def fill(backend: StateBackend, value: str) -> None:
    await backend.store.set(KEY, value, ttl=None)
    # Several connections are open then.
    await together(backend.store.get(KEY) for _ in range(4))


async def test_a_restarted_server_is_used_again(
    doomed: Server, config: ClickHouseStateConfig, lines: Lines
) -> None:
    async with ClickHouseStatePlugin.open(config) as backend:
        await fill(backend, "kept")
        doomed.kill()
        try:
            for _ in range(3):
                with fails_soon():
                    await backend.store.get(KEY)
        finally:
            doomed.start()
        assert await eventually(lambda: backend.store.get(KEY)) == "kept"
        await backend.store.set(KEY, "new", ttl=None)
        assert await backend.store.get(KEY) == "new"
    assert lines() == [AWAY, BACK]


async def test_a_restart_between_two_calls_is_not_noticed(
    doomed: Server, config: ClickHouseStateConfig, lines: Lines
) -> None:
    async with ClickHouseStatePlugin.open(config) as backend:
        await fill(backend, "kept")
        doomed.kill()
        doomed.start()
        assert await together(backend.store.get(KEY) for _ in range(4)) == ["kept"] * 4
    assert lines() == []


async def test_a_frozen_server_fails_in_time_and_is_used_again(
    doomed: Server, config: ClickHouseStateConfig, lines: Lines
) -> None:
    async with ClickHouseStatePlugin.open(config) as backend:
        await fill(backend, "kept")
        doomed.freeze()
        try:
            with fails_soon():
                await backend.store.get(KEY)
            with fails_soon():
                await backend.store.set(KEY, "lost", ttl=None)
            began = monotonic()
            crowd = [
                asyncio.create_task(backend.store.increment(KEY, ttl=None)) for _ in range(200)
            ]
            done, _ = await asyncio.wait(crowd)
            assert monotonic() - began < CROWD_BOUND
            assert {type(one.exception()) for one in done} <= {
                StateConnectionError,
                StateBackendError,
            }
        finally:
            doomed.thaw()
        await eventually(lambda: backend.store.set(KEY, "after", ttl=None))
        assert await backend.store.get(KEY) == "after"
    assert lines() == [AWAY, BACK]


async def test_cut_connections_are_replaced(
    proxy: Proxy, behind: ClickHouseStateConfig, lines: Lines
) -> None:
    async with ClickHouseStatePlugin.open(behind) as backend:
        await fill(backend, "kept")
        for _ in range(3):
            proxy.cut()
            assert await backend.store.get(KEY) == "kept"
            await backend.store.set(KEY, "kept", ttl=None)
    assert lines() == []


async def test_a_server_that_refuses_fails_at_once(
    proxy: Proxy, behind: ClickHouseStateConfig, lines: Lines
) -> None:
    async with ClickHouseStatePlugin.open(behind) as backend:
        await fill(backend, "kept")
        proxy.refuse(True)
        proxy.cut()
        for _ in range(3):
            with fails_soon():
                await backend.store.get(KEY)
        proxy.refuse(False)
        assert await eventually(lambda: backend.store.get(KEY)) == "kept"
    assert lines() == [AWAY, BACK]


async def test_slow_answers_are_waited_for_up_to_the_limit(
    proxy: Proxy, behind: ClickHouseStateConfig, lines: Lines
) -> None:
    async with ClickHouseStatePlugin.open(behind) as backend:
        await fill(backend, "kept")
        proxy.delay(timedelta(seconds=LIMIT / 4))
        assert await backend.store.get(KEY) == "kept"
        proxy.delay(timedelta(seconds=3 * LIMIT))
        with fails_soon():
            await backend.store.get(KEY)
        proxy.delay(timedelta(0))
        assert await eventually(lambda: backend.store.get(KEY)) == "kept"
    assert lines() == [AWAY, BACK]


class Forgetful(Engine):
    """Carries out everything, but loses answers while it is told to."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.losing = False

    async def ask(self, statement: str) -> Answer:
        answer = await self.calls.ask(statement)
        if self.losing:
            raise StateConnectionError("the answer was lost")
        return answer

    async def insert(self, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
        await self.calls.insert(table, columns, rows)


async def test_what_a_failed_begin_has_claimed_is_free_with_the_next_one(
    config: ClickHouseStateConfig,
) -> None:
    key = KEY._replace(id=uuid4().hex, kind="dedup")
    begin = Begin(token="lost", lease=MINUTE, lock=key.id, claim=key)
    async with Calls(config) as calls:
        engine = Forgetful(calls)
        async with Session(engine, Layout("acteon", await calls.version())) as session:
            backend = clickhouse_backend(session)
            assert backend.dispatch is not None
            engine.losing = True
            with pytest.raises(StateConnectionError):
                await backend.dispatch.begin([begin])
            engine.losing = False
            assert await backend.store.get(key) == "pending:lost"

            (began,) = await backend.dispatch.begin([evolve(begin, token="next")])
            assert began.admitted


async def test_settles_arrive_when_the_server_is_back(
    doomed: Server, config: ClickHouseStateConfig
) -> None:
    key = KEY._replace(id=uuid4().hex, kind="dedup")
    async with ClickHouseStatePlugin.open(config) as backend:
        assert backend.dispatch is not None
        async with Trips(backend.dispatch) as trips:
            began = await trips.begin(Begin(token="mine", lease=MINUTE, claim=key))
            assert began.admitted
            doomed.freeze()
            try:
                trips.settle(Settle(token="mine", claim=key, ending=Ending.DONE, ttl=MINUTE))
                with fails_soon():
                    await backend.store.get(key)
            finally:
                doomed.thaw()
            await trips.flush()
        assert await backend.store.get(key) == "done"


async def test_a_server_that_was_never_there_is_told_when_opening(doomed: Server) -> None:
    config = ClickHouseStateConfig(url="clickhouse://127.0.0.1:1", allow_weak_locks=True)
    with pytest.raises(StateConnectionError, match=r"127\.0\.0\.1:1/default: it cannot be reached"):
        async with ClickHouseStatePlugin.open(config):
            pass


async def test_a_missing_database_is_told_when_opening(config: ClickHouseStateConfig) -> None:
    with pytest.raises(StateBackendError, match="the database does not exist"):
        async with ClickHouseStatePlugin.open(evolve(config, database="nowhere")):
            pass


async def test_a_wrong_password_is_told_without_showing_it(
    doomed: Server, config: ClickHouseStateConfig
) -> None:
    url = f"clickhouse://default:hush@127.0.0.1:{doomed.port}"
    with pytest.raises(StateBackendError, match="user and password were refused") as raised:
        async with ClickHouseStatePlugin.open(evolve(config, url=url)):
            pass
    assert "hush" not in str(raised.value)
