"""Trips to the state store, shared by the dispatches that run at the same time."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count
from types import TracebackType
from typing import Final, Self

from attrs import define, evolve

from acteon.core import SYSTEM_CLOCK, Clock
from acteon.state.dispatch import Began, Begin, DispatchState, LocalDispatchState, Settle
from acteon.state.errors import StateBackendError, StateConnectionError, StateError
from acteon.state.lanes import Lane, Order

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = timedelta(milliseconds=50)
LONGEST_PAUSE: Final = timedelta(seconds=2)


@define(eq=False)
class _Beginning:
    """A begin that has not been answered, or whose caller has not seen the answer."""

    wanted: Begin
    number: int
    answer: asyncio.Future[Began]
    before: Begin | None = None
    """What the token held before the answer came."""


@define(eq=False)
class _Settling:
    """A settle that has not been answered.

    Attributes:
        patience: When, on the monotonic clock, trying again ends.
        certain: Whether the token should hold what is settled: it has been admitted, and no
            earlier trip may have settled it.
        final: Whether the token holds nothing afterwards.
        pause: How long it waits after the next failure of its own.
        due: When, on the monotonic clock, it may be sent again.
        goes_first: Whether begins of its lock or claim wait for it.
    """

    wanted: Settle
    number: int
    patience: float
    certain: bool
    final: bool
    pause: timedelta = FIRST_PAUSE
    due: float = 0.0
    goes_first: bool = True


class Trips:
    """Begins and settles dispatches; those that come while a trip is under way share the next.

    What is begun and what is settled travel apart, each with one trip under way at a time. A
    group leaves as soon as the one before is back: nobody waits for a timer, and nobody for a
    full group. Where the state makes calls of its own for each element (`independent`), each
    begin leaves by itself instead: one that is slow keeps no other waiting. What names one lock
    or claim stays in its order. Where the state is in this
    process (`LocalDispatchState`), the calls go straight through.

    Enter it before use; leaving it gives up what has not been sent, so `flush` first. Every
    admitted begin is to be settled.

    Args:
        state: Where the trips go; it stays its owner's.
        clock: For the pauses before a failed trip is tried again.
        on_error: Called with every error of a settle: nobody awaits those.

    Attributes:
        stale: Settles that found their lease lost.
        failed: Settles that never reached the store.
    """

    def __init__(
        self,
        state: DispatchState,
        *,
        clock: Clock = SYSTEM_CLOCK,
        on_error: Callable[[StateError], None] | None = None,
    ) -> None:
        self.stale = 0
        self.failed = 0
        self._state = state
        self._local = state if isinstance(state, LocalDispatchState) else None
        self._clock = clock
        self._on_error = on_error
        self._numbers = count()
        self._begins: Lane[_Beginning] = Lane(state.max_batch)
        self._settles: Lane[_Settling] = Lane(state.max_batch)
        self._settling = Order()  # numbers of the unanswered settles, by lock and claim
        self._beginning = Order()  # numbers of the unanswered begins, by token
        self._held: dict[str, Begin] = {}  # what was admitted and not settled, by token
        self._longest_lease = timedelta(0)
        self._away = False  # nobody is to wait for settles then: they are sent again and again
        self._empty = asyncio.Event()
        self._empty.set()
        self._entered = False
        self._runner: asyncio.Task[None] | None = None
        self._waker: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None

    @property
    def is_local(self) -> bool:
        """Whether the state is in this process: a begin that fails there has taken nothing."""
        return self._local is not None

    @property
    def pending(self) -> int:
        """How many settles are queued or under way."""
        return len(self._settles)

    @property
    def held(self) -> int:
        """How many tokens hold something, as far as is known here."""
        return len(self._held)

    async def __aenter__(self) -> Self:
        if self._local is None:
            # A task of its own holds the task group, so that it may be entered in one task (a
            # fixture, a lifespan) and left in another.
            self._entered = True
            self._runner = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runner, self._runner = self._runner, None
        if runner is None:
            return
        runner.cancel()
        try:
            await asyncio.wait((runner,))
        finally:
            self._give_up()
        if not runner.cancelled():
            runner.result()

    def begin_now(self, begin: Begin) -> Began | None:
        """Begin one dispatch where the state is in this process; None where it takes a trip.

        Raises:
            StateError: It failed; what is held then is unknown, and ends with its lease.
        """
        if self._local is None:
            return None
        try:
            began = self._local.begin_now(begin)
        except Exception as error:
            log.exception("the state backend is broken")
            raise _broken(error) from error
        if began.error is not None:
            raise began.error
        return began

    async def begin(self, begin: Begin) -> Began:
        """Begin one dispatch.

        Cancelled, it leaves nothing held that its token did not hold before.

        Raises:
            StateError: The trip failed; what is held then is unknown, and ends with its lease.
        """
        began = self.begin_now(begin)
        if began is not None:
            return began
        if self._closed():
            raise StateConnectionError("the gateway is closing")
        loop = asyncio.get_running_loop()
        item = _Beginning(begin, next(self._numbers), loop.create_future())
        self._longest_lease = max(self._longest_lease, begin.lease)
        self._beginning.add(item.number, begin.token)
        self._empty.clear()
        self._begins.put(item)
        try:
            return await item.answer
        except asyncio.CancelledError:
            self._abandon(item)
            raise

    def settle(self, settle: Settle) -> None:
        """Settle one dispatch; never fails, and never waits.

        In this process it is done on return. Otherwise it has been queued, and is sent, again and
        again if need be, until the lease must be over.
        """
        if self._local is not None:
            answer: bool | StateError
            try:
                answer = self._local.settle_now(settle)
            except Exception as error:  # What became of the action is known, and stays.
                log.exception("the state backend is broken")
                answer = _broken(error)
            if answer is not True:
                self._note(answer, certain=True)
            return
        held = self._held.pop(settle.token, None)
        if self._closed():
            self._note(StateConnectionError("the gateway is closing"), certain=True)
            return
        lease = self._longest_lease if held is None else held.lease
        self._queue(settle, lease, certain=held is not None, final=True)

    async def flush(self) -> None:
        """Return when everything queued has been sent and answered, or given up."""
        await self._empty.wait()

    def _closed(self) -> bool:
        if not self._entered:
            raise RuntimeError("these trips have not been entered")
        return self._runner is None or self._runner.done()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._run_begins())
                group.create_task(self._run_settles())
        finally:
            self._give_up()

    async def _run_begins(self) -> None:
        alone = self._group if self._state.independent else None
        while True:
            await self._begins.wait()
            while batch := self._begins.next_group(self._may_begin):
                if alone is None:
                    await self._send_begins(batch)
                    continue
                for item in batch:
                    alone.create_task(self._send_begins([item]))

    async def _run_settles(self) -> None:
        pause = FIRST_PAUSE
        while True:
            await self._settles.wait()
            while batch := self._settles.next_group(self._may_settle):
                self._away = not await self._send_settles(batch)
                if not self._away:
                    pause = FIRST_PAUSE
                else:
                    self._begins.wake()
                    await self._clock.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)

    # Waiting only for what came earlier, begins and settles cannot wait for each other in a ring.

    def _may_begin(self, item: _Beginning) -> bool:
        wanted = item.wanted
        return self._away or not self._settling.waits(item.number, wanted.lock, wanted.claim)

    def _may_settle(self, item: _Settling) -> bool:
        if item.due > self._clock.monotonic():
            return False
        # A renewal that is under way would take the lock again once it has been released.
        return not self._beginning.waits(item.number, item.wanted.token)

    async def _send_begins(self, batch: Sequence[_Beginning]) -> None:
        try:
            answers = await self._state.begin([item.wanted for item in batch])
            _check_count(len(batch), len(answers))
        except StateError as error:
            answers = [Began(error=error)] * len(batch)
        except Exception as error:  # the outermost loop: its end would hang all callers
            log.exception("the state backend is broken")
            answers = [Began(error=_broken(error))] * len(batch)
        for item, answer in zip(batch, answers, strict=True):
            self._begun(item, answer)
        self._begins.done(batch)
        self._begins.wake()
        self._settles.wake()
        self._note_empty()

    def _begun(self, item: _Beginning, answer: Began) -> None:
        wanted = item.wanted
        self._beginning.remove(item.number, wanted.token)
        item.before = self._held.get(wanted.token)
        if item.answer.cancelled():
            if answer.admitted or answer.error is not None:
                self._release(item)
            return
        if answer.error is not None:
            item.answer.set_exception(answer.error)
            return
        if answer.admitted and not wanted.peek:
            self._held[wanted.token] = _together(item.before, wanted)
        item.answer.set_result(answer)

    def _abandon(self, item: _Beginning) -> None:
        """Leave nothing held for the caller of `item`, who has been cancelled."""
        if item.answer.cancelled():
            # Where the trip is under way already, its end will show what there is to release.
            if self._begins.discard(item):
                self._beginning.remove(item.number, item.wanted.token)
                self._settles.wake()
                self._note_empty()
        elif item.answer.exception() is not None or item.answer.result().admitted:
            # The answer came in the very turn in which the caller was cancelled.
            self._release(item)

    def _release(self, item: _Beginning) -> None:
        """Settle what `item` took and its token did not hold before."""
        wanted, before = item.wanted, item.before
        if wanted.peek or self._runner is None:
            return
        if before is None:
            self._held.pop(wanted.token, None)
            lock, claim = wanted.lock, wanted.claim
        else:
            self._held[wanted.token] = before
            lock = wanted.lock if before.lock is None else None
            claim = wanted.claim if before.claim is None else None
        if lock is not None or claim is not None:
            settle = Settle(token=wanted.token, lock=lock, claim=claim)
            self._queue(settle, wanted.lease, certain=False, final=before is None)

    def _queue(self, settle: Settle, lease: timedelta, *, certain: bool, final: bool) -> None:
        patience = self._clock.monotonic() + lease.total_seconds()
        item = _Settling(settle, next(self._numbers), patience, certain, final)
        self._settling.add(item.number, settle.lock, settle.claim)
        self._empty.clear()
        self._settles.put(item)

    async def _send_settles(self, batch: Sequence[_Settling]) -> bool:
        """Send one group; return False if the whole trip failed and is to be made again."""
        answers: Sequence[bool | StateError]
        arrived = True
        try:
            answers = await self._state.settle([item.wanted for item in batch])
            _check_count(len(batch), len(answers))
        except StateError as error:
            answers = [error] * len(batch)
            arrived = False
        except Exception as error:  # the outermost loop, as above
            log.exception("the state backend is broken")
            answers = [_broken(error)] * len(batch)
        again: list[_Settling] = []
        for item, answer in zip(batch, answers, strict=True):
            if isinstance(answer, StateError) and self._worth_another(item, answer):
                # The trip may have done its work and only the answer was lost.
                item.certain = False
                if arrived:
                    # Its own failure: the others are not to wait for it.
                    self._let_pass(item)
                    self._put_off(item)
                again.append(item)
                continue
            if item.final:
                # A renewal that was under way may have noted it once more.
                self._held.pop(item.wanted.token, None)
            self._let_pass(item)
            if answer is not True:
                self._note(answer, certain=item.certain)
        self._settles.done(batch, again=again)
        self._begins.wake()
        self._note_empty()
        return arrived or not again

    def _let_pass(self, item: _Settling) -> None:
        if item.goes_first:
            item.goes_first = False
            self._settling.remove(item.number, item.wanted.lock, item.wanted.claim)

    def _put_off(self, item: _Settling) -> None:
        item.due = self._clock.monotonic() + item.pause.total_seconds()
        item.pause = min(item.pause * 2, LONGEST_PAUSE)
        if (self._waker is None or self._waker.done()) and self._group is not None:
            self._waker = self._group.create_task(self._wake_when_due())

    async def _wake_when_due(self) -> None:
        """Let the settles that were put off leave when their time has come."""
        while put_off := [item.due for item in self._settles if item.due]:
            left = min(put_off) - self._clock.monotonic()
            await self._clock.sleep(max(timedelta(seconds=left), FIRST_PAUSE))
            self._settles.wake()

    def _worth_another(self, item: _Settling, error: StateError) -> bool:
        if not error.retryable or self._clock.monotonic() >= item.patience:
            return False
        self._report(error)
        return True

    def _note(self, answer: bool | StateError, *, certain: bool) -> None:
        """Count and log a settle that did not settle."""
        if isinstance(answer, StateError):
            self.failed += 1
            self._report(answer)
            # Whoever uses this is told by `on_error`; of an outage there would be a line for each.
            log.log(
                logging.DEBUG if answer.retryable else logging.WARNING,
                "a dispatch could not be settled; its lease must end by itself",
                extra={"acteon.error": str(answer)},
            )
        elif certain:
            self.stale += 1
            log.warning("a lease was over before its dispatch was settled")

    def _report(self, error: StateError) -> None:
        if self._on_error is not None:
            self._on_error(error)

    def _note_empty(self) -> None:
        if not self._begins and not self._settles:
            self._empty.set()

    def _give_up(self) -> None:
        """Let nobody wait for trips that will not be made."""
        for item in self._begins.clear():
            if not item.answer.done():
                item.answer.set_exception(StateConnectionError("the gateway is closing"))
        if left := len(self._settles.clear()):
            self.failed += left
            log.warning("dispatches were not settled", extra={"acteon.count": left})
        self._settling.clear()
        self._beginning.clear()
        self._held.clear()
        self._empty.set()


def _together(before: Begin | None, wanted: Begin) -> Begin:
    """Return what a token holds that held `before` and was admitted to `wanted`."""
    if before is None:
        return wanted
    return evolve(wanted, lock=wanted.lock or before.lock, claim=wanted.claim or before.claim)


def _check_count(wanted: int, found: int) -> None:
    if wanted != found:
        raise StateBackendError(f"wanted {wanted} answers, found {found}")


def _broken(error: Exception) -> StateError:
    broken = StateBackendError(f"unexpected {type(error).__name__}")
    broken.__cause__ = error
    return broken
