"""A node that is an `acteon-server` of its own."""

import asyncio
import logging
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import Final

from attrs import define, field

from acteon.client import AsyncActeonClient
from acteon.simulation.errors import SimulationError
from acteon.simulation.nodes.remote import RemoteNode

log = logging.getLogger(__name__)

_LISTENING: Final = re.compile(r" acteon\.server\.serve: listening url=(\S+)")
_START: Final = timedelta(seconds=60)
_END: Final = timedelta(seconds=40)
"""The server itself gives its requests 30 s."""
_FLUSH: Final = timedelta(seconds=30)
_POLL: Final = timedelta(milliseconds=5)
_QUEUE: Final = re.compile(r"^acteon_audit_queue_records (\S+)$", re.MULTILINE)
_KEPT: Final = 50
_LONGEST_LINE: Final = 2**20


@define(eq=False)
class ProcessNode(RemoteNode):
    """An `acteon-server` of its own on a free port of 127.0.0.1.

    Attributes:
        id: As with all nodes.
        config: The file with its configuration.
        url: Where it is reached, while it runs.
        pid: Its process, while it runs.
    """

    id: str
    config: Path
    url: str | None = field(default=None, init=False)
    pid: int | None = field(default=None, init=False)
    _process: Process | None = field(default=None, init=False)
    _log: "asyncio.Task[None] | None" = field(default=None, init=False)
    _lines: deque[str] = field(factory=lambda: deque(maxlen=_KEPT), init=False)
    _client: AsyncActeonClient | None = field(default=None, init=False)

    @property
    def log_lines(self) -> list[str]:
        """The last lines of the server's log."""
        return list(self._lines)

    async def start(self) -> None:
        self._lines.clear()
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "acteon.server", "--config", str(self.config)),
            *("--host", "127.0.0.1", "--port", "0"),
            cwd=self.config.parent,
            env=_environment(),
            stdin=DEVNULL,
            stderr=PIPE,
            limit=_LONGEST_LINE,
            process_group=0,  # Ctrl-C is for the test, which then ends the server in order.
        )
        try:
            async with asyncio.timeout(_START.total_seconds()):
                self.url = await self._listening(process)
        except BaseException:
            await self._reap()
            raise
        self.pid = process.pid
        self._log = asyncio.create_task(self._read(process))
        self._client = AsyncActeonClient(self.url)

    async def stop(self) -> None:
        """End it in order.

        Raises:
            SimulationError: It does not end in time, and was killed.
        """
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_END.total_seconds()):
                await process.wait()
        except TimeoutError:
            raise SimulationError(f"{self.id} did not end within {_END.seconds} s") from None
        finally:
            await self._reap()

    async def kill(self) -> None:
        await self._reap()

    async def flush(self) -> None:
        """Return when the records of what has been answered are written.

        Raises:
            SimulationError: The audit store does not take them.
        """
        try:
            async with asyncio.timeout(_FLUSH.total_seconds()):
                while await self._queued():  # noqa: ASYNC110 - it is another process's
                    await asyncio.sleep(_POLL.total_seconds())
        except TimeoutError:
            raise SimulationError(
                f"{self.id}: the audit trail was not written within {_FLUSH.seconds} s"
            ) from None

    async def _queued(self) -> bool:
        found = _QUEUE.search(await self.client.prometheus())
        return found is not None and float(found.group(1)) > 0

    async def _reap(self) -> None:
        process, self._process = self._process, None
        self.url = self.pid = None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()
        if self._log is not None:
            await self._log
            self._log = None
        await self._close_client()

    async def _listening(self, process: Process) -> str:
        assert process.stderr is not None
        async for line in process.stderr:
            self._lines.append(line.decode(errors="replace").rstrip("\n"))
            found = _LISTENING.search(self._lines[-1])
            if found:
                return found.group(1)
        said = "\n".join(self._lines)
        raise SimulationError(f"{self.id} did not start (status {await process.wait()}):\n{said}")

    async def _read(self, process: Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self._lines.append(line.decode(errors="replace").rstrip("\n"))
            log.debug("%s: %s", self.id, self._lines[-1])


def _environment() -> dict[str, str]:
    """Return the environment without what would configure another server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACTEON_")}
    level = os.environ.get("ACTEON_LOG") or "warn"
    # The line that names the URL is always needed.
    return {**kept, "ACTEON_LOG": f"{level},acteon.server.serve=info"}
