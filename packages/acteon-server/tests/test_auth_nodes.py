"""Servers that share a state store share who has signed in, and who tries too often."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from acteon.server.testing import Answer, request
from servers import postgres, redis
from servers.process import Server

pytestmark = pytest.mark.server

STORES: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "postgres": postgres.running,
    "redis": redis.running,
}
PROGRAM = Path(sys.executable).with_name("acteon-server")
CONFIG = """
[server]
port = 0
[state]
backend = "{backend}"
url = "{url}"
[auth]
enabled = true
"""
MASTER_KEY = {"ACTEON_AUTH_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
LOGIN, LOGOUT, RULES = "/v1/auth/login", "/v1/auth/logout", "/v1/rules"


async def listening(process: Process) -> str:
    """Return the URL that `process` is reached at, once it is."""
    assert process.stderr is not None
    told: list[bytes] = []
    async with asyncio.timeout(20):
        async for line in process.stderr:
            told.append(line)
            _, found, url = line.decode().partition("listening url=")
            if found:
                return url.split()[0]
    raise AssertionError(b"".join(told).decode())


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Iterator[tuple[str, Server]]:
    with STORES[request.param]() as server:
        yield request.param, server


@pytest.fixture
async def nodes(store: tuple[str, Server], auth_file: Path) -> AsyncIterator[tuple[str, str]]:
    """Give the URLs of two servers, each a process, that have one store and one file of users."""
    backend, server = store
    config = auth_file.with_name("acteon.toml")
    config.write_text(CONFIG.format(backend=backend, url=server.url))
    processes = [
        await asyncio.create_subprocess_exec(
            PROGRAM, "-c", config, stdout=DEVNULL, stderr=PIPE, cwd="/", env=MASTER_KEY
        )
        for _ in range(2)
    ]
    try:
        one, other = [await listening(process) for process in processes]
        yield one, other
    finally:
        for process in processes:
            if process.returncode is None:
                process.terminate()
            await process.communicate()


async def log_in(url: str, password: str) -> Answer:
    body = b'{"username": "alice", "password": "%s"}' % password.encode()
    return await request(url, "POST", LOGIN, body, {"content-type": "application/json"})


def holder(answer: Answer) -> dict[str, str]:
    """Return the headers of who got the token in `answer`."""
    issued: dict[str, Any] = answer.json()
    return {"authorization": f"Bearer {issued['token']}"}


async def test_a_token_is_good_on_each_node_and_after_logout_on_none(
    nodes: tuple[str, str],
) -> None:
    one, other = nodes
    first = holder(await log_in(one, "admin-pass"))
    second = holder(await log_in(one, "admin-pass"))
    assert first != second
    for url in nodes:
        assert (await request(url, "GET", RULES, headers=first)).status == 200
    assert (await request(other, "POST", LOGOUT, headers=first)).status == 200
    for url in nodes:
        replayed = await request(url, "GET", RULES, headers=first)
        assert (replayed.status, replayed.json()["error"]) == (401, "token has been revoked")
        assert (await request(url, "GET", RULES, headers=second)).status == 200


async def test_attempts_are_counted_on_all_nodes_together(nodes: tuple[str, str]) -> None:
    statuses = [(await log_in(nodes[n % 2], "wrong")).status for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    for url in nodes:
        refused = await log_in(url, "admin-pass")
        assert refused.status == 429
        assert 1 <= int(refused.header("retry-after") or 0) <= 300
