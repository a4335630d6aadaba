"""The line before one provider: whose turn it is, and what came of the calls."""

import asyncio
import logging
from datetime import timedelta
from typing import Final

import anyio
from attrs import define, field

from acteon.core import Clock, ProviderResponse, ResponseStatus, duration_text
from acteon.executor.calls import Calls
from acteon.executor.circuit import CLOSED, Circuit, CircuitState, went_well
from acteon.executor.errors import CircuitOpenError, ProviderBusyError
from acteon.executor.pace import Pace
from acteon.executor.settings import ExecutorSettings
from acteon.provider import CallLimits, ProviderError, RateLimitedError, RegisteredProvider

log = logging.getLogger(__name__)

FAILURE: Final = ResponseStatus.FAILURE
REFUSED: Final = "FAILURE"
"""The code of a call whose answer says no."""


@define(eq=False)
class Line:
    """Keeps the calls of one provider within its limits, apart from those of all others.

    Attributes:
        provider: Its name.
        limits: How much it may be asked to do.
        max_concurrent: Calls at one time.
        timeout: The time for each.
        seconds: The same in seconds.
        max_retries: Attempts after the first one.
        clock: Measures waits.
        circuit: Whether calls are made at all.
        calls: What came of them.
        in_flight: Calls under way.
        waiting: Calls that wait for their turn.
    """

    provider: str
    limits: CallLimits
    max_concurrent: int
    timeout: timedelta
    max_retries: int
    clock: Clock
    circuit: Circuit = field(factory=Circuit, kw_only=True)
    calls: Calls = field(factory=Calls, kw_only=True)
    seconds: float = field(init=False)
    in_flight: int = field(default=0, init=False)
    waiting: int = field(default=0, init=False)
    _permits: anyio.Semaphore = field(init=False)
    _pace: Pace | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.seconds = self.timeout.total_seconds()
        self._permits = anyio.Semaphore(self.max_concurrent)
        rate = self.limits.max_per_second
        self._pace = None if rate is None else Pace(rate, self.limits.burst)

    @classmethod
    def before(
        cls,
        provider: RegisteredProvider,
        settings: ExecutorSettings,
        clock: Clock,
        old: "Line | None",
    ) -> "Line":
        """Return the line before `provider`.

        Args:
            provider: It.
            settings: What holds where it has no limits of its own.
            clock: Measures waits.
            old: The one before the provider that had its name. Its counts stay; its circuit
                does, too, unless that is to behave otherwise now. Opened by hand it stays open.
        """
        limits = provider.limits
        timeout, retries = limits.timeout, limits.max_retries
        circuit = Circuit(provider.circuit_breaker)
        if old is not None and old.circuit.settings == circuit.settings:
            circuit = old.circuit
        elif old is not None and old.circuit.forced:
            circuit.open_by_hand()
        return cls(
            provider.name,
            limits,
            limits.max_concurrent or settings.max_concurrent,
            settings.timeout if timeout is None else timeout,
            settings.max_retries if retries is None else retries,
            clock,
            circuit=circuit,
            calls=Calls() if old is None else old.calls,
        )

    def try_enter(self) -> int | None:
        """Return what names a call that begins at once, for `leave`; None if it has to wait."""
        circuit = self.circuit
        if self._pace is not None or circuit.state is not CLOSED:
            return None
        try:
            self._permits.acquire_nowait()
        except anyio.WouldBlock:
            return None
        self.in_flight += 1
        return circuit.round

    async def enter(self) -> int:
        """Wait for a call's turn; return what names it, for `leave`.

        Raises:
            CircuitOpenError: It may not be made.
            ProviderBusyError: Its turn did not come in time.
            RateLimitedError: Its turn would not come in time.
        """
        self._check_circuit()
        started = self.clock.monotonic()
        await self._permit()
        try:
            await self._paced(started)
            self._check_circuit()
            entered = self.circuit.enter(self.clock.monotonic())
            assert entered is not None
        except BaseException:
            self._permits.release()
            raise
        self.in_flight += 1
        return entered

    async def _permit(self) -> None:
        try:
            # Even who waits for nothing may have what is free.
            self._permits.acquire_nowait()
        except anyio.WouldBlock:
            await self._next_permit()

    async def _next_permit(self) -> None:
        self.waiting += 1
        try:
            async with asyncio.timeout(self.limits.max_wait.total_seconds()):
                await self._permits.acquire()
        except TimeoutError:
            raise ProviderBusyError(self.max_concurrent, self.limits.max_wait) from None
        finally:
            self.waiting -= 1

    async def _paced(self, started: float) -> None:
        if self._pace is None:
            return
        now = self.clock.monotonic()
        wait = self._pace.reserve(now, self.limits.max_wait.total_seconds() - (now - started))
        if wait > self.limits.max_wait.total_seconds() - (now - started):
            raise RateLimitedError(retry_after=timedelta(seconds=wait))
        if wait > 0:
            self.waiting += 1
            try:
                await self.clock.sleep(timedelta(seconds=wait))
            except asyncio.CancelledError:
                self._pace.give_back(now + wait)
                raise
            finally:
                self.waiting -= 1

    def _check_circuit(self) -> None:
        closed_for = self.circuit.closed_for(self.clock.monotonic())
        if closed_for is None:
            return
        if self.circuit.forced:
            raise CircuitOpenError("it was opened by hand")
        if not closed_for:
            raise CircuitOpenError("one call is being made, to see whether it is worth it")
        raise CircuitOpenError(
            f"{_calls(self.circuit.failures)} failed in a row; the next one is made in "
            f"{duration_text(timedelta(seconds=round(closed_for.total_seconds(), 1)))}",
            retry_after=closed_for,
        )

    def leave(
        self, entered: int, seconds: float, result: ProviderResponse | ProviderError | None
    ) -> None:
        """Take note of the end of a call, and let the next one in.

        Args:
            entered: What names it.
            seconds: How long it took.
            result: How it ended; None if nobody waited for that.
        """
        self.in_flight -= 1
        self._permits.release()
        circuit = self.circuit
        if result is None:
            circuit.leave(entered, None, 0.0)
            return
        code: str | None = None
        well: bool | None = True
        if isinstance(result, ProviderError):
            code, well = result.code, went_well(result)
        elif result.status is FAILURE:
            code = REFUSED
        self.calls.ended(seconds, code, None if code is None else self.clock.now())
        if well and not circuit.failures and circuit.state is CLOSED:
            return  # As it nearly always is: there is nothing to tell it.
        before = circuit.opened, circuit.state
        circuit.leave(entered, well, self.clock.monotonic())
        if before != (circuit.opened, circuit.state):
            self._tell()

    def _tell(self) -> None:
        values = {"acteon.provider": self.provider, "acteon.failures": self.circuit.failures}
        if self.circuit.state is CircuitState.OPEN:
            log.warning("circuit opened: the provider is left alone for now", extra=values)
        else:
            log.info("circuit closed: the provider is well again", extra=values)


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"
