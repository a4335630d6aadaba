"""How often one goes to Redis and back, as a proxy in between counts it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from acteon.state import Begin, DispatchState, Quota, Settle, StateBackend, StateKey, dispatch_state
from acteon.state.testing import together
from acteon.state_redis import RedisStateConfig, RedisStatePlugin
from servers.process import Server
from servers.proxy import Proxy

pytestmark = pytest.mark.server

HOUR = timedelta(hours=1)
BATCH = 64


def begins(run: str) -> list[Begin]:
    return [
        Begin(
            token=f"{run} {number}",
            lease=HOUR,
            lock=f"dispatch:{run}:acme:{number}",
            claim=StateKey(run, "acme", "dedup", str(number)),
            quotas=(Quota(StateKey(run, "acme", "rate_limit", "1"), BATCH, HOUR),),
            reads=(StateKey(run, "acme", "state", "1"),),
        )
        for number in range(BATCH)
    ]


def settles(run: str) -> list[Settle]:
    return [Settle(token=one.token, lock=one.lock, claim=one.claim) for one in begins(run)]


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    async with Proxy(server.host, server.port) as proxy:
        yield proxy


@pytest.fixture
async def backend(proxy: Proxy) -> AsyncIterator[StateBackend]:
    config = RedisStateConfig(url=f"redis://127.0.0.1:{proxy.url_port}")
    async with RedisStatePlugin.open(config) as backend:
        yield backend


@pytest.fixture
async def dispatch(backend: StateBackend) -> DispatchState:
    """The server knows the scripts already."""
    dispatch = dispatch_state(backend)
    await dispatch.begin(begins("before")[:1])
    await dispatch.settle(settles("before")[:1])
    return dispatch


async def test_opening_takes_few(backend: StateBackend, proxy: Proxy) -> None:
    # One for a ping; one or two for the script that asks for the memory, if that is new there.
    assert proxy.trips in (2, 3)
    assert proxy.connections == 1


async def test_a_batch_of_begins_takes_one(dispatch: DispatchState, proxy: Proxy) -> None:
    before = proxy.trips
    began = await dispatch.begin(begins("begins"))
    assert proxy.trips - before == 1
    assert all(one.admitted for one in began)


async def test_a_batch_of_settles_takes_one(dispatch: DispatchState, proxy: Proxy) -> None:
    await dispatch.begin(begins("settles"))
    before = proxy.trips
    assert all(await dispatch.settle(settles("settles")))
    assert proxy.trips - before == 1


async def test_operations_of_one_moment_share_one(
    backend: StateBackend, dispatch: DispatchState, proxy: Proxy
) -> None:
    key = StateKey("shop", "acme", "counter", "shared")
    await backend.store.delete(key)
    await backend.store.increment(key, ttl=HOUR)
    before = proxy.trips
    sums = await together(backend.store.increment(key, ttl=HOUR) for _ in range(BATCH))
    assert sorted(sums) == list(range(2, BATCH + 2))
    assert proxy.trips - before == 1


async def test_each_operation_takes_one(
    backend: StateBackend, dispatch: DispatchState, proxy: Proxy
) -> None:
    store, locks = backend.store, backend.locks
    key = StateKey("shop", "acme", "counter", "each")
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: store.set(key, "1", ttl=HOUR),
        lambda: store.get(key),
        lambda: store.check_and_set(key, "1", ttl=HOUR),
        lambda: store.increment(key, ttl=None),
        lambda: store.increment(key, ttl=HOUR),
        lambda: store.compare_and_swap(key, "1", "2", ttl=HOUR),
        lambda: store.take(key, 100, HOUR),
        lambda: store.delete(key),
        store.ping,
        lambda: locks.try_acquire("each", "mine", HOUR),
        lambda: locks.extend("each", "mine", HOUR),
        lambda: locks.release("each", "mine"),
    ]
    for call in calls:
        await call()
    before = proxy.trips
    for call in calls:
        await call()
    assert proxy.trips - before == len(calls)
