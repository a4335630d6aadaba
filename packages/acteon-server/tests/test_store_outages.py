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
import pytest
from attrs import define, field

from servers import postgres, redis
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

[[providers]]
name = "log"
type = "log"
"""
STORES: dict[str, Callable[[], AbstractContextManager[Server]]] = {
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

    def told(self) -> list[str]:
        """Return what it has logged of its store since it listens."""
        listens = next(n for n, line in enumerate(self.lines) if "listening url=" in line)
        return [line for line in self.lines[listens + 1 :] if "acteon.state" in line]

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
    config.write_text(CONFIG.format(backend=backend, url=server.url))
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
    await gateway.end()
    async with asyncio.timeout(5):
        while "stopped" not in gateway.lines[-1]:  # noqa: ASYNC110 - what is left to be read
            await asyncio.sleep(0.01)
    assert [line.split()[1] for line in gateway.told()] == ["WARN", "INFO"]
    assert [line for line in gateway.lines if " WARN " in line] == gateway.told()[:1]
    assert not any("Traceback" in line or "ERROR" in line for line in gateway.lines)
