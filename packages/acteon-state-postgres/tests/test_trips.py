"""What goes over the wire, counted by a proxy."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from acteon.state import Begin, Claimed, Ending, Quota, Settle, StateBackend, StateKey
from acteon.state_postgres import PostgresStateConfig, PostgresStatePlugin
from servers.process import Server
from servers.proxy import Proxy

pytestmark = pytest.mark.server

MINUTE = timedelta(minutes=1)
KEY = StateKey("test", "trips", "dedup", "1")


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    async with Proxy(server.host, server.port) as proxy:
        yield proxy


@pytest.fixture
async def backend(server: Server, proxy: Proxy) -> AsyncIterator[StateBackend]:
    url = server.url.replace(f":{server.port}/", f":{proxy.url_port}/")
    async with PostgresStatePlugin.open(PostgresStateConfig(url=url)) as backend:
        await backend.store.ping()
        proxy.trips = 0
        yield backend


async def test_a_batch_of_begins_is_one_trip_and_its_settles_another(
    backend: StateBackend, proxy: Proxy
) -> None:
    dispatch = backend.dispatch
    assert dispatch is not None
    batch = [
        Begin(
            token=f"t{n}",
            lease=MINUTE,
            lock=f"trips:{n}",
            claim=KEY._replace(id=str(n)),
            quotas=(Quota(KEY._replace(kind="rate_limit"), 40, MINUTE),),
            reads=(KEY._replace(kind="state", id="1"), KEY._replace(kind="state", id=str(n))),
        )
        for n in range(64)
    ]
    began = await dispatch.begin(batch)
    assert (sum(one.admitted for one in began), proxy.trips) == (40, 1)

    ends = [
        Settle(token=one.token, lock=one.lock, claim=one.claim, ending=ending)
        for one, ending in zip(batch, list(Ending) * 22, strict=False)
    ]
    assert sum(one is True for one in await dispatch.settle(ends)) == 40
    assert proxy.trips == 2
    assert (await dispatch.begin(batch[1:2]))[0].claim is Claimed.DONE
    assert proxy.trips == 3
    assert proxy.connections == 1


async def test_each_operation_is_one_trip(backend: StateBackend, proxy: Proxy) -> None:
    store, locks = backend.store, backend.locks
    operations: list[Callable[[], Awaitable[object]]] = [
        lambda: store.set(KEY, "one", ttl=MINUTE),
        lambda: store.get(KEY),
        lambda: store.check_and_set(KEY, "two", ttl=MINUTE),
        lambda: store.compare_and_swap(KEY, "one", "three", ttl=MINUTE),
        lambda: store.delete(KEY),
        lambda: store.increment(KEY, ttl=MINUTE),
        lambda: store.take(KEY, 1, MINUTE),
        lambda: store.ping(),
        lambda: locks.try_acquire("trips", "mine", MINUTE),
        lambda: locks.try_acquire("trips", "yours", MINUTE),
        lambda: locks.extend("trips", "mine", MINUTE),
        lambda: locks.release("trips", "mine"),
    ]
    for number, operation in enumerate(operations, 1):
        await operation()
        assert proxy.trips == number
    assert proxy.connections == 1
