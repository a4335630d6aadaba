"""The configurations in `examples` work as they stand, against the real servers that they name."""

import asyncio
import re
import sysconfig
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import aiohttp
import pytest

from acteon.server.config import load_config
from servers import clickhouse, dynamodb, elasticsearch, postgres, redis
from servers.process import Server

EXAMPLES = Path(__file__).parents[3] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.toml"))
SERVER = Path(sysconfig.get_path("scripts"), "acteon-server")
STARTS: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "8123": clickhouse.running,
    "8000": dynamodb.running,
    "9200": elasticsearch.running,
    "5432": postgres.running,
    "6379": redis.running,
}
"""What starts the server at each port that the examples name."""
NEED_SERVERS = ("clickhouse", "dynamodb", "elasticsearch-audit", "postgres", "redis")
URL = re.compile('(?m)^url = "[^"]*:([0-9]+)[^"]*"$')


def test_each_that_needs_a_server_is_tried_with_it() -> None:
    assert {*NEED_SERVERS, "full"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_can_be_used(name: str) -> None:
    load_config(EXAMPLES / f"{name}.toml", environ={})


@pytest.mark.server
@pytest.mark.parametrize("name", NEED_SERVERS)
async def test_each_starts_and_takes_a_dispatch(name: str, tmp_path: Path) -> None:
    text = (EXAMPLES / f"{name}.toml").read_text()
    with ExitStack() as stack:
        ports = {found[1] for found in URL.finditer(text)}
        servers = {port: stack.enter_context(STARTS[port]()) for port in sorted(ports)}
        # Only where things are is different here.
        text = URL.sub(lambda found: f'url = "{servers[found[1]].url}"', text)
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
            await dispatched(url.split()[0], audited="[audit]" in text)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()
        assert process.returncode == 0


async def dispatched(url: str, *, audited: bool) -> None:
    """Dispatch an action, and look for its record if there is an audit trail."""
    action = {
        "namespace": "shop",
        "tenant": "acme",
        "provider": "log",
        "action_type": "greet",
        "payload": {"text": "hello"},
    }
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/v1/dispatch", json=action) as answer:
            assert (await answer.json())["Executed"]["status"] == "success"
        async with session.get(f"{url}/v1/audit") as answer:
            assert answer.status == (200 if audited else 404)
            if audited:
                page = await answer.json()
                assert page["total"] == 1
                assert page["records"][0]["action_payload"] == {"text": "hello"}
