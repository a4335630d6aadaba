"""Everything that the README shows runs."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import attrs
import pytest

from acteon.audit.testing import make_record
from acteon.audit_postgres import PostgresAuditConfig, PostgresAuditPlugin
from acteon.audit_postgres.layout import INDEXES
from servers.process import Server

pytestmark = pytest.mark.server

Execute = Callable[[str], list[tuple[object, ...]]]

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_configuration_is_one() -> None:
    (text,) = blocks("toml")
    audit = tomllib.loads(text)["audit"]
    assert (audit.pop("backend"), audit.pop("enabled")) == ("postgres", True)
    assert PostgresAuditConfig(**audit).prefix == "acteon"


def test_every_key_is_told_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `?([^|`]+)`? \|", README.read_text(), re.MULTILINE)
    config = PostgresAuditConfig(url="postgres://localhost")
    defaults = {
        name: str(getattr(config, name)).removesuffix(".0")
        for name in (one.name for one in attrs.fields(PostgresAuditConfig))
        if name != "url"
    }
    told = {name: text.strip() for name, text in rows if name in {*defaults, "url"}}
    assert told == {"url": "required", **defaults}


def test_every_index_is_told() -> None:
    text = README.read_text()
    for name in INDEXES:
        column = name.removeprefix("audit_")
        assert f"`acteon_{name}`" in text or f"`{column}`" in text, name


@pytest.fixture
def failed(server: Server, execute: Execute) -> Iterator[None]:
    """Have a database with one dispatch that failed today, one that did long ago, and another."""
    failed = make_record(outcome="failed")

    async def write() -> None:
        async with PostgresAuditPlugin.open(PostgresAuditConfig(url=server.url)) as store:
            await store.write([failed, make_record(outcome="failed"), make_record()])

    anyio.run(write)
    execute(f"UPDATE acteon_audit SET dispatched_at = now() WHERE id = '{failed.id}'")
    yield
    execute("DELETE FROM acteon_audit")


def test_the_command_makes_the_table_and_a_year_of_partitions(server: Server) -> None:
    (command,) = blocks("sh")
    psql = next(path for path in Path("/usr/lib/postgresql").glob("*/bin/psql"))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env={
            "OWNER_URL": server.url,
            "PATH": f"{Path(sys.executable).parent}:{psql.parent}:{os.environ['PATH']}",
        },
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.count("CREATE TABLE") == 2 + 12


@pytest.mark.usefixtures("failed")
def test_the_sql_grants_and_finds(execute: Execute) -> None:
    grant, look = blocks("sql")
    execute("CREATE ROLE gateway")
    execute(grant)
    assert [row[1:] for row in execute(look)] == [("acme", "ann@example.com")]


@pytest.mark.usefixtures("failed")
def test_the_program_tells_how_many_failed(server: Server) -> None:
    (program,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"DATABASE_URL": server.url},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "2 dispatches failed\n"
