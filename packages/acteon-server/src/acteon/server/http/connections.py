"""How hypercorn serves HTTP here; imported only where it is used.

Its own loop over connections keeps those whose clients hung up between two requests for the whole
idle time, and logs a traceback where the kernel gave a client up. This one does neither.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from socket import socket
from ssl import SSLContext
from typing import Any, cast

from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Event, RawData, Updated
from hypercorn.utils import wrap_app  # pyright: ignore[reportUnknownVariableType]
from starlette.types import ASGIApp

log = logging.getLogger(__name__)


class _Connection(TCPServer):
    """One connection; it ends when its client hung up and nothing is under way."""

    _is_over = False
    _reading: asyncio.Task[None] | None = None

    async def _read_data(self) -> None:
        tasks: Any = cast(Any, self)._task_group._task_group  # It has no types.
        reading: asyncio.Task[None] = tasks.create_task(super()._read_data())
        self._reading = reading
        await asyncio.wait({reading})
        if not reading.cancelled():
            reading.result()
        self._is_over = True
        await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        # What was still under way has ended: nothing follows that could be waited for.
        if self._is_over and isinstance(event, Updated):
            return
        try:
            await super().protocol_send(event)
        finally:
            if isinstance(event, RawData) and self.writer.is_closing() and self._reading:
                # Nobody takes answers any more. A request that has arrived behind the one that
                # was answered would wait for its turn for ever.
                self._reading.cancel()


async def serve_connections(
    app: ASGIApp,
    config: Config,
    sockets: Sequence[socket],
    stopping: Callable[[], Awaitable[None]],
    *,
    tls: SSLContext | None,
    handshake: timedelta,
) -> None:
    """Serve `app` until `stopping` returns and the requests under way have ended.

    Args:
        app: What answers requests.
        config: How to speak HTTP; what it says of sockets and time limits of the end is not used.
        sockets: Where to listen, already listening; they are closed at the end.
        stopping: Returns when no more requests are to be taken.
        tls: What connections are encrypted with; None: they are not.
        handshake: How long the beginning of an encrypted one may take.
    """
    limit = None if tls is None else handshake.total_seconds()
    loop = asyncio.get_running_loop()
    context = WorkerContext(None)
    # Its types of ASGI messages are narrower than those of Starlette, the messages are the same.
    wrap: Any = wrap_app  # pyright: ignore[reportUnknownVariableType]
    wrapped = wrap(app, config.wsgi_max_body_size, "asgi")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            try:
                await _Connection(wrapped, loop, config, context, {}, reader, writer)
            except* OSError:
                pass  # The client is gone, or was given up by the kernel.
        except Exception:
            # The outermost frame of a connection.
            log.exception("a connection failed unexpectedly")

    async with asyncio.TaskGroup() as group:

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            group.create_task(connected(reader, writer))

        servers = [
            await asyncio.start_server(
                accepted, sock=one, backlog=config.backlog, ssl=tls, ssl_handshake_timeout=limit
            )
            for one in sockets
        ]
        try:
            await stopping()
        finally:
            for server in servers:
                server.close()
            await context.terminated.set()
