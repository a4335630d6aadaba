"""Sending actions from a thread of its own, for programs that must not wait and not fail."""

import atexit
import logging
import math
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar, copy_context
from datetime import datetime
from typing import Any, Final

from attrs import Attribute, define, field, frozen

from acteon.client.calls import Repeat
from acteon.client.counting import Draft, Repeats
from acteon.client.errors import ClientError, ConfigurationError, InvalidRequestError
from acteon.client.outcomes import BatchResult
from acteon.client.retries import RetryPolicy
from acteon.client.targets import Target
from acteon.core import Action, WireError

log = logging.getLogger("acteon.client")

SENDING: Final = ContextVar("acteon.sending", default=False)
"""Whether this is done on behalf of a sender, be it in another thread: a gateway's, a provider's.

What is logged then must not lead to more sending.
"""
_RETRY: Final = RetryPolicy(max_attempts=10, base=0.5, max=30.0)
"""How long a batch is held while no server takes it: one or two minutes."""
_MISFITS: Final = (InvalidRequestError, WireError)
"""Errors that one action of a batch may bring upon all."""


def _at_least(least: int) -> Callable[[object, "Attribute[Any]", Any], None]:
    def check(_: object, attribute: "Attribute[Any]", value: Any) -> None:
        if not value >= least:
            raise ConfigurationError(f"{attribute.name}: {value!r}: give {least} or more")

    return check


@frozen(kw_only=True)
class Counts:
    """What became of what was handed to a sender, in this process.

    Once all is sent, `submitted == delivered + failed + repeated + dropped`.

    Attributes:
        submitted: How much was handed over.
        delivered: Actions that were answered with an outcome other than `Failed`.
        failed: Actions that were not.
        repeated: What was counted, as it was the same as something just before.
        dropped: What was left out, as too much was waiting or time was up.
        outcomes: How many actions ended in each kind of outcome: `executed`, ….
    """

    submitted: int
    delivered: int
    failed: int
    repeated: int
    dropped: int
    outcomes: Mapping[str, int]


@define(eq=False, kw_only=True)
class Outlet:
    """The way out of a program, for what must neither wait nor fail: a sender in each process.

    Attributes:
        target: Where actions go.
        interval: Seconds in which what is the same is counted; 0: all is sent.
        capacity: How many actions may wait; what comes while that many do is dropped.
        batch_size: How many go in one request.
        exit_timeout: Seconds that the end of the program waits for the last ones.
    """

    target: Target
    interval: float = field(validator=_at_least(0))
    capacity: int = field(validator=_at_least(1))
    batch_size: int = field(validator=_at_least(1))
    exit_timeout: float = field(validator=_at_least(0))
    _sender: "Sender" = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._sender = self._sender_to(self.target)

    @property
    def here(self) -> "Sender":
        """The sender of this process: in a fork, one of its own."""
        if self._sender.process != os.getpid():
            self._sender = self._sender_to(self.target.forked())
        return self._sender

    def _sender_to(self, target: Target) -> "Sender":
        return Sender(
            target, Repeats(self.interval), self.capacity, self.batch_size, self.exit_timeout
        )


@define(eq=False)
class Sender:
    """Sends actions in batches, in their order, from a thread that starts with the first one.

    No call raises or waits for the network, but `flush` and `close`. A sender is of the process
    that made it; a fork makes its own.

    Attributes:
        target: Where actions go.
        repeats: What counts identical ones.
        capacity: How many actions may wait; what comes while that many do is dropped.
        batch_size: How many go in one request.
        exit_timeout: Seconds that the end of the program waits for the last ones.
    """

    target: Target
    repeats: Repeats
    capacity: int
    batch_size: int
    exit_timeout: float
    process: int = field(factory=os.getpid, init=False)
    _queue: deque[Action] = field(factory=deque[Action], init=False)
    _under_way: int = field(default=0, init=False)
    _closing: bool = field(default=False, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False)
    _submitted: int = field(default=0, init=False)
    _repeated: int = field(default=0, init=False)
    _dropped: int = field(default=0, init=False)
    _failed: int = field(default=0, init=False)
    _outcomes: Counter[str] = field(factory=Counter[str], init=False)
    _dropped_told: int = field(default=0, init=False)
    _finalizers: list[Any] = field(factory=list[Any], init=False)
    _failure_told: bool = field(default=False, init=False)

    @property
    def counts(self) -> Counts:
        """What became of all so far."""
        with self._changed:
            return Counts(
                submitted=self._submitted,
                delivered=self._outcomes.total(),
                failed=self._failed,
                repeated=self._repeated,
                dropped=self._dropped,
                outcomes=dict(self._outcomes),
            )

    def submit(self, key: str, instant: datetime, build: Callable[[], Draft]) -> None:
        """Take something to be sent, unless it is the same as something just before.

        Args:
            key: What is the same has the same.
            instant: When it happened.
            build: Makes what makes its action; it is called if it is to be sent.
        """
        with self._changed:
            self._submitted += 1
            if self._counted(key, instant):
                return
        draft = build()
        with self._changed:
            if self._counted(key, instant):  # Another thread was faster.
                return
            if self._closing or len(self._queue) >= self.capacity:
                if not self._closing and self.repeats.count_anyway(key, instant):
                    self._repeated += 1
                else:
                    self._dropped += 1
                return
            self._queue.append(self.repeats.tell(key, draft, instant, time.monotonic()))
            self._changed.notify_all()
            if self._thread is None:
                self._start()

    def _counted(self, key: str, instant: datetime) -> bool:
        counted = not self._closing and self.repeats.count(key, instant, time.monotonic())
        self._repeated += counted
        return counted

    def flush(self, timeout: float) -> bool:
        """Wait until all that was taken is sent, `timeout` seconds at most; return whether it is.

        What was counted goes when its interval is over, and is not waited for.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._under_way, timeout)

    def close(self, timeout: float | None = None) -> None:
        """Send what is left, counts included, within `timeout` seconds, and take no more."""
        if os.getpid() != self.process:
            return  # In a fork there is no thread to be waited for.
        end = self.exit_timeout if timeout is None else timeout
        atexit.unregister(self.close)
        for finalizer in self._finalizers:
            finalizer.cancel()
        self._finalizers.clear()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(end)
        elif self._queue:
            self._run()  # The interpreter was too near its end to start a thread.
        with self._changed:
            self._dropped += len(self._queue)
            self._queue.clear()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="acteon-sender", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return  # The interpreter ends; `close` will send it.
        self._thread = thread
        atexit.register(self.close)
        # Processes of a pool end without their `atexit`, but with finalizers of these.
        for name in ("multiprocessing.util", "billiard.util"):
            module = sys.modules.get(name)
            if module is not None:
                self._finalizers.append(module.Finalize(None, self.close, exitpriority=1))

    def _run(self) -> None:
        copy_context().run(self._send_all)

    def _send_all(self) -> None:
        SENDING.set(True)
        while batch := self._next():
            self._deliver(batch)
            with self._changed:
                self._under_way = 0
                self._changed.notify_all()
        self.target.close()

    def _next(self) -> list[Action]:
        """Return the next batch, once there is one; an empty one at the end."""
        with self._changed:
            while True:
                now = math.inf if self._closing else time.monotonic()
                while len(self._queue) < self.capacity and (due := self.repeats.take_due(now)):
                    self._queue.append(due)
                    self._repeated -= 1
                if self._queue or self._closing:
                    count = min(self.batch_size, len(self._queue))
                    self._under_way = count
                    return [self._queue.popleft() for _ in range(count)]
                due_at = self.repeats.next_due()
                self._changed.wait(None if due_at is None else max(0.0, due_at - now))

    def _deliver(self, batch: list[Action]) -> None:
        """Send `batch`, again while no server takes it, and count what became of it."""
        begun = time.monotonic()
        attempts = 0
        while True:
            attempts += 1
            last = self._closing
            try:
                results = self.target.dispatch(batch)
            except _MISFITS as error:
                if len(batch) == 1:
                    return self._lost(batch, error)
                self._deliver(batch[: len(batch) // 2])
                return self._deliver(batch[len(batch) // 2 :])
            except ClientError as error:
                elapsed = time.monotonic() - begun
                pause = _RETRY.pause(error, Repeat.UNPROCESSED, attempts=attempts, elapsed=elapsed)
                if pause is None or last:
                    return self._lost(batch, error)
                self._tell_failure(str(error))
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, pause)
            except Exception as error:  # noqa: BLE001 - whatever a gateway in this process does
                return self._lost(batch, error)
            else:
                return self._answered(results)

    def _answered(self, results: list[BatchResult]) -> None:
        failure = ""
        with self._changed:
            for result in results:
                outcome = result.outcome
                if outcome is not None and not outcome.is_failed():
                    self._outcomes[outcome.tag] += 1
                else:
                    self._failed += 1
                    failure = str(outcome or result.error)
        if failure:
            self._tell_failure(failure)
        else:
            self._failure_told = False
        self._tell_dropped()

    def _lost(self, batch: list[Action], error: Exception) -> None:
        with self._changed:
            self._failed += len(batch)
        self._tell_failure(f"{type(error).__name__}: {error}")
        self._tell_dropped()

    def _tell_failure(self, why: str) -> None:
        """Log that actions cannot be delivered: once, until one can again."""
        if not self._failure_told:
            self._failure_told = True
            log.warning("actions cannot be delivered: %s", why, extra={"acteon.error": why})

    def _tell_dropped(self) -> None:
        """Log that something was left out: once for all that was since the last batch."""
        with self._changed:
            dropped = self._dropped - self._dropped_told
            self._dropped_told = self._dropped
        if dropped:
            log.warning(
                "too many actions were waiting: %d left out",
                dropped,
                extra={"acteon.dropped": dropped, "acteon.capacity": self.capacity},
            )
