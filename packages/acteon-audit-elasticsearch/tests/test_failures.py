"""A cluster that is gone, or of no use, and back again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from time import monotonic
from typing import TypeVar

import pytest
from attrs import evolve
from elasticsearch import Elasticsearch

from acteon.audit import (
    AuditError,
    AuditQuery,
    AuditSerializationError,
    AuditSettings,
    AuditStorageError,
    AuditStore,
    AuditTrail,
)
from acteon.audit.testing import NOON, make_record
from acteon.audit_elasticsearch import (
    ElasticsearchAuditConfig,
    ElasticsearchAuditPlugin,
    Layout,
)
from servers import elasticsearch
from servers.process import Server
from servers.proxy import Proxy

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

T = TypeVar("T")
Lines = Callable[[], list[tuple[str, str]]]

LIMIT = 1.0
BOUND = 3.0
"""Seconds until an error at the most."""
RECOVERED = 5.0
AWAY = ("WARNING", "the audit store is lost")
BACK = ("INFO", "the audit store is back")
MADE = ("INFO", "the index was made")
RECOVERIES = "cluster.routing.allocation.node_initial_primaries_recoveries"


@pytest.fixture(scope="module")
def doomed() -> Iterator[Server]:
    with elasticsearch.running() as server:
        yield server


@pytest.fixture
async def proxy(doomed: Server) -> AsyncIterator[Proxy]:
    async with Proxy(doomed.host, doomed.port) as proxy:
        yield proxy


@pytest.fixture
def config(doomed: Server, prefix: str) -> ElasticsearchAuditConfig:
    return ElasticsearchAuditConfig(url=doomed.url, prefix=prefix)


@pytest.fixture
async def ready(config: ElasticsearchAuditConfig) -> ElasticsearchAuditConfig:
    """Give a configuration whose index is there; making one may take longer than other requests."""
    async with ElasticsearchAuditPlugin.open(config):
        return evolve(config, command_timeout_seconds=LIMIT)


@pytest.fixture
def behind(proxy: Proxy, ready: ElasticsearchAuditConfig) -> ElasticsearchAuditConfig:
    return evolve(ready, url=f"http://127.0.0.1:{proxy.url_port}")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, ready: object) -> Lines:
    """Give what tells the lines logged at INFO and above, each with its level."""
    caplog.set_level(logging.INFO)
    caplog.clear()

    def tell() -> list[tuple[str, str]]:
        assert not [record for record in caplog.records if record.exc_info]
        return [(record.levelname, record.message) for record in caplog.records]

    return tell


@contextmanager
def fails_soon() -> Generator[None]:
    """Expect an `AuditStorageError` in bounded time."""
    began = monotonic()
    with pytest.raises(AuditStorageError):
        yield
    assert monotonic() - began < BOUND


async def eventually(call: Callable[[], Awaitable[T]]) -> T:
    """Call until that raises no `AuditError`; fail after a while."""
    deadline = monotonic() + RECOVERED
    while True:
        try:
            return await call()
        except AuditError:
            if monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


def calls_of(store: AuditStore) -> list[Callable[[], Awaitable[object]]]:
    """Return one call of each kind."""
    return [
        lambda: store.write([make_record()]),
        lambda: store.get("1"),
        lambda: store.latest("a-1"),
        lambda: store.query(AuditQuery()),
        lambda: store.clean_up(NOON),
        lambda: store.erase(["1"]),
        store.ping,
    ]


async def test_a_restarted_server_is_used_again(
    doomed: Server, ready: ElasticsearchAuditConfig, lines: Lines
) -> None:
    record = make_record()
    async with ElasticsearchAuditPlugin.open(ready) as store:
        await store.write([record])
        doomed.kill()
        try:
            for call in calls_of(store):
                with fails_soon():
                    await call()
        finally:
            doomed.start()
        assert await eventually(lambda: store.get(record.id)) == record
        await eventually(lambda: store.write([make_record()]))
        assert (await eventually(lambda: store.query(AuditQuery()))).total == 2
    assert lines() == [AWAY, BACK]


async def test_a_frozen_server_fails_in_time_and_is_used_again(
    doomed: Server, ready: ElasticsearchAuditConfig, lines: Lines
) -> None:
    async with ElasticsearchAuditPlugin.open(ready) as store:
        await store.write([make_record()])
        doomed.freeze()
        try:
            for call in calls_of(store):
                with fails_soon():
                    await call()
            began = monotonic()
            crowd = [asyncio.ensure_future(store.query(AuditQuery())) for _ in range(100)]
            done, _ = await asyncio.wait(crowd)
            assert {type(one.exception()) for one in done} == {AuditStorageError}
            assert monotonic() - began < BOUND
        finally:
            doomed.thaw()
        await eventually(lambda: store.write([make_record(action_id="after")]))
        assert await eventually(lambda: store.latest("after")) is not None
    assert lines() == [AWAY, BACK]


async def test_what_the_writer_has_meanwhile_is_written_once(
    doomed: Server, ready: ElasticsearchAuditConfig, lines: Lines
) -> None:
    records = [make_record() for _ in range(3000)]
    async with ElasticsearchAuditPlugin.open(ready) as store:
        trail = AuditTrail(store, AuditSettings(batch_size=500))
        async with trail:
            for number, record in enumerate(records):
                if number == 1000:
                    doomed.freeze()
                assert trail.take(record)
                if number % 100 == 0:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(1.5 * LIMIT)
            assert trail.failed_writes
            doomed.thaw()
        assert (trail.written, trail.dropped) == (3000, 0)
        assert (await eventually(lambda: store.query(AuditQuery()))).total == 3000
    told = lines()
    assert (told.count(AWAY), told.count(BACK)) == (1, 1)


async def test_cut_connections_are_replaced(
    proxy: Proxy, behind: ElasticsearchAuditConfig, lines: Lines
) -> None:
    async with ElasticsearchAuditPlugin.open(behind) as store:
        for number in range(1, 4):
            proxy.cut()
            await store.write([make_record()])
            proxy.cut()
            assert (await store.query(AuditQuery())).total == number
    assert lines() == []


async def test_a_server_that_refuses_fails_at_once(
    proxy: Proxy, behind: ElasticsearchAuditConfig, lines: Lines
) -> None:
    async with ElasticsearchAuditPlugin.open(behind) as store:
        await store.write([make_record()])
        proxy.refuse(True)
        proxy.cut()
        for call in calls_of(store):
            with fails_soon():
                await call()
        proxy.refuse(False)
        assert (await eventually(lambda: store.query(AuditQuery()))).total == 1
    assert lines() == [AWAY, BACK]


async def test_slow_answers_are_waited_for_up_to_the_limit(
    proxy: Proxy, behind: ElasticsearchAuditConfig, lines: Lines
) -> None:
    async with ElasticsearchAuditPlugin.open(behind) as store:
        await store.write([make_record(id="1")])
        proxy.delay(timedelta(seconds=LIMIT / 4))
        assert await store.get("1") is not None
        proxy.delay(timedelta(seconds=3 * LIMIT))
        with fails_soon():
            await store.get("1")
        proxy.delay(timedelta(0))
        assert await eventually(lambda: store.get("1")) is not None
    assert lines() == [AWAY, BACK]


async def test_of_several_nodes_one_will_do(
    doomed: Server, ready: ElasticsearchAuditConfig, lines: Lines
) -> None:
    url = f"http://127.0.0.1:1,127.0.0.1:{doomed.port}"
    async with ElasticsearchAuditPlugin.open(evolve(ready, url=url)) as store:
        for number in range(1, 6):
            await store.write([make_record()])
            assert (await store.query(AuditQuery())).total == number
    assert lines() == []


async def test_an_index_that_takes_no_writes_is_one_that_may_again(
    doomed: Server, ready: ElasticsearchAuditConfig, prefix: str
) -> None:
    async with ElasticsearchAuditPlugin.open(ready) as store:
        await store.write([make_record(id="1")])
        with Elasticsearch(doomed.url) as client:
            client.indices.put_settings(index=f"{prefix}_audit", settings={"blocks.write": True})
            with pytest.raises(AuditStorageError, match=r"cluster_block_exception \(403\)"):
                await store.write([make_record()])
            client.indices.put_settings(index=f"{prefix}_audit", settings={"blocks.write": None})
        await store.write([make_record()])
        assert (await store.query(AuditQuery())).total == 2


async def test_a_part_of_the_records_is_never_taken_for_all(
    doomed: Server, config: ElasticsearchAuditConfig, prefix: str
) -> None:
    layout = Layout.of(prefix)
    definition = layout.definition
    definition["settings"] |= {"index.number_of_shards": 2, "index.number_of_replicas": 0}
    with Elasticsearch(doomed.url) as client, ExitStack() as stack:
        stack.callback(lambda: client.indices.delete(index=layout.index))
        client.indices.create(index=layout.index, **definition)
        async with ElasticsearchAuditPlugin.open(
            evolve(config, command_timeout_seconds=3)
        ) as store:
            records = [make_record() for _ in range(40)]
            await store.write(records)
            assert (await store.query(AuditQuery())).total == 40

            # No shard that is lost comes back.
            client.cluster.put_settings(persistent={RECOVERIES: 0})
            stack.callback(lambda: client.cluster.put_settings(persistent={RECOVERIES: None}))
            state = client.cluster.state(metric="routing_table", index=layout.index)
            (copy,) = state["routing_table"]["indices"][layout.index]["shards"]["0"]
            cancelled = {"index": layout.index, "shard": 0, "node": copy["node"]}
            client.cluster.reroute(commands=[{"cancel": cancelled | {"allow_primary": True}}])
            for query in (AuditQuery(), AuditQuery(tenant="acme", limit=1)):
                with pytest.raises(AuditStorageError, match=r"\(503\)"):
                    await store.query(query)
            with pytest.raises(AuditStorageError, match=r"\(503\)"):
                await store.clean_up(NOON)
            with pytest.raises(AuditStorageError, match=r"of 40 not done, .+ \(503\)") as failed:
                await store.erase([record.id for record in records])
            assert 0 < failed.value.done < 40


async def test_an_index_that_was_removed_is_made_again_and_never_by_the_server(
    doomed: Server, ready: ElasticsearchAuditConfig, prefix: str, lines: Lines
) -> None:
    record = make_record()
    async with ElasticsearchAuditPlugin.open(ready) as store:
        with Elasticsearch(doomed.url) as client:
            client.indices.delete(index=f"{prefix}_audit-000001")
        with pytest.raises(AuditStorageError, match="no such index"):
            await store.query(AuditQuery())
        with pytest.raises(AuditStorageError):
            await store.get("1")
        with pytest.raises(AuditStorageError, match="index_not_found_exception"):
            await store.write([record])
        await store.write([record])
        assert (await store.query(AuditQuery(tenant="acme"))).records == (record,)
    assert lines() == [MADE]


async def test_a_record_that_cannot_be_kept_does_not_lose_the_others(
    ready: ElasticsearchAuditConfig,
) -> None:
    bad, good = make_record(duration_ms=2**64), [make_record() for _ in range(9)]
    async with ElasticsearchAuditPlugin.open(ready) as store:
        with pytest.raises(AuditSerializationError, match="1 of 10 not done"):
            await store.write([*good[:5], bad, *good[5:]])

        trail = AuditTrail(store)
        async with trail:
            for record in [*good[:5], bad, *good[5:]]:
                assert trail.take(record)
        assert (trail.written, trail.dropped) == (9, 1)
        assert (await store.query(AuditQuery())).total == 9
