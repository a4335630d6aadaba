"""The way of records into the store: queued, and written in batches by one task."""

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from types import TracebackType
from typing import Final, Self

from acteon.audit.errors import AuditError, AuditSerializationError
from acteon.audit.record import AuditRecord
from acteon.audit.settings import AuditSettings
from acteon.audit.store import AuditStore
from acteon.core import SYSTEM_CLOCK, Clock

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = timedelta(milliseconds=100)
LONGEST_PAUSE: Final = timedelta(seconds=5)
QUIET: Final = timedelta(seconds=10)
"""Between two log lines on dropped records: they may be many."""
NAMED: Final = 20
"""So many of them are named in such a line."""


class AuditWriter:
    """Takes records off the hands of dispatches and brings them into a store.

    Every record handed over is, at any moment, either `written`, `dropped` or `queued` (or its
    caller still waits for room). A failing write is repeated with the same records, which
    stores allow, but with half of them first: a store may have the time for fewer, and where it
    cannot keep one of them, the others are kept.

    Leaving the writer waits until the queue is empty: put that under a time limit. When the
    limit strikes, what is left counts as dropped, and may be lost: of a write under way nobody
    knows whether the store has the records. One event loop, one thread.

    Attributes:
        written: How many records the store has taken.
        dropped: How many were given up: no room, a store that failed too long or can never keep
            them, or the end came first. Some of them may be in the store all the same.
        failed_writes: How many writes have failed.
    """

    def __init__(
        self,
        store: AuditStore,
        settings: AuditSettings | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.written = 0
        self.dropped = 0
        self.failed_writes = 0
        self._store = store
        self._settings = settings or AuditSettings()
        self._clock = clock
        self._sync = self._settings.mode == "sync"
        self._max_queue = self._settings.max_queue
        self._max_bytes = self._settings.max_queue_bytes
        self._batch_size = min(self._settings.batch_size, self._max_queue)
        self._batch_bytes = min(self._settings.batch_bytes, self._max_bytes)
        # A batch under way stays at the head until its end is known: so the bound is one on all
        # that is not in the store, and nothing is lost with a cancelled write.
        self._queue: deque[AuditRecord] = deque()
        self._sizes: deque[int] = deque()  # of these
        self._bytes = 0
        self._accepted = 0
        self._wanted = 0  # somebody waits for so many of the accepted ones to be written
        self._failing = False
        self._told = False  # that writes fail, of which more would be nothing new
        self._closing = False
        self._closed = False
        self._wake = asyncio.Event()
        self._progress = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._reported = 0
        self._unnamed: list[str] = []
        self._reported_at = float("-inf")

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._group.create_task(self._run(), name="acteon-audit-writer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing = True
        self._wake.set()
        # Not told of the error, the group waits for the task instead of cancelling it.
        await self._group.__aexit__(None, None, None)

    @property
    def queued(self) -> int:
        """How many records have been handed over and are not yet written or dropped."""
        return len(self._queue)

    @property
    def queued_bytes(self) -> int:
        """About how much memory these take."""
        return self._bytes

    @property
    def failing(self) -> bool:
        """Whether the last write has failed, and is tried again."""
        return self._failing and bool(self._queue)

    def take(self, record: AuditRecord) -> bool:
        """Queue `record` if its caller need not wait for anything; return whether that is so.

        Otherwise `record` is to be awaited.
        """
        if self._sync or self._is_full():
            return False
        self._enqueue(record)
        return True

    async def record(self, record: AuditRecord) -> None:
        """See to it that `record` gets into the store; raise nothing if it does not.

        In mode `batched` this returns at once unless the queue is full. In mode `sync` it
        returns when the record is written, or when it is queued and the store is failing. A
        caller that is cancelled while it waits for the store leaves the record in the queue;
        one that is cancelled while it waits for room has it counted as dropped.
        """
        if self._is_full():
            await self._wait_for_room(record)
            if self._is_full():
                self._drop([record], "no room in the queue")
                return
        self._enqueue(record)
        if self._sync:
            await self.flush()

    def _enqueue(self, record: AuditRecord) -> None:
        self._queue.append(record)
        size = record.size
        self._sizes.append(size)
        self._bytes += size
        self._accepted += 1
        if len(self._queue) == 1 or self._is_due():
            self._wake.set()

    async def flush(self) -> bool:
        """Return when all that was recorded before is written or dropped, or the store fails.

        Returns:
            Whether none of it is left in the queue.
        """
        target = self._accepted
        self._wanted = target
        self._wake.set()
        while self._settled < target and not self._failing:
            await self._progress.wait()
        return self._settled >= target

    @property
    def _settled(self) -> int:
        return self._accepted - len(self._queue)

    def _is_full(self) -> bool:
        # One record is always let in, however large, and may go beyond the bound.
        return self._closed or len(self._queue) >= self._max_queue or self._bytes >= self._max_bytes

    async def _wait_for_room(self, record: AuditRecord) -> None:
        if self._closed or self._settings.on_overflow == "drop":
            return
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.block_for.total_seconds()):
                    while self._is_full() and not self._closed:
                        await self._progress.wait()
        except asyncio.CancelledError:
            self._drop([record], "its caller was cancelled while the queue was full")
            raise

    async def _run(self) -> None:
        try:
            while await self._something_to_write():
                await self._linger()
                await self._deliver(self._batch())
                # A store in memory never waits; the dispatches get their turn all the same.
                await asyncio.sleep(0)
        finally:
            self._closed = True
            if self._queue:
                self._drop(self._queue, "may be lost: not known to be written before the end")
                self._leave(len(self._queue))
            self._move_on()
            self._report("more were dropped since the last report")

    async def _something_to_write(self) -> bool:
        """Wait for records; return False if there are none and none will come."""
        while not self._queue:
            if self._closing:
                return False
            self._wake.clear()
            await self._wake.wait()
        return True

    async def _linger(self) -> None:
        """Let more records come for `flush_delay`, or until there is reason to write now."""
        if not self._settings.flush_delay or self._is_due():
            return
        async with asyncio.TaskGroup() as group:
            alarm = group.create_task(self._ring())
            while not (alarm.done() or self._is_due()):
                self._wake.clear()
                await self._wake.wait()
            alarm.cancel()

    async def _ring(self) -> None:
        await self._clock.sleep(self._settings.flush_delay)
        self._wake.set()

    def _is_due(self) -> bool:
        return (
            len(self._queue) >= self._batch_size
            or self._bytes >= self._batch_bytes
            or self._wanted > self._settled
            or self._closing
        )

    def _batch(self) -> int:
        """Return how many records, the head of the queue, are to be written at once."""
        count = bytes = 0
        for size in islice(self._sizes, self._batch_size):
            bytes += size
            if count and bytes > self._batch_bytes:
                break
            count += 1
        return count

    async def _deliver(self, count: int) -> None:
        """Write `count` records, the head of the queue, or drop them; they leave it either way."""
        parts = [count]  # of these records, the first ones last
        pause, deadline = FIRST_PAUSE, None
        while parts:
            records = list(islice(self._queue, parts.pop()))
            error = await self._write(records)
            self._failing = error is not None and _may_pass(error)
            if error is not None and self._failing:
                now = self._clock.monotonic()
                if deadline is None:
                    deadline = now + self._settings.retry_for.total_seconds()
                if now < deadline:
                    parts += _halves(len(records))
                    self._move_on()
                    await self._clock.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                    continue
                self._failing = False  # the next ones find out for themselves
            elif error is not None and len(records) > 1:
                parts += _halves(len(records))
                continue
            pause, deadline = FIRST_PAUSE, None
            if error is None:
                self.written += len(records)
            else:
                self._drop(records, _text(error))
            self._leave(len(records))
            self._move_on()
            if error is None and self._told and not parts:
                self._told = False
                log.info("audit records are written again", extra={"acteon.queued": self.queued})
                self._report("dropped while they could not be written")

    async def _write(self, records: Sequence[AuditRecord]) -> Exception | None:
        try:
            async with asyncio.timeout(self._settings.write_limit.total_seconds()):
                await self._store.write(records)
        except Exception as error:  # Whatever one write ends in, others must follow.
            self.failed_writes += 1
            unexpected = not isinstance(error, AuditError | TimeoutError)
            log.log(
                logging.DEBUG if self._told else logging.WARNING,
                "audit write failed",
                extra={"acteon.records": len(records), "acteon.error": _text(error)},
                exc_info=error if unexpected and not self._told else None,
            )
            self._told = self._told or _may_pass(error)
            return error
        return None

    def _leave(self, count: int) -> None:
        """Take `count` records, of which it is known what became, out of the queue."""
        for _ in range(count):
            self._queue.popleft()
            self._bytes -= self._sizes.popleft()

    def _drop(self, records: Collection[AuditRecord], reason: str) -> None:
        self.dropped += len(records)
        self._unnamed += [one.id for one in islice(records, NAMED - len(self._unnamed))]
        if self._clock.monotonic() - self._reported_at >= QUIET.total_seconds():
            self._report(reason)

    def _report(self, reason: str) -> None:
        if self.dropped > self._reported:
            log.error(
                "audit records dropped",
                extra={
                    "acteon.dropped": self.dropped - self._reported,
                    "acteon.dropped_total": self.dropped,
                    "acteon.reason": reason,
                    "acteon.ids": self._unnamed,
                },
            )
            self._unnamed = []
            self._reported = self.dropped
            self._reported_at = self._clock.monotonic()

    def _move_on(self) -> None:
        """Let all who wait for the queue to move look again."""
        waited_for, self._progress = self._progress, asyncio.Event()
        waited_for.set()


def _may_pass(error: Exception) -> bool:
    """Return whether the same write may succeed later: all that a store raises but one error.

    What has not been written for it may raise anything, a driver's error for instance.
    """
    return not isinstance(error, AuditSerializationError)


def _halves(count: int) -> list[int]:
    """Return `count` as two parts, the second one first; as one if it cannot be halved."""
    return [part for part in (count - count // 2, count // 2) if part]


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
