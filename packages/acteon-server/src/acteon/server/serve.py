"""The server as a process: from a configuration to an open gateway that is served, and its end."""

import asyncio
import logging
import signal
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from importlib.util import find_spec
from typing import Final

from acteon.server.config import Asgi, Config
from acteon.server.http import create_app
from acteon.server.http.listening import listening
from acteon.server.http.running import Shutdown, chosen_server, run_app
from acteon.server.opening import open_gateway

log = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def run(config: Config) -> None:
    """Serve what `config` describes, as `serve` does, on the fastest event loop that there is.

    Raises:
        ConfigError: Something cannot be opened, or the port is taken.
    """
    with asyncio.Runner(loop_factory=_loop_factory(config)) as runner:
        runner.run(serve(config))


async def serve(config: Config) -> None:
    """Serve what `config` describes until SIGINT or SIGTERM.

    Then no connection is accepted any more, requests under way end, and the audit trail is
    written, all within `shutdown_timeout_seconds`. A second signal ends the process at once.

    Raises:
        ConfigError: Something cannot be opened, or the port is taken.
    """
    server = config.server
    shutdown = Shutdown(server.shutdown_timeout)
    with _ordered_by_signals(shutdown), listening(server.host, server.port) as sockets:
        stack = AsyncExitStack()
        try:
            gateway = await open_gateway(stack, config)
            await run_app(
                create_app(gateway, server),
                sockets,
                asgi=server.asgi,
                shutdown=shutdown,
                read_timeout=server.read_timeout,
                on_started=_announce,
            )
        finally:
            await _close(stack, shutdown)
    log.info("stopped")


async def _close(stack: AsyncExitStack, shutdown: Shutdown) -> None:
    try:
        async with asyncio.timeout(shutdown.left):
            await stack.aclose()
    except TimeoutError:
        log.warning("not everything was written at shutdown: audit records may be lost")


def _announce(url: str) -> None:
    log.info("listening", extra={"acteon.url": url})


@contextmanager
def _ordered_by_signals(shutdown: Shutdown) -> Generator[None]:
    """Let the first signal order `shutdown`, and another one end the process."""
    loop = asyncio.get_running_loop()

    def take(_number: int, _frame: object) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        loop.call_soon_threadsafe(shutdown.order)

    before = {number: signal.signal(number, take) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _loop_factory(config: Config) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if chosen_server(config.server.asgi) is not Asgi.UVICORN or not find_spec("uvloop"):
        return None
    import uvloop

    return uvloop.new_event_loop
