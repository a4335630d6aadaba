"""Calling providers: attempts, their limits, and what is known in the end."""

import asyncio
import logging
from datetime import timedelta
from random import Random
from traceback import format_tb

import anyio
from attrs import define, field

from acteon.core import (
    SYSTEM_CLOCK,
    Action,
    Clock,
    Failed,
    ProviderResponse,
    ResponseStatus,
    Unfinished,
    run_eagerly,
)
from acteon.executor.execution import AttemptObserver, Certainty, Execution, Progress
from acteon.executor.letters import DeadLetter, DeadLetterSink
from acteon.executor.settings import ExecutorSettings
from acteon.provider import (
    ExecutionFailedError,
    ProviderError,
    ProviderTimeoutError,
    RegisteredProvider,
)

log = logging.getLogger(__name__)

PUSH_LIMIT = timedelta(seconds=5)
"""How long a sink may take to keep a letter: callers wait for it."""


@define(eq=False)
class Executor:
    """Calls providers until they answer, or until there is no point in another attempt.

    A failed attempt is repeated if its error is retryable and repeating cannot do harm: nothing
    was delivered, or the provider is idempotent. So an attempt of unknown end is the last one
    unless the provider is idempotent; if it is, and a later attempt fails for certain, the end
    remains unknown, as the earlier one may have delivered after all. A success settles it: it
    stands for the one delivery that all attempts of an idempotent provider are together.

    A receiver's `Retry-After` lengthens a pause; one that asks for more than the longest pause
    ends the attempts.

    Whoever cancels `execute` gets a `CancelledError`, whatever the provider makes of it; a
    cancellation or time-out that the provider brought about by itself is a failure of it.

    Attributes:
        settings: How often, how long and how many at once.
        dead_letters: Where actions go whose delivery was given up although another try might
            succeed, or whose end is unknown and that must not simply be sent again.
        observer: Is told of every attempt.
        clock: Measures attempts, waits between them, dates letters.
        random: Spreads the pauses.
    """

    settings: ExecutorSettings = field(factory=ExecutorSettings)
    dead_letters: DeadLetterSink | None = field(default=None, kw_only=True)
    observer: AttemptObserver | None = field(default=None, kw_only=True)
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True)
    random: Random = field(factory=Random, kw_only=True)
    in_flight: int = field(default=0, init=False)
    """How many attempts are under way."""
    _permits: anyio.Semaphore = field(init=False)
    _seconds: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._permits = anyio.Semaphore(self.settings.max_concurrent)
        self._seconds = self.settings.timeout.total_seconds()

    async def execute(
        self, provider: RegisteredProvider, action: Action, progress: Progress | None = None
    ) -> Execution:
        """Return what came of handing `action` to `provider`; raises nothing but cancellation.

        Args:
            provider: Who delivers.
            action: What is delivered.
            progress: Is kept up to date while this runs, and may end the attempts.
        """
        progress = Progress() if progress is None else progress
        permits = self._permits
        while True:
            try:
                permits.acquire_nowait()
            except anyio.WouldBlock:
                await permits.acquire()
            try:
                result = await self._attempt(provider, action, progress)
            finally:
                permits.release()
            attempt = progress.attempts
            if isinstance(result, ProviderResponse):
                return Execution(result, _certainty(result, progress.doubtful), attempt)
            pause = self._pause_after(attempt, provider, result)
            if pause is None:
                return await self._given_up(provider, action, result, progress)
            log.warning(
                "provider failed, will retry",
                extra={
                    "acteon.provider": provider.name,
                    "acteon.attempt": attempt,
                    "acteon.code": result.code,
                    "acteon.pause": pause.total_seconds(),
                },
            )
            await self.clock.sleep(pause)
            if progress.give_up():
                return await self._given_up(provider, action, result, progress)

    async def _attempt(
        self, provider: RegisteredProvider, action: Action, progress: Progress
    ) -> ProviderResponse | ProviderError:
        """Make one call, in time; give what it answered or how it failed."""
        progress.attempts += 1
        progress.calling = True
        self.in_flight += 1
        started = self.clock.monotonic()
        observed = "cancelled"
        try:
            result = self._begun(provider, action)
            if isinstance(result, Unfinished):
                spent = self.clock.monotonic() - started
                result = await self._in_time(provider, result, self._seconds - spent)
            observed = (
                result.status.value if isinstance(result, ProviderResponse) else result.code.lower()
            )
        finally:
            self.in_flight -= 1
            if self.observer is not None:
                seconds = self.clock.monotonic() - started
                self.observer.attempted(provider.name, observed, seconds)
        # Cancelled, it stays a call under way: nobody will know how it ended.
        progress.calling = False
        if isinstance(result, ProviderError) and result.delivery == "unknown":
            progress.doubtful = True
        return result

    def _begun(
        self, provider: RegisteredProvider, action: Action
    ) -> ProviderResponse | ProviderError | Unfinished[ProviderResponse]:
        """Begin a call; give its end if it has come to it without waiting for anything."""
        try:
            result = run_eagerly(provider.provider.execute(action))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - somebody else's provider may raise anything
            return self._failed(provider, error)
        return result if isinstance(result, Unfinished) else _checked(result)

    async def _in_time(
        self, provider: RegisteredProvider, call: Unfinished[ProviderResponse], seconds: float
    ) -> ProviderResponse | ProviderError:
        """Wait for the end of a call, for `seconds` at the most."""
        task = asyncio.current_task()
        assert task is not None
        cancellations = task.cancelling()
        scope = asyncio.timeout(seconds)
        result: ProviderResponse | ProviderError
        try:
            async with scope:
                result = await call
        except asyncio.CancelledError as error:
            if task.cancelling() > cancellations:
                raise
            result = self._failed(provider, error)
        except Exception as error:  # noqa: BLE001 - as above
            result = self._failed(provider, error, expired=scope.expired())
        if task.cancelling() > cancellations:
            # The provider turned the caller's cancellation into something of its own.
            raise asyncio.CancelledError
        if not isinstance(result, ProviderError):
            return _checked(result)
        if scope.expired():
            # However the provider took its being cancelled, the time was over.
            return ProviderTimeoutError(self.settings.timeout)
        return result

    def _failed(
        self, provider: RegisteredProvider, error: BaseException, *, expired: bool = False
    ) -> ProviderError:
        """Return the provider's error that `error` stands for."""
        if isinstance(error, ProviderError):
            # Its traceback leads to a frame that holds it: a cycle for the collector.
            return error.with_traceback(None)
        if isinstance(error, asyncio.CancelledError):
            # Not for us: the provider awaited something that was cancelled elsewhere.
            return ExecutionFailedError("cancelled from within", delivery="unknown")
        if not expired:
            # Where, but not its text: that may quote the payload, and logs hold no secrets.
            log.error(
                "provider raised what is no ProviderError",
                extra={
                    "acteon.provider": provider.name,
                    "acteon.error": type(error).__name__,
                    "acteon.traceback": "".join(format_tb(error.__traceback__)),
                },
            )
        text = f"{type(error).__name__}: {error}".removesuffix(": ")
        return ExecutionFailedError(text, delivery="unknown")

    def _pause_after(
        self, attempt: int, provider: RegisteredProvider, error: ProviderError
    ) -> timedelta | None:
        """Return how long to wait for the next attempt; None if there is none."""
        if attempt > self.settings.max_retries or not _repeatable(provider, error):
            return None
        backoff = self.settings.backoff
        pause = backoff.delay_after(attempt, self.random)
        if error.retry_after is None:
            return pause
        return None if error.retry_after > backoff.max_delay else max(pause, error.retry_after)

    async def _given_up(
        self,
        provider: RegisteredProvider,
        action: Action,
        error: ProviderError,
        progress: Progress,
    ) -> Execution:
        attempts, doubtful = progress.attempts, progress.doubtful
        failed = Failed(
            code=error.code,
            message=str(error),
            retryable=_repeatable(provider, error),
            attempts=attempts,
        )
        certainty = Certainty.UNKNOWN if doubtful else Certainty.NOT_DELIVERED
        log.warning(
            "provider failed, given up",
            extra={
                "acteon.provider": provider.name,
                "acteon.attempts": attempts,
                "acteon.code": error.code,
                "acteon.certainty": certainty.value,
            },
        )
        if error.retryable or (doubtful and not provider.idempotent):
            await self._bury(action, failed)
        return Execution(failed, certainty, attempts)

    async def _bury(self, action: Action, failed: Failed) -> None:
        if self.dead_letters is None:
            return
        letter = DeadLetter(
            action=action,
            error=failed.message,
            code=failed.code,
            attempts=failed.attempts,
            timestamp=self.clock.now(),
        )
        try:
            async with asyncio.timeout(PUSH_LIMIT.total_seconds()):
                await self.dead_letters.push(letter)
        except Exception as error:
            # What became of the action is known already, and stays.
            log.error(
                "dead letter lost",
                exc_info=error,
                extra={"acteon.action_id": action.id, "acteon.code": failed.code},
            )


def _repeatable(provider: RegisteredProvider, error: ProviderError) -> bool:
    return error.retryable and (error.delivery == "none" or provider.idempotent)


def _certainty(response: ProviderResponse, doubtful: bool) -> Certainty:
    if response.status is not ResponseStatus.FAILURE:
        return Certainty.DELIVERED
    return Certainty.UNKNOWN if doubtful else Certainty.NOT_DELIVERED


def _checked(result: object) -> ProviderResponse | ProviderError:
    if not isinstance(result, ProviderResponse):
        found = f"no ProviderResponse but {type(result).__name__}"
    elif not _is_status(result.status):
        found = f"a ProviderResponse whose status is {result.status!r}"
    else:
        return result
    return ExecutionFailedError(f"the provider returned {found}", delivery="unknown")


def _is_status(status: object) -> bool:
    return isinstance(status, ResponseStatus)
