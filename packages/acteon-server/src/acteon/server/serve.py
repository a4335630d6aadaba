"""The server as a process: from a configuration to an open gateway that is served, and its end."""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from attrs import define

from acteon.core import Tasks
from acteon.gateway import Gateway
from acteon.provider import ProviderRegistry
from acteon.server.auth.authenticator import Authenticator
from acteon.server.auth.book import AccountBook
from acteon.server.auth.sessions import Sessions
from acteon.server.auth.signin import SignIn
from acteon.server.config import Asgi, Config
from acteon.server.http import HttpApp, create_app
from acteon.server.http.identity import anonymous
from acteon.server.http.limiting import RequestLimits
from acteon.server.http.listening import listening
from acteon.server.http.running import Shutdown, chosen_server, run_app
from acteon.server.opening import open_book, open_gateway_over
from acteon.server.providing import NO_PROVIDERS, ConfiguredProviders
from acteon.server.ratelimit import Limits, configured_limits
from acteon.server.tls import certified

log = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


GARBAGE: Final = 2_000
"""How many objects more than were freed are made between two rounds of the garbage collector."""

GRACE: Final = 0.1
"""Seconds that whatever is closed after the end of `shutdown_timeout_seconds` has for it."""


def run(
    config: Config,
    *,
    providers: ProviderRegistry = NO_PROVIDERS,
    load: Callable[[], Config] | None = None,
) -> None:
    """Serve what `config` describes, as `serve` does, on the fastest event loop that there is.

    Args:
        config: It.
        providers: More providers than it names.
        load: Reads the configuration again, when its providers are to be exchanged.

    Raises:
        ConfigError: Something cannot be opened, or the port is taken.
    """
    _spare_collector()
    with asyncio.Runner(loop_factory=_loop_factory(config)) as runner:
        runner.run(serve(config, providers=providers, load=load))


async def serve(
    config: Config,
    *,
    providers: ProviderRegistry = NO_PROVIDERS,
    load: Callable[[], Config] | None = None,
) -> None:
    """Serve what `config` describes until SIGINT or SIGTERM.

    Then no connection is accepted any more, requests under way end, and the audit trail is
    written, all within `shutdown_timeout_seconds`. A second signal ends the process at once.

    Args:
        config: It.
        providers: More providers than it names, which the caller has opened and will close.
        load: Reads the configuration again, when its providers are to be exchanged.

    Raises:
        ConfigError: Something cannot be opened, or the port is taken.
    """
    server = config.server
    shutdown = Shutdown(server.shutdown_timeout)
    with _ordered_by_signals(shutdown), listening(server.host, server.port) as sockets:
        stack = AsyncExitStack()
        try:
            directory = Path() if config.path is None else config.path.parent
            tls = await stack.enter_async_context(certified(server.tls, directory=directory))
            limits = configured_limits(config)
            book = await open_book(stack, config, os.environ)
            configured = ConfiguredProviders(config, providers, load)
            await stack.enter_async_context(configured)
            gateway = await open_gateway_over(stack, config, configured.registry)
            tasks = await stack.enter_async_context(Tasks())
            if server.watch_providers:
                tasks.start(configured.follow_files_forever(), endless=True)
            stack.enter_context(_reloaded_by_signal(configured, tasks))
            await run_app(
                _app(gateway, config, limits, book, configured),
                sockets,
                asgi=server.asgi,
                shutdown=shutdown,
                read_timeout=server.read_timeout,
                on_started=_announce,
                tls=tls,
            )
        finally:
            await close(stack, shutdown)
    log.info("stopped")


def _app(
    gateway: Gateway,
    config: Config,
    limits: Limits | None,
    book: AccountBook | None,
    configured: ConfiguredProviders,
) -> HttpApp:
    store = gateway.state.store
    limiting = None if limits is None else RequestLimits.of(config.rate_limit, limits, store)
    return create_app(
        gateway,
        config.server,
        authenticate=anonymous if book is None else Authenticator(book, Sessions(store)),
        limit=None if limiting is None else limiting.request,
        limit_actions=None if limiting is None else limiting.actions,
        sign_in=None if book is None else SignIn.of(book, store),
        reload_providers=None if configured.load is None else configured.reload,
    )


def _spare_collector() -> None:
    """Keep the garbage collector from looking at the same things again and again.

    What has been imported by now stays for good, and what requests leave behind is nearly always
    freed without it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, *gc.get_threshold()[1:])


async def close(stack: AsyncExitStack, shutdown: Shutdown) -> None:
    """Close `stack` within the time that `shutdown` leaves.

    When that is over, what closes is cancelled, and after each further `GRACE` again: one
    cancellation is used up by the one closer that it meets, and those behind it may hang, too.
    """
    task = asyncio.current_task()
    assert task is not None
    with _cancelled_after(shutdown.left, task) as cancelling:
        # In this very task: what was entered here, such as a task group, must be left here.
        await stack.aclose()
    if cancelling.times:
        log.warning("not everything was written at shutdown: audit records may be lost")


@define(eq=False)
class _Cancelling:
    """Cancels a task again and again.

    Attributes:
        task: It.
        times: How many times it was cancelled.
        alarm: Is going to cancel it next.
    """

    task: "asyncio.Task[Any]"
    times: int = 0
    alarm: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Let the next cancellation come in `seconds`."""
        self.alarm = self.task.get_loop().call_later(seconds, self._strike)

    def stop(self) -> None:
        """Let no more come, and take back the count of those that came."""
        assert self.alarm is not None
        self.alarm.cancel()
        for _ in range(self.times):
            self.task.uncancel()

    def _strike(self) -> None:
        self.times += 1
        self.task.cancel()
        self.start(GRACE)


@contextmanager
def _cancelled_after(seconds: float, task: "asyncio.Task[Any]") -> Generator[_Cancelling]:
    """Cancel `task` after `seconds`, and every `GRACE` from then on, until the block ends."""
    before = task.cancelling()
    cancelling = _Cancelling(task)
    cancelling.start(max(seconds, GRACE))
    try:
        yield cancelling
    except asyncio.CancelledError:
        if not cancelling.times or task.cancelling() - cancelling.times > before:
            raise  # Somebody else wants it cancelled, too.
    finally:
        cancelling.stop()


@contextmanager
def _reloaded_by_signal(configured: ConfiguredProviders, tasks: Tasks) -> Generator[None]:
    """Let SIGHUP put the providers of the configuration in force, where there is such a signal."""
    hang_up: int | None = getattr(signal, "SIGHUP", None)
    if hang_up is None or configured.load is None:
        yield
        return
    loop = asyncio.get_running_loop()

    def take(_number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(lambda: tasks.start(configured.reload_or_log()))

    before = signal.signal(hang_up, take)
    try:
        yield
    finally:
        signal.signal(hang_up, before)


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
