"""Running an application on an ASGI server, until it is told to stop."""

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib.util import find_spec
from typing import Final, Protocol

from attrs import define, field
from starlette.types import ASGIApp, Receive, Scope, Send

from acteon.core import ConfigError
from acteon.server.config import Asgi
from acteon.server.http.heads import MAX_HEAD_BYTES, guarded
from acteon.server.http.listening import give_up_after, url_of

log = logging.getLogger(__name__)

BACKLOG: Final = 2048
KEEP_ALIVE: Final = timedelta(seconds=60)
"""How long a connection may be idle between two requests."""


class StoppableApp(Protocol):
    """An ASGI application whose requests can be cut off."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def cut_off(self) -> int:
        """Cancel all requests under way; return how many there were."""
        ...


@define(eq=False)
class Shutdown:
    """The order to stop, and the time that there is to follow it.

    Attributes:
        limit: The time from the order to the end of everything.
    """

    limit: timedelta
    _ordered: asyncio.Event = field(factory=asyncio.Event, init=False)
    _deadline: float = field(default=0.0, init=False)

    def order(self) -> None:
        """Give the order; another one changes nothing."""
        if not self._ordered.is_set():
            self._deadline = asyncio.get_running_loop().time() + self.limit.total_seconds()
            self._ordered.set()

    async def ordered(self) -> None:
        """Return when the order was given."""
        await self._ordered.wait()

    @property
    def is_ordered(self) -> bool:
        """Whether the order was given."""
        return self._ordered.is_set()

    @property
    def left(self) -> float:
        """Seconds until the end, at least 0; the whole limit as long as there is no order."""
        if not self._ordered.is_set():
            return self.limit.total_seconds()
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    @property
    def left_for_requests(self) -> float:
        """Seconds that requests have; the rest is for writing down what became of them."""
        whole = self.limit.total_seconds()
        return max(0.0, self.left - min(whole / 5, 2.0))


def chosen_server(asgi: Asgi) -> Asgi:
    """Return the server to use: uvicorn if it is there and nothing else is asked for.

    Raises:
        ConfigError: uvicorn is asked for and not installed, or not with httptools: it has no
            limits of ours with another parser.
    """
    fast = find_spec("uvicorn") and find_spec("httptools")
    if asgi is Asgi.AUTO:
        return Asgi.UVICORN if fast else Asgi.HYPERCORN
    if asgi is Asgi.UVICORN and not fast:
        raise ConfigError(
            '[server] asgi = "uvicorn" needs a package: pip install "acteon-server[fast]"'
        )
    return asgi


async def run_app(
    app: StoppableApp,
    sockets: Sequence[socket.socket],
    *,
    asgi: Asgi,
    shutdown: Shutdown,
    read_timeout: timedelta,
    on_started: Callable[[str], None],
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve `app` until `shutdown` is ordered and the requests under way have ended.

    Requests that have not ended in their share of the time are cut off.

    Args:
        app: What answers requests.
        sockets: Where to listen; they are closed at the end.
        asgi: Which server to use.
        shutdown: When to stop.
        read_timeout: How long the head of a request may take to arrive, and how long a client may
            take nothing of its answer.
        on_started: Called with the URL of the first socket, when it listens.
        tls: What connections are encrypted with; None: they are not.
    """
    serve = _serve_uvicorn if chosen_server(asgi) is Asgi.UVICORN else _serve_hypercorn
    for one in sockets:
        give_up_after(one, read_timeout)
        one.listen(BACKLOG)
    on_started(url_of(sockets[0], "http" if tls is None else "https"))
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve(app, sockets, shutdown, read_timeout, tls))
        serving.add_done_callback(lambda _: shutdown.order())
        await shutdown.ordered()
        log.info("stopping", extra={"acteon.limit_seconds": shutdown.limit.total_seconds()})
        await asyncio.wait({serving}, timeout=shutdown.left_for_requests)
        if not serving.done():
            log.warning(
                "requests were cut off at shutdown", extra={"acteon.requests": app.cut_off()}
            )
            # Half of what is left for clients that do not even take their answers.
            await asyncio.wait({serving}, timeout=shutdown.left / 2)
            serving.cancel()


async def _serve_uvicorn(
    app: ASGIApp,
    sockets: Sequence[socket.socket],
    shutdown: Shutdown,
    read_timeout: timedelta,
    tls: ssl.SSLContext | None,
) -> None:
    import uvicorn

    from acteon.server.http.fast import fast_protocol

    class Server(uvicorn.Server):
        async def on_tick(self, counter: int) -> bool:
            return await super().on_tick(counter) or shutdown.is_ordered

    _quiet("uvicorn")
    config = uvicorn.Config(
        app,
        http=fast_protocol(read_timeout),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=int(KEEP_ALIVE.total_seconds()),
    )
    config.load()
    config.ssl = tls
    # Not `serve`, which takes the signals for itself.
    await Server(config)._serve(list(sockets))  # pyright: ignore[reportPrivateUsage]


async def _serve_hypercorn(
    app: ASGIApp,
    sockets: Sequence[socket.socket],
    shutdown: Shutdown,
    read_timeout: timedelta,
    tls: ssl.SSLContext | None,
) -> None:
    from hypercorn.config import Config

    from acteon.server.http.connections import serve_connections

    _quiet("hypercorn")
    config = Config()
    config.errorlog = logging.getLogger("hypercorn.error")
    config.backlog = BACKLOG
    config.include_server_header = False
    # It counts the time for a head to arrive as idle, and knows but one limit for both.
    config.keep_alive_timeout = max(KEEP_ALIVE, read_timeout).total_seconds()
    config.keep_alive_max_requests = sys.maxsize
    # A bounded queue whose application has answered already would block the connection for ever.
    config.max_app_queue_size = 0
    config.h11_max_incomplete_size = MAX_HEAD_BYTES
    await serve_connections(
        guarded(app), config, sockets, shutdown.ordered, tls=tls, handshake=read_timeout
    )


def _quiet(name: str) -> None:
    """Let a server log its errors only, unless the operator asks for more."""
    logger = logging.getLogger(name)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.ERROR)
