"""The program `acteon-server` as a child, with the configuration that lies beside this file."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import frozen

HERE = Path(__file__).resolve().parent
CONFIG = HERE / "acteon.toml"
RULES = HERE / "rules"

_OWN = " acteon.server.serve: "
_LISTENING = re.compile(re.escape(_OWN) + r"listening url=(\S+)")
_LONGEST_LINE = 2**20
_PATIENCE = 40
"""Seconds for an orderly end; the server gives its requests 30."""


class ServerEndedError(Exception):
    """The server ended by itself; its own lines have said why."""


@frozen(kw_only=True)
class Server:
    """A server that runs.

    Attributes:
        url: Where it is reached.
        tell: Called with each line of its log that is worth showing.
        process: It.
    """

    url: str
    tell: Callable[[str], None]
    process: Process

    async def watch(self) -> None:
        """Tell the log until the server ends by itself.

        Raises:
            ServerEndedError: It did.
        """
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            _pass_on(line.decode(), self.tell)
        raise ServerEndedError(f"the server ended with status {await self.process.wait()}")


@asynccontextmanager
async def running_server(
    port: int, *, receiver_url: str, tell: Callable[[str], None]
) -> AsyncGenerator[Server]:
    """Run the server while the block runs; then it ends in order.

    Args:
        port: 0 takes any free one.
        receiver_url: Where its providers deliver to.
        tell: Called with each line of its log that is worth showing.

    Raises:
        ServerEndedError: It could not start, and `tell` was told why.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "acteon.server", "--config", str(CONFIG)),
        *("--host", "127.0.0.1", "--port", str(port)),
        cwd=HERE,
        env=_environment(receiver_url),
        stdin=DEVNULL,
        stderr=PIPE,
        limit=_LONGEST_LINE,
        process_group=0,  # Ctrl-C is for this program, which then ends the server in order.
    )
    try:
        yield Server(url=await _url(process, tell), tell=tell, process=process)
    finally:
        await _end(process, tell)


def _environment(receiver_url: str) -> dict[str, str]:
    """Return the environment without what would configure another server than the one shown."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACTEON_")}
    level = os.environ.get("ACTEON_LOG") or "warn"
    # The line that names the URL is always needed.
    return {**kept, "RECEIVER_URL": receiver_url, "ACTEON_LOG": f"{level},acteon.server.serve=info"}


async def _url(process: Process, tell: Callable[[str], None]) -> str:
    assert process.stderr is not None
    async for line in process.stderr:
        found = _LISTENING.search(line.decode())
        if found:
            return found.group(1)
        _pass_on(line.decode(), tell)
    raise ServerEndedError(f"the server did not start: status {await process.wait()}")


def _pass_on(line: str, tell: Callable[[str], None]) -> None:
    if _OWN not in line:
        tell(line.rstrip("\n"))


async def _end(process: Process, tell: Callable[[str], None]) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_PATIENCE):
            _, rest = await process.communicate()
        for line in rest.decode().splitlines():
            _pass_on(line, tell)
    finally:
        if process.returncode is None:  # Too slow, or a second Ctrl-C.
            process.kill()
            await process.wait()
