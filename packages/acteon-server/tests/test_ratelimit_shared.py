"""Limits on real stores: what several nodes count together, and what if the store is gone."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from attrs import frozen

from acteon.core import STATE, ManualClock, load_plugin
from acteon.server.config import OnLimitError
from acteon.server.ratelimit import RateLimiter, Standing, Tier
from acteon.state import StatePlugin, StateStore
from acteon.state.testing import together
from servers import postgres, redis
from servers.process import Server
from servers.proxy import Proxy

pytestmark = pytest.mark.server

STORES: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "postgres": postgres.running,
    "redis": redis.running,
}
NOW = datetime.fromtimestamp(1_700_000_060, UTC)
TIER = Tier(requests_per_window=40, window=timedelta(minutes=1))


@frozen
class Shared:
    """A store that several nodes have opened, each for itself.

    Attributes:
        stores: One for each node.
        server: What they share.
        proxy: Counts the trips of the last one.
    """

    stores: tuple[StateStore, ...]
    server: Server
    proxy: Proxy


@pytest.fixture(params=STORES)
def running(request: pytest.FixtureRequest) -> Iterator[tuple[str, Server]]:
    with STORES[request.param]() as server:
        yield request.param, server


@pytest.fixture
async def shared(running: tuple[str, Server]) -> AsyncIterator[Shared]:
    name, server = running
    plugin = load_plugin(STATE, name, StatePlugin)
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(Proxy(server.host, server.port))
        behind = server.url.replace(f":{server.port}", f":{proxy.url_port}")
        stores: list[StateStore] = []
        for url in (server.url, server.url, behind):
            opened = plugin.open(plugin.Config(url=url))
            stores.append((await stack.enter_async_context(opened)).store)
        yield Shared(tuple(stores), server, proxy)


def bucket() -> str:
    return f"caller:{uuid4().hex}"


async def test_nodes_together_admit_as_many_as_the_limit(shared: Shared) -> None:
    nodes = [RateLimiter(store, clock=ManualClock(NOW)) for store in shared.stores]
    name = bucket()
    standings = await together(nodes[n % len(nodes)].take(name, TIER) for n in range(150))
    remaining = [one.remaining for one in standings if one.admitted]
    assert sorted(remaining) == list(range(40))


async def test_several_at_once_are_counted_all_or_none_by_all_nodes(shared: Shared) -> None:
    nodes = [RateLimiter(store, clock=ManualClock(NOW)) for store in shared.stores]
    name = bucket()
    standings = await together(nodes[n % len(nodes)].take(name, TIER, 7) for n in range(60))
    remaining = [one.remaining for one in standings if one.admitted]
    assert sorted(remaining) == [5, 12, 19, 26, 33]


async def test_nodes_know_what_others_counted_in_the_window_before(shared: Shared) -> None:
    first, second = shared.stores[:2]
    name = bucket()
    before = RateLimiter(first, clock=ManualClock(NOW))
    assert (await before.take(name, TIER, 40)).admitted
    half_a_minute_later = ManualClock(NOW + timedelta(seconds=70))
    node = RateLimiter(second, clock=half_a_minute_later)
    admitted = [(await node.take(name, TIER)).admitted for _ in range(30)]
    assert admitted == [True] * 20 + [False] * 10


async def test_a_request_is_one_trip_and_the_first_in_a_window_two(shared: Shared) -> None:
    clock = ManualClock(NOW)
    limiter = RateLimiter(shared.stores[-1], clock=clock)
    name, trips = bucket(), list[int]()
    await limiter.take(bucket(), TIER)  # The connection is made, and the statements are known.
    await limiter.take(bucket(), TIER)
    for step in (0, 0, 0, 60, 0):
        clock.move(timedelta(seconds=step))
        before = shared.proxy.trips
        await limiter.take(name, TIER)
        trips.append(shared.proxy.trips - before)
    assert trips == [2, 1, 1, 2, 1]


@pytest.mark.parametrize(
    ("on_error", "wanted"),
    [
        (OnLimitError.ALLOW, Standing(admitted=True, limit=40, remaining=40, reset=60)),
        (OnLimitError.DENY, Standing(admitted=False, limit=40, remaining=0, reset=60)),
    ],
)
async def test_while_the_store_is_gone_the_configuration_decides(
    shared: Shared,
    caplog: pytest.LogCaptureFixture,
    on_error: OnLimitError,
    wanted: Standing,
) -> None:
    limiter = RateLimiter(shared.stores[0], on_error)
    caplog.set_level(logging.INFO, "acteon.server.ratelimit")
    assert (await limiter.take(bucket(), TIER)).remaining == 39
    shared.server.stop()
    assert await together(limiter.take(bucket(), TIER) for _ in range(20)) == [wanted] * 20
    shared.server.start()
    name = bucket()
    while not counts(await limiter.take(name, TIER)):
        pass  # It takes a moment until the driver has noticed; the test's own limit ends this.
    told = [one.message for one in caplog.records if one.name == "acteon.server.ratelimit.limiter"]
    assert told == [
        "requests cannot be counted: until they can, [rate_limit] on_error decides about them",
        "requests are counted again",
    ]


def counts(standing: Standing) -> bool:
    return 0 < standing.remaining < TIER.requests_per_window
