"""What a provider of a test remembers of its calls."""

import asyncio
import threading
from collections import Counter, deque
from datetime import datetime, timedelta
from typing import Any, Final, cast

from attrs import define, evolve, field, frozen

from acteon.core import Action, ProviderResponse

_MOST_ATTEMPTED: Final = 100_000
"""Ids of actions whose attempts are counted."""

_MOST_SHOWN: Final = 10
_LONGEST_PAYLOAD: Final = 300


@frozen(kw_only=True)
class CapturedCall:
    """One call, from its beginning to its end.

    Attributes:
        number: 1 for the first call since the provider was made or cleared.
        attempt: 1 for the first call with this action, 2 for its repetition, ….
        action: As the provider saw it: after rules have modified it.
        started_at: When it began.
        finished_at: When it ended.
        response: What was answered; None if it failed.
        error: What was raised, `asyncio.CancelledError` included; None if it was answered.
        delivered: Whether the delivery took place: also where the answer was lost.
    """

    number: int
    attempt: int
    action: Action
    started_at: datetime
    finished_at: datetime
    response: ProviderResponse | None
    error: BaseException | None
    delivered: bool

    @property
    def ok(self) -> bool:
        """Whether it was answered."""
        return self.error is None

    @property
    def timestamp(self) -> datetime:
        """When it ended."""
        return self.finished_at

    @property
    def duration(self) -> timedelta:
        """How long it took."""
        return self.finished_at - self.started_at


@frozen
class Begun:
    """A call that has begun.

    Attributes:
        number: As in `CapturedCall`.
        attempt: As in `CapturedCall`.
        era: How often the log had been cleared by then.
    """

    number: int
    attempt: int
    era: int


@define(eq=False)
class CallLog:
    """The calls of a provider; they may come from several threads and event loops.

    Attributes:
        keep: How many are kept, the newest; None: all. All are counted.
        begun: How many have begun.
        ended: How many have ended.
    """

    keep: int | None = field(default=None)
    begun: int = field(default=0, init=False)
    ended: int = field(default=0, init=False)
    _era: int = field(default=0, init=False)
    _kept: deque[CapturedCall] = field(init=False)
    _attempts: Counter[str] = field(factory=Counter[str], init=False)
    _waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(
        factory=set[tuple[asyncio.AbstractEventLoop, asyncio.Event]], init=False
    )
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._kept = deque(maxlen=self.keep)

    def begin(self, action_id: str) -> Begun:
        """Count a call, and return its numbers."""
        with self._lock:
            self.begun += 1
            if len(self._attempts) >= _MOST_ATTEMPTED:
                self._attempts.clear()
            self._attempts[action_id] += 1
            return Begun(self.begun, self._attempts[action_id], self._era)

    def end(self, begun: Begun, call: CapturedCall) -> None:
        """Keep `call`, and wake who waits; one that began before `clear` is forgotten as well."""
        with self._lock:
            if begun.era != self._era:
                return
            self.ended += 1
            self._kept.append(call)
            for loop, event in self._waiters:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(event.set)

    def clear(self) -> None:
        """Forget all calls, and count from 1 again."""
        with self._lock:
            self._era += 1
            self.begun = self.ended = 0
            self._kept.clear()
            self._attempts.clear()

    def kept(self) -> list[CapturedCall]:
        """Return the calls in the order in which they ended."""
        with self._lock:
            return list(self._kept)

    async def wait(self, count: int) -> None:
        """Return once `count` calls have ended."""
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        with self._lock:
            self._waiters.add(waiter)
        try:
            while self.ended < count:
                # Nothing is lost by it: threads set the event in a later turn of this loop.
                event.clear()
                await event.wait()
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    def told(self) -> str:
        """Return the calls as lines for the text of a failed assertion; empty if there are none."""
        with self._lock:
            calls, under_way = list(self._kept), self.begun - self.ended
        lines = [f"#{call.number} {_shown(call)}" for call in calls[:_MOST_SHOWN]]
        if len(calls) > _MOST_SHOWN:
            lines.append(f"and {len(calls) - _MOST_SHOWN} more")
        if under_way:
            lines.append(f"and {under_way} under way")
        return "".join(f"\n  {line}" for line in lines)


def snapshot(action: Action) -> Action:
    """Return `action` as it is now, whatever becomes of the payload it was made of."""
    return evolve(action, payload=_copied(action.payload), metadata=dict(action.metadata))


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(each) for name, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_copied(each) for each in cast("list[object]", value)]
    return value


def _shown(call: CapturedCall) -> str:
    action = call.action
    payload = repr(action.payload)
    if len(payload) > _LONGEST_PAYLOAD:
        payload = f"{payload[:_LONGEST_PAYLOAD]}…"
    ended = "" if call.error is None else f" -> {call.error!r}"
    return f"{action.namespace}/{action.tenant} {action.action_type} payload={payload}{ended}"
