"""DynamoDB goes away, stands still, or its connections break: bounded errors, then all is well."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from attrs import evolve

from acteon.state import (
    Begin,
    Claimed,
    StateBackend,
    StateConnectionError,
    StateKey,
    dispatch_state,
)
from acteon.state_dynamodb import (
    Calls,
    DynamoDBStateConfig,
    DynamoDBStatePlugin,
    dynamodb_backend,
    prepare,
)
from servers import dynamodb
from servers.process import Server
from servers.proxy import Proxy

pytestmark = pytest.mark.server

HOUR = timedelta(hours=1)
KEY = StateKey("test", "t", "state", "1")
RECOVERY = 5.0
"""Seconds."""


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server that these tests may do anything to."""
    with dynamodb.running() as server:
        yield server


@pytest.fixture
def hasty(mortal: Server) -> DynamoDBStateConfig:
    return DynamoDBStateConfig(
        url=mortal.url, pool_size=4, connect_timeout_seconds=0.5, command_timeout_seconds=1.0
    )


@pytest.fixture
async def backend(hasty: DynamoDBStateConfig) -> AsyncIterator[StateBackend]:
    async with DynamoDBStatePlugin.open(hasty) as backend:
        yield backend


async def until_it_works(call: Callable[[], Awaitable[object]]) -> float:
    """Return after how many seconds `call` works again."""
    begun = time.monotonic()
    async with asyncio.timeout(RECOVERY):
        while True:
            try:
                await call()
            except StateConnectionError:
                await asyncio.sleep(0.02)
            else:
                return time.monotonic() - begun


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    assert all(record.exc_info is None for record in caplog.records)
    return [(record.levelname, record.message) for record in caplog.records]


AWAY_AND_BACK = [("WARNING", "the state store is lost"), ("INFO", "the state store is back")]


async def test_a_stopped_server_fails_calls_at_once_and_is_used_again_when_it_is_back(
    mortal: Server, backend: StateBackend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await backend.store.set(KEY, "mine", ttl=HOUR)
    mortal.stop()
    for _ in range(3):
        begun = time.monotonic()
        with pytest.raises(StateConnectionError, match="it cannot be reached"):
            await backend.store.get(KEY)
        assert time.monotonic() - begun < 2
    mortal.start()
    await until_it_works(lambda: backend.store.get(KEY))
    assert await backend.store.get(KEY) == "mine"
    assert told(caplog) == AWAY_AND_BACK


async def test_a_frozen_server_fails_calls_in_bounded_time_however_many_they_are(
    mortal: Server,
    hasty: DynamoDBStateConfig,
    backend: StateBackend,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def fails() -> float:
        begun = time.monotonic()
        with pytest.raises(StateConnectionError):
            await backend.store.get(KEY)
        return time.monotonic() - begun

    mortal.freeze()
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(fails()) for _ in range(50)]
    finally:
        mortal.thaw()
    longest = max(task.result() for task in tasks)
    assert longest < hasty.patience.total_seconds() + 0.5
    await until_it_works(lambda: backend.store.get(KEY))
    assert told(caplog) == AWAY_AND_BACK


async def test_a_group_fails_one_by_one_and_none_is_left_out(
    mortal: Server, backend: StateBackend
) -> None:
    batch = [
        Begin(token=f"t{n}", lease=HOUR, lock=f"L{n}", claim=KEY._replace(kind="dedup", id=str(n)))
        for n in range(8)
    ]
    mortal.stop()
    try:
        began = await dispatch_state(backend).begin(batch)
    finally:
        mortal.start()
    assert all(isinstance(one.error, StateConnectionError) for one in began)
    assert [one.admitted for one in began] == [False] * 8

    async def all_begin() -> None:
        for one in await dispatch_state(backend).begin(batch):
            if one.error is not None:
                raise one.error
            assert one.admitted

    await until_it_works(all_begin)


@pytest.fixture
async def proxy(mortal: Server) -> AsyncIterator[Proxy]:
    async with Proxy(mortal.host, mortal.port) as proxy:
        yield proxy


@pytest.fixture
async def behind(proxy: Proxy, hasty: DynamoDBStateConfig) -> AsyncIterator[StateBackend]:
    """The backend behind the proxy."""
    async with Calls(evolve(hasty, url=f"http://127.0.0.1:{proxy.url_port}")) as calls:
        await prepare(calls)
        yield dynamodb_backend(calls)


async def test_connections_that_were_cut_while_idle_are_replaced_unnoticed(
    proxy: Proxy, behind: StateBackend, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        await behind.store.set(KEY, str(number), ttl=HOUR)
        proxy.cut()
        await asyncio.sleep(0.05)  # the reset is on its way
    assert await behind.store.get(KEY) == "2"
    assert caplog.records == []


async def test_a_begin_whose_connection_is_cut_is_sent_again(
    proxy: Proxy, behind: StateBackend
) -> None:
    begin = Begin(
        token="mine", lease=HOUR, lock=uuid4().hex, claim=KEY._replace(kind="dedup", id=uuid4().hex)
    )
    trips = proxy.trips
    proxy.delay(timedelta(seconds=0.3))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(dispatch_state(behind).begin([begin]))
        async with asyncio.timeout(2):
            while proxy.trips == trips:  # noqa: ASYNC110 - the proxy counts, it does not tell
                await asyncio.sleep(0.01)
        proxy.cut()
        proxy.delay(timedelta(0))
    assert task.result()[0].claim is Claimed.OURS


async def test_refused_connections_are_told_in_one_line(
    proxy: Proxy, behind: StateBackend, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.refuse(True)
    proxy.cut()
    with pytest.raises(StateConnectionError) as error:
        await behind.store.get(KEY)
    assert "\n" not in str(error.value)
    proxy.refuse(False)
    await behind.store.ping()
    assert told(caplog) == AWAY_AND_BACK[:1]


async def test_whoever_is_cancelled_leaves_the_pool_as_it_was(
    proxy: Proxy, behind: StateBackend
) -> None:
    proxy.delay(timedelta(seconds=0.2))
    for _ in range(3):
        tasks = [asyncio.ensure_future(behind.store.get(KEY)) for _ in range(8)]
        await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        assert await asyncio.wait(tasks) == (set(tasks), set())
    proxy.delay(timedelta(0))
    await behind.store.set(KEY, "mine", ttl=HOUR)
    assert await behind.store.get(KEY) == "mine"


async def test_a_closed_backend_says_so(hasty: DynamoDBStateConfig) -> None:
    async with DynamoDBStatePlugin.open(hasty) as backend:
        pass
    with pytest.raises(StateConnectionError, match="closed"):
        await backend.store.get(KEY)
