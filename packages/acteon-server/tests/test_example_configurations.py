"""The configurations in `examples` work as they stand, against the real servers that they name."""

import asyncio
import re
import sysconfig
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import aiohttp
import pytest

from acteon.server.config import load_config
from servers import clickhouse, dynamodb, postgres, redis
from servers.process import Server

EXAMPLES = Path(__file__).parents[3] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.toml"))
SERVER = Path(sysconfig.get_path("scripts"), "acteon-server")
STARTS: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "clickhouse": clickhouse.running,
    "dynamodb": dynamodb.running,
    "postgres": postgres.running,
    "redis": redis.running,
}


def test_each_that_needs_a_server_is_tried_with_it() -> None:
    assert {*STARTS, "full"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_can_be_used(name: str) -> None:
    load_config(EXAMPLES / f"{name}.toml", environ={})


@pytest.mark.server
@pytest.mark.parametrize("name", STARTS)
async def test_each_starts_and_takes_a_dispatch(name: str, tmp_path: Path) -> None:
    text = (EXAMPLES / f"{name}.toml").read_text()
    with STARTS[name]() as server:
        # Only where things are is different here.
        text = re.sub('(?m)^url = ".*"$', f'url = "{server.url}"', text)
        config = tmp_path / "acteon.toml"
        config.write_text(text.replace("port = 8080", "port = 0"))
        process = await asyncio.create_subprocess_exec(
            SERVER, "-c", str(config), stdout=DEVNULL, stderr=PIPE, cwd=tmp_path
        )
        try:
            assert process.stderr is not None
            said: list[str] = []
            async for line in process.stderr:
                said.append(line.decode())
                _, listening, url = said[-1].partition("listening url=")
                if listening:
                    break
            else:
                raise AssertionError("".join(said))
            assert await dispatched(url.split()[0]) == "success"
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()
        assert process.returncode == 0


async def dispatched(url: str) -> str:
    action = {
        "namespace": "shop",
        "tenant": "acme",
        "provider": "log",
        "action_type": "greet",
        "payload": {"text": "hello"},
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/dispatch", json=action) as answer,
    ):
        outcome = await answer.json()
    status: str = outcome["Executed"]["status"]
    return status
