"""Many bytes at once, on a server that has no room for them."""

import logging
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from elasticsearch import Elasticsearch

from acteon.audit import (
    AuditQuery,
    AuditRecord,
    AuditStorageError,
    AuditStore,
    AuditTrail,
    Position,
)
from acteon.audit.testing import NOON, make_record
from acteon.audit_elasticsearch import ElasticsearchAuditConfig, ElasticsearchAuditPlugin
from servers import elasticsearch
from servers.process import Server
from servers.proxy import Proxy

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

COUNT = 450
LARGE = b'"' + b"x" * 900_000 + b'"'


@pytest.fixture(scope="module")
def narrow() -> Iterator[Server]:
    """Give a server whose memory is for one page of `LARGE` documents too small."""
    with elasticsearch.running(heap="512m") as server:
        yield server


@pytest.fixture
async def proxy(narrow: Server) -> AsyncIterator[Proxy]:
    async with Proxy(narrow.host, narrow.port) as proxy:
        yield proxy


@pytest.fixture
async def store(proxy: Proxy, prefix: str) -> AsyncIterator[AuditStore]:
    config = ElasticsearchAuditConfig(url=f"http://127.0.0.1:{proxy.url_port}", prefix=prefix)
    async with ElasticsearchAuditPlugin.open(config) as store:
        yield store


@contextmanager
def room(server: Server, limit: str) -> Generator[None]:
    """Let the answer to a search have so much memory and no more."""
    name = "indices.breaker.request.limit"
    with Elasticsearch(server.url) as client:
        client.cluster.put_settings(persistent={name: limit})
        try:
            yield
        finally:
            client.cluster.put_settings(persistent={name: None})


def made(count: int, payload: bytes) -> list[AuditRecord]:
    """Return records in the order of pages."""
    return [
        make_record(action_payload=payload, dispatched_at=NOON - timedelta(seconds=number))
        for number in range(count)
    ]


async def test_a_page_of_large_payloads_is_found_whole_and_erased(store: AuditStore) -> None:
    records = made(COUNT, LARGE)
    for start in range(0, COUNT, 50):
        await store.write(records[start : start + 50])

    page = await store.query(AuditQuery(limit=1000))
    assert page.total == COUNT
    assert page.records == tuple(records)
    async with AuditTrail(store) as trail:
        erased = await trail.erase(AuditQuery(tenant="acme"))
    assert (erased.matched, erased.erased) == (COUNT, COUNT)


@pytest.mark.parametrize("offset", [0, 7, 65])
async def test_a_page_that_is_refused_is_asked_for_in_pieces(
    store: AuditStore, narrow: Server, caplog: pytest.LogCaptureFixture, offset: int
) -> None:
    caplog.set_level(logging.INFO, "acteon")
    records = made(70, LARGE[:200_000] + b'"')
    await store.write(records)
    caplog.clear()

    with room(narrow, "1mb"):
        page = await store.query(AuditQuery(limit=60, offset=offset))
        last = page.records[-1]
        position = Position(last.dispatched_at, last.id)
        after = await store.query(AuditQuery(limit=60, after=position))
    assert page.records == tuple(records[offset : offset + 60])
    assert after.records == tuple(records[offset + 60 :])
    assert page.total == 70
    assert not caplog.records


async def test_one_record_that_is_too_large_is_no_outage(
    store: AuditStore, narrow: Server, caplog: pytest.LogCaptureFixture
) -> None:
    await store.write(made(2, LARGE))
    caplog.set_level(logging.INFO, "acteon")
    caplog.clear()

    with room(narrow, "500kb"), pytest.raises(AuditStorageError, match="circuit_breaking"):
        await store.query(AuditQuery())
    assert not caplog.records
    assert len((await store.query(AuditQuery())).records) == 2


async def test_small_records_take_two_requests_a_page_and_few_take_one(
    store: AuditStore, proxy: Proxy
) -> None:
    await store.write(made(1000, b"{}"))
    await store.query(AuditQuery())
    for limit, trips in ((100, 1), (1000, 2)):
        before = proxy.trips
        page = await store.query(AuditQuery(limit=limit))
        assert (len(page.records), proxy.trips - before) == (limit, trips)


async def test_what_is_written_goes_in_requests_of_ten_megabytes(
    store: AuditStore, proxy: Proxy
) -> None:
    records = made(20, LARGE)
    before = proxy.trips
    await store.write(records)
    assert proxy.trips - before == 2
    assert (await store.query(AuditQuery(limit=1))).total == 20
