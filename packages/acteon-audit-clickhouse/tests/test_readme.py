"""Everything that the README shows runs."""

import re
import sys
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from acteon.audit import AuditStore
from acteon.audit.testing import make_record
from acteon.audit_clickhouse import ClickHouseAuditConfig, ClickHouseAuditPlugin, Layout
from servers.process import Server

README = Path(__file__).parents[1] / "README.md"

Execute = Callable[[str], Awaitable[list[tuple[Any, ...]]]]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_configuration_is_one() -> None:
    (text,) = blocks("toml")
    audit = tomllib.loads(text)["audit"]
    assert audit.pop("backend") == "clickhouse"
    config = ClickHouseAuditConfig(**audit)
    assert Layout.of(config, (18, 16)).table == "acteon_audit"
    assert config.address.port == 9000


def test_every_key_is_told_with_its_default() -> None:
    told: dict[str, str] = {}
    for keys, default in re.findall(
        r"^\| (`\w.*?) \| `?([^|`]+)`? \|", README.read_text(), re.MULTILINE
    ):
        told |= dict.fromkeys(re.findall(r"`(\w+)`", keys), default.strip())
    config = ClickHouseAuditConfig(url="clickhouse://localhost")
    defaults = {
        name: str(getattr(config, name)).removesuffix(".0")
        for name in (one.name for one in attrs.fields(ClickHouseAuditConfig))
    }
    defaults |= {name: text.lower() for name, text in defaults.items() if text in {"True", "False"}}
    defaults["url"] = "required"
    assert {name: text for name, text in told.items() if name in defaults} == defaults


@pytest.mark.server
async def test_what_it_shows_runs(server: Server, execute: Execute) -> None:
    (shell,) = blocks("sh")
    command = shell.partition("|")[0].split()
    printed = (await anyio.run_process([sys.executable, *command[1:], "18.16"])).stdout.decode()
    await execute(printed.strip().removesuffix(";"))

    config = ClickHouseAuditConfig(url=server.url)
    async with ClickHouseAuditPlugin.open(config) as store:
        assert isinstance(store, AuditStore)
        await store.write([make_record(outcome="failed"), make_record()])
    (select,) = blocks("sql")
    ((instant, *rest),) = await execute(select)
    assert instant.isoformat() == "2025-01-01T12:00:00+00:00"
    assert rest == ["acme", "email", "failed"]

    (program,) = blocks("python")
    done = await anyio.run_process(
        [sys.executable, "-c", program], env={"CLICKHOUSE_URL": server.url}
    )
    assert done.stdout == b"1 failed\n"
