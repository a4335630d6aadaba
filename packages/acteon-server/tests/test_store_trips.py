"""How often a dispatch goes to a real store and back, as a proxy in between counts it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest

from acteon.core import Action
from acteon.gateway import Gateway, GatewaySettings, Plugin, parse_rules
from servers import postgres, redis
from servers.process import Server
from servers.proxy import Proxy

pytestmark = pytest.mark.server

RULES = """
rules:
  - name: held-back
    priority: 1
    condition: {field: action.action_type, eq: spam}
    action: {type: suppress}
  - name: once
    priority: 2
    condition: {field: action.action_type, in: [once, both]}
    continue: true
    action: {type: deduplicate, ttl_seconds: 600}
  - name: two
    priority: 3
    condition: {field: action.action_type, eq: two}
    action: {type: throttle, max_count: 2, window_seconds: 600}
  - name: by-counter
    priority: 4
    condition:
      all:
        - {field: action.action_type, in: [counted, both, busy]}
        - {state_counter: sent, gt: 5}
    action: {type: suppress}
"""
STORES: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "postgres": postgres.running,
    "redis": redis.running,
}
QUIET = GatewaySettings(poll=timedelta(hours=1))
"""Nobody asks for the switches of rules meanwhile."""


@pytest.fixture(scope="module", params=STORES)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, Server]]:
    with STORES[request.param]() as server:
        yield request.param, server


@pytest.fixture
async def proxy(server: tuple[str, Server]) -> AsyncIterator[Proxy]:
    _, behind = server
    async with Proxy(behind.host, behind.port) as proxy:
        yield proxy


@pytest.fixture
async def gateway(server: tuple[str, Server], proxy: Proxy) -> AsyncIterator[Gateway]:
    """Give a gateway whose connection is open, and whose server knows what it will ask."""

    async def deliver(action: Action) -> None:
        await asyncio.sleep(0)

    name, behind = server
    url = behind.url.replace(f":{behind.port}", f":{proxy.url_port}")
    opening = Gateway.open(
        rules=parse_rules(RULES),
        providers=[deliver],
        state=Plugin(name, {"url": url, "prefix": "trips"}),
        audit=None,
        settings=QUIET,
    )
    async with opening as gateway:
        await gateway.dispatch(action("plain"))
        await settled(gateway, proxy, proxy.trips + 1)
        yield gateway


def action(kind: str, **members: Any) -> Action:
    return Action(
        namespace="shop",
        tenant="acme",
        provider="deliver",
        action_type=kind,
        payload={},
        **members,
    )


async def settled(gateway: Gateway, proxy: Proxy, trips: int) -> None:
    """Return when so many trips have been made, of which settles come after the answer."""
    async with asyncio.timeout(10):
        while proxy.trips < trips:  # noqa: ASYNC110 - what is waited for is on the wire
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("kind", "awaited", "in_all"),
    [
        pytest.param("spam", 0, 0, id="what is held back without state takes none"),
        pytest.param("plain", 1, 2, id="a lock takes one, and one to give it back"),
        pytest.param("once", 1, 2, id="with a claim it is the same"),
        pytest.param("two", 1, 2, id="and with a quota"),
        pytest.param("counted", 1, 2, id="what rules read comes with the lock"),
        pytest.param("both", 2, 3, id="but a claim that depends on it is another one"),
    ],
)
async def test_a_dispatch_takes_as_few_trips_as_it_can(
    gateway: Gateway, proxy: Proxy, kind: str, awaited: int, in_all: int
) -> None:
    before = proxy.trips
    await gateway.dispatch(action(kind, dedup_key=kind))
    assert proxy.trips - before == awaited
    await settled(gateway, proxy, before + in_all)
    await gateway.drain()
    assert proxy.trips - before == in_all


async def test_a_duplicate_takes_one(gateway: Gateway, proxy: Proxy) -> None:
    before = proxy.trips
    await gateway.dispatch(action("once", dedup_key="again"))
    await settled(gateway, proxy, before + 2)
    assert (await gateway.dispatch(action("once", dedup_key="again"))).tag == "deduplicated"
    await gateway.drain()
    assert proxy.trips - before == 3


async def test_what_comes_at_the_same_time_shares_them(gateway: Gateway, proxy: Proxy) -> None:
    before = proxy.trips
    many = [action("once", dedup_key=f"shared-{number}") for number in range(64)]
    outcomes = await asyncio.gather(*map(gateway.dispatch, many))
    assert {outcome.tag for outcome in outcomes} == {"executed"}
    await gateway.drain()
    # Each would take two by itself; what came while the first one was under way went together.
    assert proxy.trips - before <= 8


async def test_a_batch_shares_them(gateway: Gateway, proxy: Proxy) -> None:
    before = proxy.trips
    many = [action("once", dedup_key=f"batch-{number}") for number in range(64)]
    await gateway.dispatch_batch(many)
    await gateway.drain()
    assert proxy.trips - before <= 8
