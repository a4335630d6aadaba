"""The table is made when it is missing, completed when it is old, and not taken from others."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest
from attrs import evolve

from acteon.audit import AuditQuery, AuditStorageError
from acteon.audit.testing import make_record
from acteon.audit_clickhouse import ClickHouseAuditConfig, ClickHouseAuditPlugin, Layout
from acteon.core import ConfigError
from servers import clickhouse

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

Execute = Callable[[str], Awaitable[list[tuple[Any, ...]]]]
KEY = "(id String, dispatched_at Int64, version UInt64)"
READERS = """
<profiles><default/><reader><readonly>2</readonly></reader></profiles>
"""


async def test_many_may_open_it_at_once(config: ClickHouseAuditConfig) -> None:
    async with AsyncExitStack() as stack:
        stores = await asyncio.gather(
            *(stack.enter_async_context(ClickHouseAuditPlugin.open(config)) for _ in range(12))
        )
        for store in stores:
            await store.write([make_record()])
        assert (await stores[0].query(AuditQuery())).total == 12


async def test_opening_again_finds_what_was_written(config: ClickHouseAuditConfig) -> None:
    record = make_record()
    async with ClickHouseAuditPlugin.open(config) as store:
        await store.write([record])
    async with ClickHouseAuditPlugin.open(evolve(config, prefix=f"{config.prefix}_")) as store:
        assert await store.get(record.id) == record


async def test_an_older_table_gets_what_it_lacks(
    config: ClickHouseAuditConfig, execute: Execute
) -> None:
    definition = Layout(config.prefix, (18, 16)).definition()
    lines = [
        line
        for line in definition.splitlines()
        if not line.strip().startswith(("caller_id", "auth_method", "expires_at", "matched_rule"))
    ]
    await execute("\n".join(lines).replace(",\n)", "\n)"))
    table = f"{config.prefix}_audit"
    await execute(
        f"INSERT INTO {table} (id, dispatched_at, metadata) SELECT 'old', toInt64(5), '{{}}'"
    )
    async with AsyncExitStack() as stack:
        stores = await asyncio.gather(
            *(stack.enter_async_context(ClickHouseAuditPlugin.open(config)) for _ in range(4))
        )
        old = await stores[0].get("old")
        assert old is not None
        assert (old.caller_id, old.expires_at, old.matched_rule) == ("", None, None)
        record = make_record(caller_id="ann", matched_rule="r")
        await stores[1].write([record])
        assert await stores[2].get(record.id) == record


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ("(id String) ENGINE = MergeTree ORDER BY id", "it has no column dispatched_at"),
        (
            "(id String, dispatched_at DateTime) ENGINE = MergeTree ORDER BY id",
            "its column dispatched_at is DateTime, not Int64",
        ),
        (
            "(id String, dispatched_at Int64, version UInt64) ENGINE = MergeTree ORDER BY id",
            r"its engine is no ReplacingMergeTree\(version\)",
        ),
        (
            f"{KEY} ENGINE = ReplacingMergeTree ORDER BY (dispatched_at, id)",
            r"its engine is no ReplacingMergeTree\(version\)",
        ),
        (
            f"{KEY} ENGINE = ReplacingMergeTree(dispatched_at) ORDER BY (dispatched_at, id)",
            r"its engine is no ReplacingMergeTree\(version\)",
        ),
        (
            f"{KEY} ENGINE = ReplacingMergeTree(version) ORDER BY (id, dispatched_at)",
            r"it is not sorted by \(dispatched_at, id\)",
        ),
        (
            f"{KEY} ENGINE = ReplacingMergeTree(version) ORDER BY dispatched_at",
            r"it is not sorted by \(dispatched_at, id\)",
        ),
    ],
)
async def test_a_table_of_others_is_left_alone(
    config: ClickHouseAuditConfig, execute: Execute, definition: str, why: str
) -> None:
    await execute(f"CREATE TABLE {config.prefix}_audit {definition}")
    with pytest.raises(ConfigError, match=f"is none of ours: {why}; set another 'prefix'"):
        async with ClickHouseAuditPlugin.open(config):
            pass


@pytest.mark.parametrize(
    "engine",
    [
        "ReplacingMergeTree(version)",
        "ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', version)",
        "SharedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', version)",
    ],
)
def test_an_engine_of_replicas_is_ours_too(engine: str) -> None:
    layout = Layout("acteon", (18, 16))
    definition = layout.definition().replace("ReplacingMergeTree(version)", engine)
    names = re.findall(r"^ +(\w+) (?:ALIAS )?((?:Nullable\()?\w+\)?)", definition, re.MULTILINE)
    assert layout.additions(dict(names), definition) == []


async def test_files_that_were_merged_leave_the_disk_soon(
    config: ClickHouseAuditConfig, execute: Execute
) -> None:
    async with ClickHouseAuditPlugin.open(config):
        ((settings,),) = await execute(
            f"SELECT engine_full FROM system.tables WHERE name = '{config.prefix}_audit'"
        )
    # By default they stay for eight minutes, and each write leaves some.
    assert "old_parts_lifetime = 60" in settings


async def test_who_may_not_make_it_is_told_what_to_do(
    config: ClickHouseAuditConfig, tmp_path: Any
) -> None:
    users = tmp_path / "users.xml"
    users.write_text(
        f"<yandex>{READERS}<quotas><default/></quotas><users>"
        + "".join(
            f"<{user}><password/><networks><ip>127.0.0.1</ip></networks>"
            f"<profile>{profile}</profile><quota>default</quota></{user}>"
            for user, profile in (("default", "default"), ("reader", "reader"))
        )
        + "</users></yandex>"
    )
    extra = f"<users_config>{users}</users_config>"
    with clickhouse.running(config=extra) as server:
        (server.folder / "users.xml").write_text(users.read_text())
        server.stop()
        server.start()
        reader = evolve(config, url=server.url.replace("//", "//reader@"))
        with pytest.raises(ConfigError) as raised:
            async with ClickHouseAuditPlugin.open(reader):
                pass
        text = str(raised.value)
        assert f"python -m acteon.audit_clickhouse {config.prefix}" in text
        assert "\n" not in text
        async with ClickHouseAuditPlugin.open(evolve(config, url=server.url)):
            pass
        async with ClickHouseAuditPlugin.open(reader) as store:
            assert (await store.query(AuditQuery())).total == 0


async def test_what_is_printed_makes_the_table(
    config: ClickHouseAuditConfig, execute: Execute
) -> None:
    program = [sys.executable, "-m", "acteon.audit_clickhouse"]
    done = await anyio.run_process([*program, config.prefix, "18.16.1"])
    await execute(done.stdout.decode().strip().removesuffix(";"))
    async with ClickHouseAuditPlugin.open(config) as store:
        await store.write([make_record()])

    for wrong in (["no-name"], ["acteon", "new"], ["a", "b", "c"], ["--help"]):
        failed = await anyio.run_process([*program, *wrong], check=False)
        assert failed.returncode == 1
        assert b"usage: python -m acteon.audit_clickhouse" in failed.stderr


async def test_a_server_that_is_not_there_is_told(config: ClickHouseAuditConfig) -> None:
    with pytest.raises(AuditStorageError, match=r"127\.0\.0\.1:1/default: it cannot be reached"):
        async with ClickHouseAuditPlugin.open(evolve(config, url="clickhouse://127.0.0.1:1")):
            pass


async def test_what_cannot_be_used_is_told_without_secrets(config: ClickHouseAuditConfig) -> None:
    with pytest.raises(ConfigError, match="the database does not exist"):
        async with ClickHouseAuditPlugin.open(evolve(config, database="nowhere")):
            pass
    url = config.url.replace("//", "//default:hush@")
    with pytest.raises(ConfigError, match="user and password were refused") as raised:
        async with ClickHouseAuditPlugin.open(evolve(config, url=url)):
            pass
    assert "hush" not in str(raised.value)
