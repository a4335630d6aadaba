"""The index is made when it is missing, added to when it is older, and never taken over."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import pytest
from attrs import evolve
from elasticsearch import Elasticsearch

from acteon.audit import AuditPlugin, AuditQuery, AuditStorageError
from acteon.audit.testing import make_record
from acteon.audit_elasticsearch import (
    ElasticsearchAuditConfig,
    ElasticsearchAuditPlugin,
    Layout,
)
from acteon.core import AUDIT, ConfigError, load_plugin
from servers.process import Server

pytestmark = pytest.mark.server

SECRET = "hush"


@pytest.fixture
def client(server: Server) -> Iterator[Elasticsearch]:
    with Elasticsearch(server.url) as client:
        yield client


async def opens(config: ElasticsearchAuditConfig) -> None:
    """Open a store, and use it."""
    record = make_record(expires_at=make_record().dispatched_at)
    async with ElasticsearchAuditPlugin.open(config) as store:
        await store.write([record])
        assert await store.get(record.id) == record
        assert record in (await store.query(AuditQuery(caller_id=""))).records


def printed(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command that prints what an administrator has to do."""
    command = [sys.executable, "-m", "acteon.audit_elasticsearch", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


async def refusal(config: ElasticsearchAuditConfig) -> str:
    """Return why no store can be opened, which is one line without secrets."""
    with pytest.raises(ConfigError) as raised:
        await opens(config)
    text = str(raised.value)
    assert "\n" not in text
    assert SECRET not in text
    return text


def test_it_is_registered_as_elasticsearch() -> None:
    assert load_plugin(AUDIT, "elasticsearch", AuditPlugin) is ElasticsearchAuditPlugin


async def test_the_index_is_made_once(
    config: ElasticsearchAuditConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "acteon.audit_elasticsearch")
    for _ in range(3):
        await opens(config)
    assert [one.message for one in caplog.records] == ["the index was made"]


async def test_many_may_start_at_once(
    config: ElasticsearchAuditConfig, client: Elasticsearch, prefix: str
) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(opens(config))
    assert list(client.indices.get(index=f"{prefix}_*")) == [f"{prefix}_audit-000001"]
    async with ElasticsearchAuditPlugin.open(config) as store:
        assert (await store.query(AuditQuery())).total == 8


async def test_an_older_index_gets_what_it_lacks_and_keeps_what_it_has(
    config: ElasticsearchAuditConfig, client: Elasticsearch, prefix: str
) -> None:
    layout = Layout.of(prefix)
    definition = layout.definition
    for name in ("caller_id", "expires_us", "whole"):
        del definition["mappings"]["properties"][name]
    definition["mappings"]["properties"]["ours"] = {"type": "keyword"}
    client.indices.create(index=layout.index, **definition)

    await opens(config)
    mapping = client.indices.get_mapping(index=layout.alias)[layout.index]["mappings"]
    assert mapping["properties"]["expires_us"] == {"type": "long"}
    assert mapping["properties"]["ours"] == {"type": "keyword"}


async def test_an_index_that_may_not_be_made_is_told(
    config: ElasticsearchAuditConfig, client: Elasticsearch, prefix: str
) -> None:
    client.cluster.put_settings(persistent={"cluster.blocks.read_only": True})
    try:
        text = await refusal(config)
    finally:
        client.cluster.put_settings(persistent={"cluster.blocks.read_only": None})
    assert f"the index {prefix}_audit-000001 is missing" in text
    assert "python -m acteon.audit_elasticsearch" in text


async def test_members_that_may_not_be_added_are_told(
    config: ElasticsearchAuditConfig, client: Elasticsearch, prefix: str
) -> None:
    layout = Layout.of(prefix)
    definition = layout.definition
    del definition["mappings"]["properties"]["caller_id"]
    definition["settings"]["index.blocks.read_only"] = True
    client.indices.create(index=layout.index, wait_for_active_shards=0, **definition)

    assert f"the index {prefix}_audit lacks caller_id" in await refusal(config)


async def test_what_an_administrator_makes_is_used_as_it_is(
    config: ElasticsearchAuditConfig,
    client: Elasticsearch,
    prefix: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "acteon.audit_elasticsearch")
    request, _, body = printed(prefix).stdout.partition("\n")
    method, path = request.split()
    client.perform_request(
        method,
        path,
        headers={"content-type": "application/json", "accept": "application/json"},
        body=json.loads(body),
    )
    await opens(config)
    assert not caplog.records


@pytest.mark.parametrize("arguments", [["--help"], ["a", "b"], ["Capital"]])
def test_wrong_arguments_are_told(arguments: list[str]) -> None:
    done = printed(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("usage: python -m acteon.audit_elasticsearch [PREFIX]")


async def test_an_index_of_others_is_not_touched(
    config: ElasticsearchAuditConfig, client: Elasticsearch, prefix: str
) -> None:
    client.indices.create(index=f"{prefix}_audit")

    assert "must be the alias of one index" in await refusal(config)


async def test_an_alias_of_several_indices_is_refused(
    config: ElasticsearchAuditConfig, client: Elasticsearch, prefix: str
) -> None:
    for number in "12":
        client.indices.create(index=f"{prefix}_{number}", aliases={f"{prefix}_audit": {}})

    assert "must be the alias of one index" in await refusal(config)


async def test_a_member_of_another_kind_is_refused(
    config: ElasticsearchAuditConfig, client: Elasticsearch, prefix: str
) -> None:
    client.indices.create(
        index=f"{prefix}_other",
        aliases={f"{prefix}_audit": {}},
        mappings={"properties": {"tenant": {"type": "text"}}},
    )

    text = await refusal(config)
    assert "its member tenant is 'text' instead of 'keyword': use another 'prefix'" in text


async def test_a_server_that_is_not_there_is_told() -> None:
    config = ElasticsearchAuditConfig(url=f"http://me:{SECRET}@127.0.0.1:1")
    with pytest.raises(AuditStorageError) as raised:
        await opens(config)
    text = str(raised.value)
    assert text.startswith("storage error: elasticsearch at 127.0.0.1:1: it cannot be")
    assert SECRET not in text


@asynccontextmanager
async def answering(status: str, *headers: str) -> AsyncGenerator[tuple[str, list[str]]]:
    """Answer every request so; give the host and the requests."""
    requests: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        lines = [f"HTTP/1.1 {status}", *headers, "content-type: application/json"]
        writer.write("\r\n".join([*lines, "content-length: 2", "", "{}"]).encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}", requests


PRODUCT = "x-elastic-product: Elasticsearch"


async def test_credentials_that_are_refused_are_told() -> None:
    async with answering("401 Unauthorized", PRODUCT) as (host, requests):
        url = f"http://me:{SECRET}@{host}"
        assert "the credentials were refused (401)" in await refusal(
            ElasticsearchAuditConfig(url=url)
        )
        await refusal(ElasticsearchAuditConfig(url=f"http://{host}", api_key=SECRET))
    assert "authorization: basic bwu6ahvzaa==" in requests[0].lower()
    assert f"authorization: apikey {SECRET}" in requests[-1].lower()


async def test_a_server_of_another_kind_is_told() -> None:
    async with answering("200 OK") as (host, _):
        text = await refusal(ElasticsearchAuditConfig(url=f"http://{host}"))
    assert "what answers is no Elasticsearch of version 8 or newer" in text


async def test_an_older_server_is_told() -> None:
    async with answering("406 Not Acceptable", PRODUCT) as (host, _):
        text = await refusal(ElasticsearchAuditConfig(url=f"http://{host}"))
    assert "use Elasticsearch 8 or 9" in text


async def test_an_index_of_the_same_name_with_a_longer_prefix_is_another_one(
    config: ElasticsearchAuditConfig, prefix: str
) -> None:
    await opens(config)
    await opens(evolve(config, prefix=f"{prefix}-more"))
    async with ElasticsearchAuditPlugin.open(config) as store:
        assert (await store.query(AuditQuery())).total == 1
