"""Delivering actions: attempts, fallbacks, groups, and what is known in the end."""

import asyncio
import logging
from collections.abc import Coroutine
from datetime import timedelta
from random import Random
from typing import Any, Final

from attrs import define, evolve, field

from acteon.core import (
    SYSTEM_CLOCK,
    Action,
    Clock,
    Failed,
    ProviderResponse,
    Unfinished,
)
from acteon.executor.calling import begun, in_time
from acteon.executor.circuit import CLOSED, is_failure
from acteon.executor.errors import CircuitOpenError, ProviderBusyError
from acteon.executor.execution import AttemptObserver, Certainty, Execution, Progress
from acteon.executor.letters import DeadLetter, DeadLetterSink
from acteon.executor.line import FAILURE, Line
from acteon.executor.settings import ExecutorSettings
from acteon.provider import (
    CircuitBreaker,
    GroupProvider,
    MemberEnd,
    ProviderError,
    ProviderNotFoundError,
    ProviderRegistry,
    ProviderSerializationError,
    RateLimitedError,
    RegisteredProvider,
    shaped,
)

log = logging.getLogger(__name__)

DELIVERED: Final = Certainty.DELIVERED
NOBODY: Final[frozenset[str]] = frozenset()

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

    Each provider has a line of its own: whatever one of them does, calls of the others do not
    wait for it. While its circuit is open its fallback delivers, if it has one, unless the action
    may have been delivered already. The members of a group are called at the same time, each by
    these same rules.

    Attributes:
        settings: How often, how long and how many at once, where a provider does not say.
        providers: Where the members of groups and fallbacks are found, and what has come into the
            place of a provider between two attempts.
        dead_letters: Where actions go whose delivery was given up although another try might
            succeed, or whose end is unknown and that must not simply be sent again.
        observer: Is told of every attempt.
        clock: Measures attempts, waits between them, dates letters.
        random: Spreads the pauses.
    """

    settings: ExecutorSettings = field(factory=ExecutorSettings)
    providers: ProviderRegistry = field(factory=ProviderRegistry, kw_only=True)
    dead_letters: DeadLetterSink | None = field(default=None, kw_only=True)
    observer: AttemptObserver | None = field(default=None, kw_only=True)
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True)
    random: Random = field(factory=Random, kw_only=True)
    _lines: dict[str, tuple[RegisteredProvider, Line]] = field(
        factory=dict[str, tuple[RegisteredProvider, Line]], init=False
    )

    @property
    def in_flight(self) -> int:
        """How many attempts are under way."""
        return sum(line.in_flight for _, line in self._lines.values())

    def line(self, provider: RegisteredProvider) -> Line:
        """Return the line before `provider`."""
        found = self._lines.get(provider.name)
        if found is not None and found[0] is provider:
            return found[1]
        if found is not None and _called_alike(found[0], provider):
            line = found[1]
        else:
            old = None if found is None else found[1]
            line = Line.before(provider, self.settings, self.clock, old)
        self._lines[provider.name] = provider, line
        return line

    def would_call(self, provider: RegisteredProvider) -> RegisteredProvider | None:
        """Return who would get an action for `provider` now; None if nobody would."""
        asked: set[str] = set()
        found: RegisteredProvider | None = provider
        while found is not None and not isinstance(found.provider, GroupProvider):
            if self.line(found).circuit.closed_for(self.clock.monotonic()) is None:
                return found
            asked.add(found.name)
            breaker = found.circuit_breaker
            name = None if breaker is None else breaker.fallback
            found = None if name is None or name in asked else self.providers.get(name)
        return found

    def execute(
        self, provider: RegisteredProvider, action: Action, progress: Progress | None = None
    ) -> Coroutine[Any, Any, Execution]:
        """Return, when awaited, what came of handing `action` to `provider`.

        It raises nothing but cancellation.

        Args:
            provider: Who delivers.
            action: What is delivered.
            progress: Is kept up to date while this runs, and may end the attempts.
        """
        progress = Progress() if progress is None else progress
        if isinstance(provider.provider, GroupProvider):
            return self._together(provider, provider.provider, action, progress)
        return self._delivered(provider, action, progress, NOBODY, None)

    async def _delivered(
        self,
        provider: RegisteredProvider,
        action: Action,
        progress: Progress,
        asked: frozenset[str],
        max_retries: int | None,
    ) -> Execution:
        """Make attempts; go on with the fallback if there is need for it.

        Args:
            provider: Who delivers.
            action: What is delivered.
            progress: Is kept up to date.
            asked: Those whose fallback `provider` is.
            max_retries: Attempts after the first one; None: as the provider's limits say.
        """
        outcome = await self._attempts(provider, action, progress, max_retries)
        if isinstance(outcome, ProviderResponse):
            certainty = _certainty(outcome, progress.doubtful)
            return Execution(outcome, certainty, progress.attempts, provider=provider.name)
        # It may have been exchanged meanwhile: its line is that of the new one.
        provider = self.providers.current(provider)
        other = self._fallback(provider, outcome, progress, asked)
        if other is None:
            return await self._given_up(provider, action, outcome, progress)
        fallback, breaker = other
        why = str(outcome)
        log.debug(  # That the circuit opened was told: once, not with every action.
            "the fallback delivers in place of a provider whose circuit is open",
            extra={
                "acteon.provider": provider.name,
                "acteon.fallback": fallback.name,
                "acteon.code": outcome.code,
            },
        )
        try:
            action = shaped(action, breaker.shape)
        except ProviderSerializationError as error:
            execution = await self._given_up(fallback, action, error, progress)
        else:
            execution = await self._delivered(
                fallback, action, progress, asked | {provider.name}, None
            )
        return evolve(execution, fallback=why)

    async def _attempts(
        self,
        provider: RegisteredProvider,
        action: Action,
        progress: Progress,
        max_retries: int | None,
    ) -> ProviderResponse | ProviderError:
        """Call `provider` as often as it takes; give its answer, or how the last call failed."""
        before = progress.attempts
        failed: ProviderError | None = None
        while True:
            provider = self.providers.current(provider)
            line = self.line(provider)
            try:
                entered = line.try_enter()
                if entered is None:
                    entered = await line.enter()
                    # Meanwhile it may have been exchanged, and be about to be closed.
                    provider = self.providers.current(provider)
                if provider.uses.ended:
                    line.leave(entered, 0.0, None)
                    return failed or ProviderNotFoundError(provider.name)
            except (CircuitOpenError, ProviderBusyError, RateLimitedError) as refused:
                return refused.with_traceback(None) if failed is None else failed
            result = await self._attempt(provider, line, entered, action, progress)
            if isinstance(result, ProviderResponse):
                return result
            failed = result
            attempt = progress.attempts - before
            retries = line.max_retries if max_retries is None else max_retries
            pause = self._pause_after(attempt, retries, provider, result)
            if pause is None or line.circuit.state is not CLOSED:
                return result
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
                return result

    async def _attempt(
        self,
        provider: RegisteredProvider,
        line: Line,
        entered: int,
        action: Action,
        progress: Progress,
    ) -> ProviderResponse | ProviderError:
        """Make one call, in time; give what it answered or how it failed."""
        progress.attempts += 1
        progress.calling = True
        progress.called = provider.name
        provider.uses.begin()
        started = self.clock.monotonic()
        ended: ProviderResponse | ProviderError | None = None
        try:
            result = begun(provider, action)
            if isinstance(result, Unfinished):
                left = line.seconds - (self.clock.monotonic() - started)
                result = await in_time(provider, result, line.timeout, left)
            ended = result
        finally:
            seconds = self.clock.monotonic() - started
            provider.uses.end()
            line.leave(entered, seconds, ended)
            if self.observer is not None:
                self.observer.attempted(provider.name, _told(ended), seconds)
        # Cancelled, it stays a call under way: nobody will know how it ended.
        progress.calling = False
        if isinstance(result, ProviderError) and result.delivery == "unknown":
            progress.doubtful = True
        return result

    def _pause_after(
        self, attempt: int, retries: int, provider: RegisteredProvider, error: ProviderError
    ) -> timedelta | None:
        """Return how long to wait for the next attempt; None if there is none."""
        if attempt > retries or not _repeatable(provider, error):
            return None
        backoff = self.settings.backoff
        pause = backoff.delay_after(attempt, self.random)
        if error.retry_after is None:
            return pause
        return None if error.retry_after > backoff.max_delay else max(pause, error.retry_after)

    def _fallback(
        self,
        provider: RegisteredProvider,
        error: ProviderError,
        progress: Progress,
        asked: frozenset[str],
    ) -> tuple[RegisteredProvider, CircuitBreaker] | None:
        """Return who delivers in the place of `provider`, if somebody does."""
        breaker = provider.circuit_breaker
        if breaker is None or breaker.fallback is None:
            return None
        if breaker.fallback in {provider.name, *asked}:
            return None
        if progress.in_doubt or not is_failure(error):
            return None
        if self.line(provider).circuit.state is CLOSED:
            return None
        fallback = self.providers.get(breaker.fallback)
        return None if fallback is None else (fallback, breaker)

    async def _together(
        self,
        provider: RegisteredProvider,
        group: GroupProvider,
        action: Action,
        progress: Progress,
    ) -> Execution:
        """Call the members of a group at the same time, but those that are settled."""
        wanted = [name for name in group.members if name not in progress.settled]
        progress.members = {name: Progress(give_up=progress.give_up) for name in wanted}
        async with asyncio.TaskGroup() as tasks:
            for name in wanted:
                tasks.create_task(self._member(group, name, action, progress))
        known = {end.member: end for end in progress.known}
        ends = tuple(known[name] for name in group.members)
        progress.attempts = sum(part.attempts for part in progress.members.values())
        result = group.judge(ends, progress.attempts)
        if isinstance(result, ProviderResponse):
            certainty = Certainty.DELIVERED
        elif any(end.doubtful for end in ends):
            certainty = Certainty.UNKNOWN
        else:
            certainty = Certainty.NOT_DELIVERED
        return Execution(result, certainty, progress.attempts, provider=provider.name, members=ends)

    async def _member(
        self, group: GroupProvider, name: str, action: Action, progress: Progress
    ) -> None:
        """Call one member of a group, and put what came of it into `progress`."""
        member = group.member(name)
        if member is None:
            progress.ended(MemberEnd.missing(name))
            return
        part = progress.members[name]
        try:
            wanted = group.shaped(name, action)
        except ProviderSerializationError as error:
            execution = await self._given_up(member, action, error, part)
        else:
            retries = group.config.max_retries.get(name)
            execution = await self._delivered(member, wanted, part, NOBODY, retries)
        progress.ended(
            MemberEnd(
                name,
                execution.result,
                attempts=execution.attempts,
                doubtful=execution.certainty is Certainty.UNKNOWN,
                by=execution.provider,
            )
        )

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
        log.log(
            # That the circuit opened was told: once, not with every action.
            logging.DEBUG if isinstance(error, CircuitOpenError) else logging.WARNING,
            "provider failed, given up",
            extra={
                "acteon.provider": provider.name,
                "acteon.attempts": attempts,
                "acteon.code": error.code,
                "acteon.certainty": certainty.value,
            },
        )
        if error.retryable or (doubtful and not provider.idempotent):
            await self._bury(provider, action, failed)
        return Execution(failed, certainty, attempts, provider=provider.name)

    async def _bury(self, provider: RegisteredProvider, action: Action, failed: Failed) -> None:
        if self.dead_letters is None:
            return
        letter = DeadLetter(
            action=action,
            error=failed.message,
            code=failed.code,
            attempts=failed.attempts,
            timestamp=self.clock.now(),
            target=provider.name,
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


def _called_alike(one: RegisteredProvider, other: RegisteredProvider) -> bool:
    return (one.limits, one.circuit_breaker) == (other.limits, other.circuit_breaker)


def _repeatable(provider: RegisteredProvider, error: ProviderError) -> bool:
    return error.retryable and (error.delivery == "none" or provider.idempotent)


def _certainty(response: ProviderResponse, doubtful: bool) -> Certainty:
    if response.status is not FAILURE:
        return DELIVERED
    return Certainty.UNKNOWN if doubtful else Certainty.NOT_DELIVERED


def _told(result: ProviderResponse | ProviderError | None) -> str:
    """Return what observers are told of a call."""
    if result is None:
        return "cancelled"
    return result.code.lower() if isinstance(result, ProviderError) else result.status.value
