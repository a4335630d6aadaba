"""Everything that the README shows runs."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import attrs
import pytest

from acteon.state import StateBackend, StateKey
from acteon.state_clickhouse import Calls, ClickHouseStateConfig
from servers.process import Server

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_configuration_is_one() -> None:
    (text,) = blocks("toml")
    state = tomllib.loads(text)["state"]
    assert state.pop("backend") == "clickhouse"
    config = ClickHouseStateConfig(**state)
    assert config.allow_weak_locks
    assert config.address.port == 9000


def test_every_key_is_told_with_its_default() -> None:
    told: dict[str, str] = {}
    for keys, default in re.findall(
        r"^\| (`\w.*?) \| `?([^|`]+)`? \|", README.read_text(), re.MULTILINE
    ):
        told |= dict.fromkeys(re.findall(r"`(\w+)`", keys), default.strip())
    config = ClickHouseStateConfig()
    defaults = {
        name: str(getattr(config, name)).removesuffix(".0")
        for name in (one.name for one in attrs.fields(ClickHouseStateConfig))
    }
    defaults |= {name: text.lower() for name, text in defaults.items() if text in {"True", "False"}}
    assert {name: text for name, text in told.items() if name in defaults} == defaults


@pytest.mark.server
async def test_the_sql_makes_an_entry(shared: StateBackend, config: ClickHouseStateConfig) -> None:
    (insert,) = blocks("sql")
    columns, values = re.fullmatch(
        r"INSERT INTO acteon_state \((.*?)\) VALUES \((.*?)\)\n", insert
    ).groups()  # type: ignore[union-attr]
    row = tuple(text.strip("'") for text in values.split(", "))
    async with Calls(config) as calls:
        await calls.insert("acteon_state", columns, [row])
    assert await shared.store.get(StateKey("shop", "acme", "state", "maintenance")) == "on"


@pytest.mark.server
def test_the_program_prints_what_it_took(server: Server) -> None:
    (program,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"CLICKHOUSE_URL": server.url},
        check=True,
        capture_output=True,
        text=True,
    )
    assert re.findall(r"admitted=(\w+)", done.stdout) == ["True", "True", "False"]
