"""When another server takes over: behind Sentinels, and in a Cluster."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import monotonic

import pytest

from acteon.state import Begin, StateError, StateKey, dispatch_state, lock_name
from acteon.state.testing import together
from acteon.state_redis import RedisStateConfig, RedisStatePlugin
from servers import redis
from servers.process import Server
from servers.waiting import wait_until

pytestmark = pytest.mark.server

HOUR = timedelta(hours=1)
QUICK = timedelta(milliseconds=400)
TAKEOVER = timedelta(seconds=20)
"""Choosing another server is a matter of the servers' own time limits."""

Logged = Callable[[], list[tuple[str, str]]]


async def recovers(call: Callable[[], Awaitable[object]]) -> None:
    deadline = monotonic() + TAKEOVER.total_seconds()
    while True:
        try:
            await call()
        except StateError:
            if monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return


def config(url: str) -> RedisStateConfig:
    return RedisStateConfig(url=url, connect_timeout=QUICK, command_timeout=QUICK)


def replicated(server: Server, replicas: int) -> None:
    """Return when what `server` has is on its replicas."""

    def is_there() -> bool:
        return redis.ask(server.port, "WAIT", str(replicas), "1000").startswith(f":{replicas}")

    wait_until("the replicas have it all", is_there, TAKEOVER)


@pytest.mark.parametrize("way", ["kill", "freeze"])
async def test_the_server_that_the_sentinels_choose_is_used(way: str, logged: Logged) -> None:
    key = StateKey("shop", "acme", "state", "1")
    with redis.sentinel() as sentinel:
        async with RedisStatePlugin.open(config(sentinel.url)) as backend:
            await backend.store.set(key, "1", ttl=HOUR)
            first = sentinel.primary
            assert first is not None
            replicated(first, len(sentinel.nodes) - 1)
            getattr(first, way)()
            await recovers(lambda: backend.store.set(key, "2", ttl=HOUR))
            assert await backend.store.get(key) == "2"
            (began,) = await dispatch_state(backend).begin(
                [Begin(token="mine", lease=HOUR, lock=lock_name("shop", "acme", "1"), claim=key)]
            )
            assert began.error is not None  # the key is no claim: the script has run there
            first.thaw()
    assert logged() == [("WARNING", "the state store is lost"), ("INFO", "the state store is back")]


async def test_a_replica_takes_over_the_slots_of_a_clusters_server(logged: Logged) -> None:
    keys = [StateKey("shop", f"tenant {number}", "state", "1") for number in range(60)]
    with redis.cluster(replicas=1) as cluster:
        async with RedisStatePlugin.open(config(cluster.url)) as backend:
            await together(backend.store.set(key, "1", ttl=HOUR) for key in keys)
            first = cluster.nodes[0]
            replicated(first, 1)
            first.kill()

            async def one_more(key: StateKey) -> bool:
                try:
                    await backend.store.increment(key, ttl=HOUR)
                except StateError:
                    return False
                return True

            async def one_more_each() -> list[bool]:
                return await together(one_more(key) for key in keys)

            # The other servers go on serving meanwhile.
            served = await one_more_each()
            assert 0 < sum(served) < len(keys)
            deadline = monotonic() + TAKEOVER.total_seconds()
            while not all(await one_more_each()):
                assert monotonic() < deadline
                await asyncio.sleep(0.05)
            values = await together(backend.store.get(key) for key in keys)
            assert all(value is not None and int(value) >= 2 for value in values)
    assert logged() == [("WARNING", "the state store is lost"), ("INFO", "the state store is back")]


async def test_the_restart_of_a_clusters_server_is_told_once(logged: Logged) -> None:
    key = StateKey("shop", "acme", "state", "1")
    with redis.cluster() as cluster:
        async with RedisStatePlugin.open(config(cluster.url)) as backend:
            async with asyncio.TaskGroup() as group:
                for _ in range(RedisStateConfig().connections):
                    group.create_task(backend.store.set(key, "x" * 2**20, ttl=HOUR))
                    await asyncio.sleep(0.001)  # so that each has a connection of its own
            await backend.store.set(key, "1", ttl=HOUR)
            for node in cluster.nodes:
                node.stop()
                node.start()
            wait_until("the cluster is whole", lambda: all(map(is_whole, cluster.nodes)), TAKEOVER)
            failures = 0
            for _ in range(10):
                try:
                    await backend.store.increment(key, ttl=HOUR)
                except StateError:
                    failures += 1
            assert failures <= 1
            assert await backend.store.get(key) == str(11 - failures)


def is_whole(node: Server) -> bool:
    return "cluster_state:ok" in redis.ask(node.port, "CLUSTER", "INFO")
