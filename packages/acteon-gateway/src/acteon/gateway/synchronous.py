"""The gateway for code without an event loop: the same calls, from any thread.

The loop runs in a thread of its own, behind an AnyIO portal. A call costs the way there and back;
many threads that call at once share trips to the state store as concurrent tasks do.
"""

import asyncio
import atexit
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, ExitStack, suppress
from datetime import datetime
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar, TypeVarTuple, Unpack

from anyio import CancelScope
from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import define, field

from acteon.audit import AuditPage, AuditQuery, AuditRecord, AuditTrail, Erased, Scope
from acteon.core import NOBODY, Action, ActionOutcome, Caller, ConfigError
from acteon.executor import DeadLetter
from acteon.gateway.errors import GatewayError, NotOpenError
from acteon.gateway.explaining import Evaluation
from acteon.gateway.gateway import Gateway
from acteon.gateway.preview import Preview
from acteon.gateway.replaying import Replayed
from acteon.gateway.rulebook import Reloaded
from acteon.rules import Rule, StateValues

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@define(eq=False)
class Loop:
    """An event loop in a thread of its own, where calls of other threads run.

    Entering it starts the thread; leaving it ends what still runs there, and the thread.
    """

    _portal: BlockingPortal | None = field(default=None, init=False)
    _process: int = field(default=0, init=False)
    _stack: ExitStack = field(factory=ExitStack, init=False)

    def __enter__(self) -> Self:
        _refuse_in_a_loop()
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal("asyncio", name="acteon-gateway"))
            stack.callback(self._forget)
            self._portal, self._process = portal, os.getpid()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if os.getpid() == self._process:  # In a fork there is no thread to be ended.
            self._stack.__exit__(kind, error, traceback)

    def _forget(self) -> None:
        self._portal = None

    def enter(self, opening: AbstractAsyncContextManager[T]) -> T:
        """Enter `opening` in the loop; it is left before the loop ends."""
        assert self._portal is not None
        return self._stack.enter_context(self._portal.wrap_async_context_manager(opening))

    def call(self, function: Callable[[Unpack[Ts]], Awaitable[T]], *args: *Ts) -> T:
        """Return what `function` gives in the loop; a caller that is interrupted cancels it.

        Raises:
            NotOpenError: The loop does not run.
            RuntimeError: This would block an event loop, or the process was forked.
        """
        _refuse_in_a_loop()
        portal = self._portal
        if portal is None:
            raise NotOpenError
        if os.getpid() != self._process:
            raise RuntimeError(
                "this SyncGateway was opened in another process, before a fork: "
                "open one in each process"
            )
        call = _Call(lambda: function(*args))
        future: Future[T] | None = None
        try:
            try:
                future = portal.start_task_soon(call.run)
            except RuntimeError:  # It was left just now.
                raise NotOpenError from None
            return future.result()
        except BaseException:
            # Such as KeyboardInterrupt, which may come before there is a future to be cancelled.
            if future is None or not future.done():
                call.given_up = True
                with suppress(RuntimeError):  # The loop has ended meanwhile.
                    portal.start_task_soon(call.stop)
            raise


@define(eq=False)
class _Call(Generic[T]):
    """A call in the loop that its caller may give up, even before it has begun."""

    function: Callable[[], Awaitable[T]]
    given_up: bool = False
    _scope: CancelScope | None = field(default=None, init=False)

    async def run(self) -> T:
        with CancelScope() as self._scope:
            if self.given_up:
                self._scope.cancel()
            return await self.function()
        raise asyncio.CancelledError  # It was given up: nobody waits for this.

    async def stop(self) -> None:
        if self._scope is not None:
            self._scope.cancel()


def _refuse_in_a_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "a SyncGateway would block the event loop of this thread: "
        "use `async with Gateway.open(...)` and `await` here"
    )


def _blocking(
    opening: Callable[P, AbstractAsyncContextManager[Gateway]],
) -> "Callable[P, SyncGateway]":
    """Return `opening` for `with`, so that its parameters are written down but once."""

    @wraps(opening, assigned=("__name__", "__module__"))
    def open_one(*args: P.args, **kwargs: P.kwargs) -> "SyncGateway":
        """Return what opens a gateway as `Gateway.open` does, for `with`."""
        return SyncGateway(opening(*args, **kwargs))

    return open_one


@define(eq=False)
class SyncGateway:
    """A `Gateway` whose methods block until they are done; any number of threads may call them.

    ```python
    with SyncGateway.open(rules="rules/", providers=[send_email]) as gateway:
        outcome = gateway.dispatch(action)
    ```

    Leaving it waits for what is under way, as does the end of the program if it was not left.
    A call that is interrupted, as by Ctrl+C, is cancelled. Arguments, results and errors are
    those of `Gateway`.
    """

    _opening: AbstractAsyncContextManager[Gateway]
    _loop: Loop = field(factory=Loop, init=False)
    _gateway: Gateway | None = field(default=None, init=False)
    _stack: ExitStack = field(factory=ExitStack, init=False)

    open = staticmethod(_blocking(Gateway.open))

    def __enter__(self) -> Self:
        if self._gateway is not None:
            raise RuntimeError("this gateway is open already: call SyncGateway.open() for another")
        with ExitStack() as stack:
            stack.enter_context(self._loop)
            self._gateway = self._loop.enter(self._opening)
            stack.callback(self._forget)
            self._stack = stack.pop_all()
        atexit.register(self.close)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        atexit.unregister(self.close)
        self._stack.pop_all().__exit__(kind, error, traceback)

    def close(self) -> None:
        """Leave the gateway, for those who entered it without a `with` block; twice is fine."""
        self.__exit__(None, None, None)

    def _forget(self) -> None:
        self._gateway = None

    @property
    def _open(self) -> Gateway:
        gateway = self._gateway
        if gateway is None:
            raise NotOpenError
        return gateway

    def dispatch(self, action: Action, caller: Caller = NOBODY) -> ActionOutcome:
        """Return what became of `action`."""
        return self._loop.call(self._open.dispatch, action, caller)

    def dispatch_batch(
        self, actions: Sequence[Action], caller: Caller = NOBODY
    ) -> list[ActionOutcome | GatewayError]:
        """Dispatch `actions`; what became of them, or the errors in their place, in their order."""
        return self._loop.call(self._open.dispatch_batch, actions, caller)

    def preview(self, action: Action) -> Preview:
        """Return what would become of `action` if it were dispatched now; nothing is changed."""
        return self._loop.call(self._open.preview, action)

    def preview_batch(self, actions: Sequence[Action]) -> list[Preview | GatewayError]:
        """Preview each of `actions` by itself; results, or errors in their place, in order."""
        return self._loop.call(self._open.preview_batch, actions)

    def replay(
        self, records: Sequence[AuditRecord], caller: Caller = NOBODY, *, dry_run: bool = False
    ) -> tuple[Replayed, ...]:
        """Send past actions again, the oldest first; under new ids."""
        gateway = self._open

        async def send() -> tuple[Replayed, ...]:
            return await gateway.replay(records, caller, dry_run=dry_run)

        return self._loop.call(send)

    def explain(
        self,
        action: Action,
        *,
        now: datetime | None = None,
        state: StateValues | None = None,
        rules: Iterable[Rule] | None = None,
        environment: Mapping[str, str | None] | None = None,
    ) -> Evaluation:
        """Return what the rules decide about `action`, why, and what would become of it."""
        gateway = self._open

        async def ask() -> Evaluation:
            return await gateway.explain(
                action, now=now, state=state, rules=rules, environment=environment
            )

        return self._loop.call(ask)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force, in the order in which they are asked, as toggled."""
        return self._open.rules

    @property
    def rules_version(self) -> str:
        """What tells the rules in force from others: equal ones have the same everywhere."""
        return self._open.rules_version

    def reload_rules(self, directory: Path | None = None) -> Reloaded:
        """Read rule files again and put them in force, in place of all rules; or change nothing."""
        return self._loop.call(self._open.reload_rules, directory)

    def set_rule_enabled(self, name: str, *, enabled: bool) -> None:
        """Switch the first rule of that name, for all gateways that share the state store."""
        gateway = self._open

        async def switch() -> None:
            await gateway.set_rule_enabled(name, enabled=enabled)

        self._loop.call(switch)

    @property
    def trail(self) -> "SyncAuditTrail":
        """The audit trail: `gateway.trail.latest(action.id)`.

        Raises:
            ConfigError: There is none.
        """
        return SyncAuditTrail(self._loop, self._open.trail)

    def drain_dead_letters(self, limit: int | None = None) -> tuple[DeadLetter, ...]:
        """Take out and return the oldest dead letters, at most `limit`; None: all.

        Raises:
            ConfigError: None are kept.
        """
        letters = self._open.dead_letters
        if letters is None:
            raise ConfigError("this gateway was opened without `dead_letters`")
        return self._loop.call(letters.drain, limit)

    def check_ready(self) -> dict[str, str | None]:
        """Return what is wrong with each thing that dispatches need, or None for it."""
        return self._loop.call(self._open.check_ready)

    @property
    def counters(self) -> Mapping[str, int]:
        """The seven plain counters."""
        return self._open.counters

    @property
    def in_flight(self) -> int:
        """How many calls of `dispatch` and `dispatch_batch` are under way."""
        return self._open.in_flight


@define(eq=False)
class SyncAuditTrail:
    """What can be asked of an `AuditTrail`, in a thread without an event loop."""

    _loop: Loop
    _trail: AuditTrail

    def get(self, record_id: str) -> AuditRecord | None:
        """Return the record of that id, or None, what was recorded before included."""
        return self._loop.call(self._trail.get, record_id)

    def latest(
        self, action_id: str, *, scopes: tuple[Scope, ...] | None = None
    ) -> AuditRecord | None:
        """Return the newest record of that action that one of `scopes` covers (None: any)."""

        async def ask() -> AuditRecord | None:
            return await self._trail.latest(action_id, scopes=scopes)

        return self._loop.call(ask)

    def query(self, query: AuditQuery) -> AuditPage:
        """Return the records that `query` asks for, what was recorded before included."""
        return self._loop.call(self._trail.query, query)

    def erase(
        self,
        query: AuditQuery,
        *,
        path: str | None = None,
        value: Any = None,
        dry_run: bool = False,
        caller: Caller = NOBODY,
    ) -> Erased:
        """Remove the payloads of all records that fit, for good; what else they tell stays."""

        async def erase() -> Erased:
            return await self._trail.erase(
                query, path=path, value=value, dry_run=dry_run, caller=caller
            )

        return self._loop.call(erase)
