"""Everything that the README shows runs."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import attrs
import psycopg
import pytest

from acteon.state import StateBackend, StateKey
from acteon.state_postgres import PostgresStateConfig
from servers.process import Server

pytestmark = pytest.mark.server

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_configuration_is_one() -> None:
    (text,) = blocks("toml")
    state = tomllib.loads(text)["state"]
    assert state.pop("backend") == "postgres"
    assert PostgresStateConfig(**state).prefix == "acteon"


def test_every_key_is_told_with_its_default() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+)`? \|", README.read_text(), re.MULTILINE))
    config = PostgresStateConfig(url="postgres://localhost")
    defaults = {
        name: str(getattr(config, name)).removesuffix(".0")
        for name in (one.name for one in attrs.fields(PostgresStateConfig))
        if name != "url"
    }
    told = {name: text.strip() for name, text in told.items() if name in {*defaults, "url"}}
    assert told == {"url": "required", **defaults}


async def test_the_sql_makes_an_entry(server: Server, backend: StateBackend) -> None:
    insert, grant = blocks("sql")
    with psycopg.connect(server.url, autocommit=True) as connection:
        for _ in range(2):
            connection.execute(insert.encode())
        connection.execute("CREATE ROLE gateway")
        connection.execute(grant.encode())
    assert await backend.store.get(StateKey("shop", "acme", "state", "maintenance")) == "on"


def test_the_command_makes_the_tables(server: Server) -> None:
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
    assert done.stdout.count("CREATE FUNCTION") == 2


def test_the_program_prints_what_it_took(server: Server) -> None:
    (program,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"DATABASE_URL": server.url},
        check=True,
        capture_output=True,
        text=True,
    )
    assert re.findall(r"admitted=(\w+)", done.stdout) == ["True", "True", "False"]


def test_the_functions_are_called_as_they_are_told() -> None:
    text = README.read_text()
    for part in ("begin", "settle"):
        sql = (files("acteon.state_postgres") / "sql" / f"{part}.sql").read_text()
        assert f"FUNCTION {{{part}}}" in sql
        assert f"`acteon_{part}_v1`" in text
