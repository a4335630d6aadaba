"""A server whose store goes away: what callers get, what the log says, and how soon it is over."""

import asyncio
import sysconfig
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import psycopg
import pytest
from attrs import define, field

from servers import clickhouse, dynamodb, postgres, redis
from servers.process import Server

pytestmark = pytest.mark.server

PROGRAM = Path(sysconfig.get_path("scripts"), "acteon-server")
PATIENCE = 10.0
"""Seconds in which a caller gets an answer, whatever happens to the store."""
RECOVERY = 5.0
"""Seconds in which dispatches succeed again once the store is back."""
CONFIG = """
[server]
port = 0
cors_allowed_origins = []

[state]
backend = "{backend}"
url = "{url}"
{more}

[[providers]]
name = "log"
type = "log"
"""
MORE = {"clickhouse": "allow_weak_locks = true"}
STORES: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "clickhouse": clickhouse.running,
    "dynamodb": dynamodb.running,
    "postgres": postgres.running,
    "redis": redis.running,
}


@define(eq=False)
class Gateway:
    """A server in a process of its own, and what it logs.

    Attributes:
        url: Where it listens.
        lines: What it has logged.
    """

    process: Process
    session: aiohttp.ClientSession
    url: str = ""
    lines: list[str] = field(factory=list[str])
    _listens: asyncio.Event = field(factory=asyncio.Event)

    async def read_log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode().rstrip())
            _, found, url = self.lines[-1].partition("listening url=")
            if found:
                self.url = url.split()[0]
                self._listens.set()

    async def listening(self) -> None:
        await asyncio.wait_for(self._listens.wait(), 20)

    async def dispatch(self) -> tuple[int, Any]:
        """Return the answer to one action: the status and what it says."""
        action: dict[str, Any] = {
            "namespace": "shop",
            "tenant": "acme",
            "provider": "log",
            "action_type": "greet",
            "payload": {},
        }
        async with self.session.post(f"{self.url}/v1/dispatch", json=action) as answer:
            return answer.status, await answer.json()

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()

    def told(self, logger: str) -> list[str]:
        """Return what it has logged of its store since it listens, by that logger."""
        listens = next(n for n, line in enumerate(self.lines) if "listening url=" in line)
        return [line for line in self.lines[listens + 1 :] if logger in line]

    async def works_again(self) -> float:
        """Return after how many seconds a dispatch succeeds; they are tried one by one."""
        began = monotonic()
        while (await self.dispatch())[0] != 200:
            assert monotonic() - began < 4 * RECOVERY, "it never does"
        return monotonic() - began


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Iterator[tuple[str, Server]]:
    with STORES[request.param]() as server:
        yield request.param, server


@pytest.fixture
async def gateway(store: tuple[str, Server], tmp_path: Path) -> AsyncIterator[Gateway]:
    backend, server = store
    config = tmp_path / "acteon.toml"
    config.write_text(CONFIG.format(backend=backend, url=server.url, more=MORE.get(backend, "")))
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "-c", str(config), stdout=DEVNULL, stderr=PIPE, cwd=tmp_path
    )
    async with aiohttp.ClientSession() as session:
        gateway = Gateway(process, session)
        async with asyncio.TaskGroup() as group:
            group.create_task(gateway.read_log())
            try:
                await gateway.listening()
                yield gateway
            finally:
                await gateway.end()


OUTAGES: dict[str, tuple[Callable[[Server], None], Callable[[Server], None]]] = {
    "stopped": (Server.stop, Server.start),
    "killed": (Server.kill, Server.start),
    "frozen": (Server.freeze, Server.thaw),
}


@pytest.mark.parametrize("outage", OUTAGES)
async def test_an_outage_is_answered_told_and_over(
    store: tuple[str, Server], gateway: Gateway, outage: str
) -> None:
    _, server = store
    ends, begins_again = OUTAGES[outage]
    assert (await gateway.dispatch())[0] == 200

    await asyncio.to_thread(ends, server)
    began = monotonic()
    answers = await asyncio.gather(*(gateway.dispatch() for _ in range(20)))
    took = monotonic() - began
    assert {status for status, _ in answers} == {500}
    for _, answer in answers:
        assert answer["code"] in ("LOCK_FAILED", "STATE_ERROR")
        assert answer["retryable"] is True
    assert took < PATIENCE
    async with gateway.session.get(f"{gateway.url}/ready") as ready:
        assert ready.status == 503
    async with gateway.session.get(f"{gateway.url}/health") as health:
        assert health.status == 200

    await asyncio.to_thread(begins_again, server)
    assert await gateway.works_again() < RECOVERY
    assert gateway.process.returncode is None
    await told_twice(gateway, "acteon.state")


async def told_twice(gateway: Gateway, logger: str) -> None:
    """Check that one line told that the store went, and one that it is back, and no other."""
    await gateway.end()
    async with asyncio.timeout(5):
        while "stopped" not in gateway.lines[-1]:  # noqa: ASYNC110 - what is left to be read
            await asyncio.sleep(0.01)
    told = gateway.told(logger)
    assert [line.split()[1] for line in told] == ["WARN", "INFO"]
    assert [line for line in gateway.lines if " WARN " in line] == told[:1]
    assert not any("Traceback" in line or "ERROR" in line for line in gateway.lines)


def full(server: Server) -> None:
    redis.ask(server.port, "CONFIG", "SET", "maxmemory", "1000")


def not_full(server: Server) -> None:
    redis.ask(server.port, "CONFIG", "SET", "maxmemory", "0")


def replica(server: Server) -> None:
    redis.ask(server.port, "REPLICAOF", "127.0.0.1", "1")


def primary(server: Server) -> None:
    redis.ask(server.port, "REPLICAOF", "NO", "ONE")


def read_only(server: Server) -> None:
    _set(server, "default_transaction_read_only = on")


def writable(server: Server) -> None:
    _set(server, "default_transaction_read_only = off")


def _set(server: Server, setting: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER SYSTEM SET {setting}".encode())
        connection.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("store", "ends", "begins_again"),
    [
        ("redis", full, not_full),
        ("redis", replica, primary),
        ("postgres", read_only, writable),
    ],
    indirect=["store"],
)
async def test_a_store_that_takes_no_writes_is_answered_told_and_over(
    store: tuple[str, Server],
    gateway: Gateway,
    ends: Callable[[Server], None],
    begins_again: Callable[[Server], None],
) -> None:
    _, server = store
    assert (await gateway.dispatch())[0] == 200
    await asyncio.to_thread(ends, server)
    async with asyncio.timeout(RECOVERY):
        while (await gateway.dispatch())[0] == 200:
            pass
    for _ in range(3):
        status, answer = await gateway.dispatch()
        assert status == 500
        assert answer["retryable"] is True
        async with gateway.session.get(f"{gateway.url}/ready") as ready:
            assert ready.status == 503
    await asyncio.to_thread(begins_again, server)
    assert await gateway.works_again() < RECOVERY
    await told_twice(gateway, "acteon.gateway.outage")
