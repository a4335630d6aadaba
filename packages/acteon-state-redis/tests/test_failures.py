"""When Redis goes, is frozen, slow, full or read-only: bounded errors, one line, and back again."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic

import pytest
from attrs import evolve

from acteon.state import (
    Begin,
    Ending,
    Quota,
    Settle,
    StateBackend,
    StateBackendError,
    StateConnectionError,
    StateError,
    StateKey,
    dispatch_state,
    lock_name,
)
from acteon.state.testing import together
from acteon.state_redis import RedisStateConfig, RedisStatePlugin
from acteon.state_redis.calls import MOST
from servers import redis
from servers.process import Server
from servers.proxy import Proxy

pytestmark = pytest.mark.server

HOUR = timedelta(hours=1)
KEY = StateKey("shop", "acme", "state", "1")
QUICK = timedelta(milliseconds=400)
BOUND = 2 * QUICK + timedelta(seconds=1)
"""A call's limit, and what a busy machine may add."""
RECOVERY = timedelta(seconds=5)
GONE_AND_BACK = [("WARNING", "the state store is lost"), ("INFO", "the state store is back")]

Logged = Callable[[], list[tuple[str, str]]]


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[StateBackend]:
    config = RedisStateConfig(url=url, connect_timeout=QUICK, command_timeout=QUICK)
    async with RedisStatePlugin.open(config) as backend:
        yield backend


@asynccontextmanager
async def through_proxy(server: Server) -> AsyncGenerator[tuple[Proxy, StateBackend]]:
    async with (
        Proxy(server.host, server.port) as proxy,
        opened(f"redis://127.0.0.1:{proxy.url_port}") as backend,
    ):
        yield proxy, backend


async def fails(backend: StateBackend, kind: type[StateError] = StateConnectionError) -> StateError:
    """Return the error of a call, which must come in time."""
    start = monotonic()
    with pytest.raises(kind) as caught:
        await backend.store.increment(KEY, ttl=HOUR)
    assert monotonic() - start < BOUND.total_seconds()
    return caught.value


async def recovers(call: Callable[[], Awaitable[object]]) -> None:
    """Call until there is no error, which must be soon."""
    deadline = monotonic() + RECOVERY.total_seconds()
    while True:
        try:
            await call()
        except StateError:
            if monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)
        else:
            return


def begin(number: int, *, lease: timedelta = HOUR) -> Begin:
    return Begin(
        token=f"t{number}",
        lease=lease,
        lock=lock_name("shop", "acme", str(number)),
        claim=StateKey("shop", "acme", "dedup", str(number)),
    )


def end(begun: Begin) -> Settle:
    return Settle(token=begun.token, lock=begun.lock, claim=begun.claim, ending=Ending.DONE)


@pytest.mark.parametrize("way", ["stop", "kill"])
async def test_after_a_restart_it_goes_on(own_server: Server, way: str, logged: Logged) -> None:
    async with opened(own_server.url) as backend:
        await backend.store.set(KEY, "1", ttl=HOUR)
        getattr(own_server, way)()
        await fails(backend)
        assert "connection refused" in str(await fails(backend))
        own_server.start()
        await recovers(backend.store.ping)
        assert await backend.store.get(KEY) == "1"
    assert logged() == GONE_AND_BACK


async def test_a_restart_that_nobody_saw_costs_the_harmless_calls_nothing(
    own_server: Server, logged: Logged
) -> None:
    async with opened(own_server.url) as backend:
        dispatch = dispatch_state(backend)
        await dispatch.begin([begin(1)])
        own_server.stop()
        own_server.start()
        (began,) = await dispatch.begin([begin(2)])
        assert began.admitted
    assert logged() == []


async def test_a_frozen_server_costs_bounded_time(own_server: Server, logged: Logged) -> None:
    async with opened(own_server.url) as backend:
        own_server.freeze()
        start = monotonic()
        assert "does not answer in time" in str(await fails(backend))
        errors = await together(fails(backend) for _ in range(500))
        assert monotonic() - start < 2 * BOUND.total_seconds()
        assert {type(error) for error in errors} == {StateConnectionError}
        # Nobody waits any longer, nothing is left behind but the trips under way.
        assert len(asyncio.all_tasks()) < 20
        own_server.thaw()
        await recovers(backend.store.ping)
    assert logged() == GONE_AND_BACK


async def test_cut_connections_cost_the_harmless_calls_nothing(
    server: Server, logged: Logged
) -> None:
    async with through_proxy(server) as (proxy, backend):
        dispatch = dispatch_state(backend)
        proxy.delay(timedelta(milliseconds=100))
        calls = [asyncio.create_task(dispatch.begin([begin(n)])) for n in range(10, 14)]
        await asyncio.sleep(0.05)
        proxy.cut()
        for call in calls:
            ((began,),) = [await call]
            assert began.admitted
        await dispatch.settle([end(begin(n)) for n in range(10, 14)])
    assert logged() == []


async def test_cut_connections_are_told_where_a_second_call_could_count_twice(
    server: Server,
) -> None:
    key = KEY._replace(id="counted")
    async with through_proxy(server) as (proxy, backend):
        await backend.store.increment(key, ttl=HOUR)
        proxy.delay(timedelta(milliseconds=100))
        call = asyncio.create_task(backend.store.increment(key, ttl=HOUR))
        await asyncio.sleep(0.05)
        proxy.cut()
        with pytest.raises(StateConnectionError, match="cannot be reached"):
            await call
        proxy.delay(timedelta(0))
        assert await backend.store.get(key) == "2"


async def test_a_begin_whose_answer_is_lost_is_not_counted_twice(server: Server) -> None:
    quota = Quota(KEY._replace(kind="rate_limit", id="lost"), 10, HOUR)
    counted = evolve(begin(20), quotas=(quota,))
    async with through_proxy(server) as (proxy, backend):
        dispatch = dispatch_state(backend)
        proxy.delay(timedelta(milliseconds=100))
        call = asyncio.create_task(dispatch.begin([counted]))
        await asyncio.sleep(0.05)
        proxy.cut()
        with pytest.raises(StateConnectionError):
            await call
        proxy.delay(timedelta(0))
        assert await backend.store.get(quota.key) == "1"
        # What it took can be given back all the same.
        assert list(await dispatch.settle([end(counted)])) == [True]


async def test_refused_connections_are_told_in_one_line(server: Server, logged: Logged) -> None:
    async with through_proxy(server) as (proxy, backend):
        proxy.refuse(True)
        proxy.cut()
        for _ in range(3):
            await fails(backend)
        proxy.refuse(False)
        await recovers(backend.store.ping)
    assert logged() == GONE_AND_BACK


async def test_slow_answers_are_waited_for_until_the_limit(server: Server, logged: Logged) -> None:
    async with through_proxy(server) as (proxy, backend):
        proxy.delay(QUICK / 2)
        await backend.store.set(KEY, "1", ttl=HOUR)
        assert await backend.store.get(KEY) == "1"
        proxy.delay(2 * QUICK)
        assert "does not answer in time" in str(await fails(backend))
        proxy.delay(timedelta(0))
        await recovers(backend.store.ping)
    assert logged() == GONE_AND_BACK


async def test_who_waits_behind_others_waits_for_bounded_time(server: Server) -> None:
    async with Proxy(server.host, server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.url_port}"
        config = RedisStateConfig(
            url=url, connect_timeout=QUICK, command_timeout=QUICK, connections=1
        )
        async with RedisStatePlugin.open(config) as backend:
            proxy.delay(0.75 * QUICK)

            async def told() -> str:
                try:
                    await backend.store.get(KEY)
                except StateConnectionError as error:
                    return str(error)
                return ""

            start = monotonic()
            all_told = await together(told() for _ in range(10 * MOST))
            assert monotonic() - start < BOUND.total_seconds()
            assert MOST <= all_told.count("") < 5 * MOST
            assert {"does not answer in time" in text for text in all_told if text} == {True}
            proxy.delay(timedelta(0))
            await backend.store.ping()


async def test_calls_of_one_moment_share_few_connections(server: Server) -> None:
    async with through_proxy(server) as (proxy, backend):
        await together(
            backend.store.increment(KEY._replace(id="many"), ttl=HOUR) for _ in range(500)
        )
        assert proxy.connections <= RedisStateConfig().connections


async def test_who_stops_waiting_disturbs_nobody(server: Server) -> None:
    async with through_proxy(server) as (proxy, backend):
        proxy.delay(timedelta(milliseconds=50))
        keys = [KEY._replace(id=f"cancelled {n}") for n in range(200)]
        for number, key in enumerate(keys):
            call = asyncio.create_task(backend.store.set(key, key.id, ttl=HOUR))
            await asyncio.sleep(0.01 if number % 10 == 7 else 0)
            call.cancel()
        values = await together(backend.store.get(key) for key in keys)
        # Each has its own value or none: no answer went to somebody else.
        assert all(value in (None, key.id) for value, key in zip(values, keys, strict=True))
        assert any(values)
        assert proxy.connections <= RedisStateConfig().connections


async def test_a_replica_is_told(own_server: Server, logged: Logged) -> None:
    async with opened(own_server.url) as backend:
        redis.ask(own_server.port, "REPLICAOF", "127.0.0.1", "1")
        assert "read-only replica" in str(await fails(backend, StateBackendError))
        with pytest.raises(StateBackendError, match="read-only replica"):
            await dispatch_state(backend).begin([begin(1)])
        with pytest.raises(StateBackendError, match="read-only replica"):
            await backend.store.ping()
        redis.ask(own_server.port, "REPLICAOF", "NO", "ONE")
        await recovers(backend.store.ping)
    assert logged() == []  # It answers, and can be read: that it is of no use its users tell.


async def test_a_connection_to_a_replica_is_given_up(own_server: Server) -> None:
    async with through_proxy(own_server) as (proxy, backend):
        redis.ask(own_server.port, "REPLICAOF", "127.0.0.1", "1")
        before = proxy.connections
        for _ in range(3):
            await fails(backend, StateBackendError)
        # A name that leads to another server by now is looked up again.
        assert proxy.connections - before == 2


async def test_a_frozen_server_does_not_keep_us_from_closing(own_server: Server) -> None:
    async with opened(own_server.url) as backend:
        own_server.freeze()
        await fails(backend)
        start = monotonic()
    assert monotonic() - start < BOUND.total_seconds()


async def test_a_replica_without_its_primary_is_told(own_server: Server) -> None:
    async with opened(own_server.url) as backend:
        redis.ask(own_server.port, "CONFIG", "SET", "replica-serve-stale-data", "no")
        redis.ask(own_server.port, "REPLICAOF", "127.0.0.1", "1")
        assert "replica that has lost its primary" in str(await fails(backend))


async def test_a_full_server_is_told_and_lets_what_has_begun_end(own_server: Server) -> None:
    async with opened(own_server.url) as backend:
        dispatch = dispatch_state(backend)
        begun = [begin(number) for number in range(3)]
        await dispatch.begin(begun)
        redis.ask(own_server.port, "CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StateBackendError, match="out of memory"):
            await backend.store.set(KEY, "1", ttl=HOUR)
        with pytest.raises(StateBackendError, match="out of memory"):
            await dispatch.begin([begin(4), begin(5)])

        claims_only = [evolve(end(one), lock=None) for one in begun[:2]]
        assert list(await dispatch.settle([*claims_only, end(begun[2])])) == [True] * 3
        redis.ask(own_server.port, "CONFIG", "SET", "maxmemory", "0")
        (began,) = await dispatch.begin([begin(4)])
        assert began.admitted


async def test_scripts_that_the_server_has_forgotten_are_sent_again(own_server: Server) -> None:
    async with opened(own_server.url) as backend:
        dispatch = dispatch_state(backend)
        for number in range(2):
            (began,) = await dispatch.begin([begin(number)])
            assert began.admitted
            redis.ask(own_server.port, "SCRIPT", "FLUSH")
            assert list(await dispatch.settle([end(begin(number))])) == [True]


async def test_a_closed_backend_says_so(server: Server) -> None:
    async with opened(server.url) as backend:
        pass
    with pytest.raises(StateConnectionError, match="closed"):
        await backend.store.get(KEY)


async def test_answers_that_are_slow_together_are_given_up(own_server: Server) -> None:
    async with through_proxy(own_server) as (proxy, backend):
        proxy.delay(0.6 * QUICK)
        began = monotonic()
        calls = [asyncio.create_task(backend.store.get(KEY)) for _ in range(40)]
        await asyncio.wait(calls)
        assert monotonic() - began < BOUND.total_seconds()
        proxy.delay(timedelta(0))
        await recovers(backend.store.ping)
        leaving = monotonic()
    assert monotonic() - leaving < BOUND.total_seconds()
