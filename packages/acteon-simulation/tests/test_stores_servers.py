"""Simulations on real stores: what nodes share there, and that nothing is left of it."""

# Some of the drivers have no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import boto3
import psycopg
import pytest
import redis as redis_driver
from clickhouse_driver import Client
from elasticsearch import Elasticsearch

from acteon.core import Action
from acteon.simulation import BackendUnavailableError, SimulationConfig, SimulationHarness
from acteon.simulation.stores import state_store
from servers import clickhouse, dynamodb, elasticsearch, postgres, redis

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

Make = Callable[..., Action]

RULES = """
rules:
  - name: once
    condition: {field: action.action_type, eq: notify}
    action: {type: deduplicate, ttl_seconds: 60}
"""


def redis_keys(url: str) -> list[Any]:
    with redis_driver.Redis.from_url(url) as client:
        return list(client.scan_iter())


def cluster_keys(url: str) -> list[Any]:
    first = url.replace("redis+cluster", "redis").split(",")[0]
    with redis_driver.RedisCluster.from_url(first) as client:
        return list(client.scan_iter())


def postgres_tables(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        found = (
            "SELECT relname FROM pg_class WHERE relname LIKE 'acteon%' "
            "UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'acteon%'"
        )
        return connection.execute(found).fetchall()


def dynamodb_tables(url: str) -> list[Any]:
    client = boto3.client(
        "dynamodb",
        endpoint_url=url.removeprefix("dynamodb+"),
        region_name="us-east-1",
        aws_access_key_id="acteon",  # the local server has tables of its own for each
        aws_secret_access_key="acteon",
    )
    return list(client.list_tables()["TableNames"])


def clickhouse_tables(url: str) -> list[Any]:
    client: Any = Client.from_url(url)
    found: list[Any] = client.execute("SELECT name FROM system.tables WHERE name LIKE 'acteon%'")
    client.disconnect()
    return found


def elasticsearch_indices(url: str) -> list[Any]:
    with Elasticsearch(url.removeprefix("elasticsearch+")) as client:
        return list(client.indices.get(index="acteon*"))


STORES: dict[str, tuple[Callable[[], Any], str, Callable[[str], list[Any]]]] = {
    "redis": (redis.running, "", redis_keys),
    "cluster": (redis.cluster, "", cluster_keys),
    "postgres": (postgres.running, "", postgres_tables),
    "dynamodb": (dynamodb.running, "dynamodb+", dynamodb_tables),
    "clickhouse": (clickhouse.running, "", clickhouse_tables),
    "elasticsearch": (elasticsearch.running, "elasticsearch+", elasticsearch_indices),
}


@pytest.fixture(scope="module")
def url() -> Iterator[Callable[[str], str]]:
    """Give what starts a store once, and tells its URL as simulations take it."""
    with ExitStack() as stack:
        started: dict[str, str] = {}

        def start(name: str) -> str:
            if name not in started:
                running, scheme, _ = STORES[name]
                started[name] = scheme + stack.enter_context(running()).url
            return started[name]

        yield start


@pytest.mark.parametrize("name", ["redis", "cluster", "postgres", "dynamodb", "clickhouse"])
async def test_nodes_share_a_store_and_leave_nothing_in_it(
    url: Callable[[str], str], name: str, action: Make
) -> None:
    where = url(name)
    config = SimulationConfig(nodes=2, state=where, rules=RULES, providers=["email"])
    async with SimulationHarness(config) as harness:
        sent = action(action_type="notify", dedup_key="k")
        (await harness.dispatch(sent)).assert_executed()
        (await harness.dispatch_to(1, sent)).assert_deduplicated()
        # Another run knows nothing of it, and takes nothing away from it.
        async with SimulationHarness(
            SimulationConfig(state=where, rules=RULES, providers=["email"])
        ) as other:
            (await other.dispatch(sent)).assert_executed()
        (await harness.dispatch(sent)).assert_deduplicated()
        assert await asyncio.to_thread(STORES[name][2], where) != []

    assert await asyncio.to_thread(STORES[name][2], where) == []


@pytest.mark.parametrize("name", ["postgres", "clickhouse", "elasticsearch"])
async def test_an_audit_trail_in_a_store_and_nothing_left_of_it(
    url: Callable[[str], str], name: str, action: Make
) -> None:
    where = url(name)
    config = SimulationConfig(nodes=2, audit=where, rules=RULES, providers=["email"])
    async with SimulationHarness(config) as harness:
        sent = action(action_type="notify", dedup_key="k")
        for number in range(2):
            await harness.dispatch_to(number, sent)
        await harness.audit.assert_audited(sent, outcome="deduplicated")
        await harness.audit.assert_audit_count(1, outcome="executed")
        assert await asyncio.to_thread(STORES[name][2], where) != []

    assert await asyncio.to_thread(STORES[name][2], where) == []


async def test_a_run_with_an_odd_name_takes_nothing_away_from_others(
    url: Callable[[str], str], action: Make
) -> None:
    where = url("redis")
    config = SimulationConfig(state=where, rules=RULES, providers=["email"], run="other")
    async with SimulationHarness(config) as harness:
        sent = action(action_type="notify", dedup_key="k")
        (await harness.dispatch(sent)).assert_executed()
        for odd in ("*", "[a-z]ther", "othe?"):
            await state_store(where, run=odd).clean()
        (await harness.dispatch(sent)).assert_deduplicated()


async def test_nodes_that_share_no_state_in_one_store(
    url: Callable[[str], str], action: Make
) -> None:
    where = url("redis")
    config = SimulationConfig(
        nodes=2, shared_state=False, state=where, rules=RULES, providers=["email"]
    )
    async with SimulationHarness(config) as harness:
        sent = action(action_type="notify", dedup_key="k")
        for number in range(2):
            (await harness.dispatch_to(number, sent)).assert_executed()
    assert await asyncio.to_thread(redis_keys, where) == []


async def test_processes_on_mixed_stores_and_one_of_them_killed(
    url: Callable[[str], str], action: Make
) -> None:
    state, audit = url("redis"), url("postgres")
    config = SimulationConfig(
        mode="process", nodes=3, state=state, audit=audit, rules=RULES, providers=["email"]
    )
    async with SimulationHarness(config) as harness:
        sent = action(action_type="notify", dedup_key="k")
        (await harness.dispatch(sent)).assert_executed()
        await harness.flush()
        await harness.kill(0)
        (await harness.dispatch_to(1, sent)).assert_deduplicated()
        (await harness.dispatch_to(2, sent)).assert_deduplicated()
        await harness.restart(0)
        (await harness.dispatch_to(0, sent)).assert_deduplicated()
        harness.provider("email").assert_called(1)
        await harness.audit.assert_audit_count(3, outcome="deduplicated")
        await harness.audit.assert_audit_count(1, outcome="executed")
    assert await asyncio.to_thread(redis_keys, state) == []
    assert await asyncio.to_thread(postgres_tables, audit) == []


async def test_a_store_that_is_not_there_is_told_in_a_line() -> None:
    with pytest.raises(BackendUnavailableError, match="redis"):
        await SimulationHarness.start(SimulationConfig(state="redis://127.0.0.1:1"))
