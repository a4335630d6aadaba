"""What the README shows is so."""

import re
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from acteon.state import StateKey
from acteon.state_redis import RedisStateConfig, RedisStatePlugin
from acteon.state_redis.urls import parse_url
from servers import redis
from servers.process import Server

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.M | re.S)


def block(language: str) -> str:
    (found,) = [text for name, text in BLOCKS if name == language]
    return found


def test_every_block_is_run() -> None:
    assert [language for language, _ in BLOCKS] == ["toml", "sh", "py"]


def test_the_configuration_is_one() -> None:
    section = tomllib.loads(block("toml"))["state"]
    assert section.pop("backend") == "redis"
    assert RedisStateConfig(**section).prefix == "acteon"


def test_the_table_has_all_keys_and_their_defaults() -> None:
    table = README[README.index("| key |") : README.index("| `url` | |")]
    rows = re.findall(r"^\| (`.*?`) \| (.*?) \|", table, re.M)
    told = {name: default for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    for attribute in attrs.fields(RedisStateConfig):
        default = attribute.default
        if isinstance(default, timedelta):
            assert told.pop(f"{attribute.name}_seconds") == f"`{default.total_seconds()}`"
        elif default is None:
            assert not told.pop(attribute.name).startswith("`")
        else:
            assert told.pop(attribute.name) == f"`{str(default).lower()}`"
    assert not told


def test_the_forms_of_urls_are_understood() -> None:
    forms = re.findall(r"^\| `(\w[\w+]*://.*?)` \|", README, re.M)
    assert len(forms) == 4
    for form in forms:
        full = form.replace(",host…", ",other").replace("?db=n", "?db=2").replace("port", "7000")
        full = full.replace("/db", "/2").replace("[", "").replace("]", "")
        assert parse_url(full).username == "user"
        bare = re.sub(r"\[.*?\]", "", form)
        assert parse_url(bare).password is None


@pytest.mark.server
async def test_what_is_written_by_hand_is_read(server: Server) -> None:
    for command in block("sh").splitlines():
        redis.ask(server.port, *command.split()[1:])
    async with RedisStatePlugin.open(RedisStateConfig(url=server.url)) as backend:
        assert await backend.store.get(StateKey("shop", "acme", "state", "mode")) == "closed"
        assert await backend.store.get(StateKey("shop", "acme", "counter", "orders")) == "1"


@pytest.mark.server
def test_the_program_runs(server: Server) -> None:
    program = block("py").replace("redis://localhost:6379", server.url)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == [
        "Taken(admitted=True",
        "Taken(admitted=True",
        "Taken(admitted=False",
    ]
