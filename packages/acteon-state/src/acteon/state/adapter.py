"""Dispatches begun and settled with nothing but the primitives of store and locks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final, TypeVar

import anyio
from attrs import define, field

from acteon.state.dispatch import (
    PENDING,
    Began,
    Begin,
    Claimed,
    DispatchState,
    Quota,
    Settle,
    read_claim,
)
from acteon.state.errors import StateError, StateSerializationError
from acteon.state.keys import StateKey
from acteon.state.store import StateBackend

log = logging.getLogger(__name__)

E = TypeVar("E")
T = TypeVar("T")

AT_ONCE: Final = 16
"""How many elements of a batch are under way at the same time."""
UNDO_SECONDS: Final = 2
"""How long giving back may take when a begin was cancelled or failed midway."""
_MILLISECOND = timedelta(milliseconds=1)


def dispatch_state(backend: StateBackend) -> DispatchState:
    """Return what begins and settles dispatches on `backend`: its own, or else an adapter."""
    return PrimitiveDispatchState(backend) if backend.dispatch is None else backend.dispatch


@define(eq=False)
class PrimitiveDispatchState(DispatchState):
    """Begins step by step: the lock, then what is read, the claim, the quotas.

    The steps are atomic, the whole is not: whoever looks in between sees a claim that is given
    back a moment later. When a step is refused, fails or is cancelled, what was taken before is
    given back; where that fails too, the lease ends it.

    Attributes:
        backend: The store and its locks; they stay their owner's.
    """

    independent: ClassVar[bool] = True

    backend: StateBackend
    _held: dict[str | StateKey, str] = field(
        factory=dict[str | StateKey, str], init=False, repr=False
    )
    """The tokens of the locks and claims held from here: beginning again must not lose those."""

    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        return await _together(self._begin, batch)

    async def settle(self, batch: Sequence[Settle]) -> list[bool | StateError]:
        return await _together(self._settle, batch)

    async def _begin(self, wanted: Begin) -> Began:
        try:
            return await (self._peek(wanted) if wanted.peek else self._take(wanted))
        except StateError as error:
            return Began(error=error)

    async def _take(self, wanted: Begin) -> Began:
        undo: list[_Undo] = []
        admitted = False
        try:
            began = await self._steps(wanted, undo)
            admitted = began.admitted
        finally:
            if not admitted:
                await _give_back(undo)
        for name in (wanted.lock, wanted.claim):
            if admitted and name is not None:
                self._held[name] = wanted.token
        return began

    async def _steps(self, wanted: Begin, undo: "list[_Undo]") -> Began:
        store = self.backend.store
        if wanted.lock is not None:
            busy = await self._lock(wanted.lock, wanted, undo)
            if busy is not None:
                return Began(busy=busy)
        values = tuple([await store.get(key) for key in wanted.reads])
        claim, detail = Claimed.NONE, ""
        if wanted.claim is not None:
            claim, detail = await self._claim(wanted.claim, wanted, undo)
            if claim is not Claimed.OURS:
                return Began(claim=claim, detail=detail, values=values)
        refused, error = await self._count(wanted.quotas)
        if refused is not None:
            return Began(refused=refused, quota_error=error, values=values)
        return Began(claim=claim, quota_error=error, values=values)

    async def _lock(self, name: str, wanted: Begin, undo: "list[_Undo]") -> timedelta | None:
        locks = self.backend.locks
        if self._held.get(name) == wanted.token:
            if await locks.extend(name, wanted.token, wanted.lease):
                return None
            self._held.pop(name, None)
        # Noted before the call: cancelled or failed, it may have taken the lock all the same.
        undo.append(lambda: locks.release(name, wanted.token))
        busy = await locks.try_acquire(name, wanted.token, wanted.lease)
        if busy is not None:
            undo.pop()
        return busy

    async def _claim(
        self, key: StateKey, wanted: Begin, undo: "list[_Undo]"
    ) -> tuple[Claimed, str]:
        store = self.backend.store
        mine = PENDING + wanted.token
        if self._held.get(key) == wanted.token:
            if await store.compare_and_swap(key, mine, mine, ttl=wanted.lease):
                return Claimed.OURS, ""
            self._held.pop(key, None)
        undo.append(lambda: store.compare_and_swap(key, mine, None, ttl=None))
        if await store.check_and_set(key, mine, ttl=wanted.lease):
            return Claimed.OURS, ""
        found = await store.get(key)
        if found is None:
            # It ended between the two calls; whoever waits for a pending one asks again.
            return Claimed.PENDING, ""
        claim, detail = read_claim(found, wanted.token)
        if claim is Claimed.OURS:
            # An earlier begin took it, whose answer was lost.
            renewed = await store.compare_and_swap(key, mine, mine, ttl=wanted.lease)
            return (claim if renewed else Claimed.PENDING), ""
        return claim, detail

    async def _count(
        self, quotas: tuple[Quota, ...]
    ) -> tuple[tuple[int, timedelta] | None, StateError | None]:
        """Count one in each of `quotas` ; return which has no room, or why one was not asked."""
        error: StateError | None = None
        if len(quotas) > 1:
            # Asked first, so that nothing is counted for nothing unless others come in between.
            refused, error = await self._room(quotas)
            if refused is not None:
                return refused, error
        for place, quota in enumerate(quotas):
            try:
                taken = await self.backend.store.take(quota.key, quota.limit, quota.window)
            except StateError as failure:
                error = failure
                continue
            if not taken.admitted:
                # What was counted before stays so: taken back, it could be missing in a window
                # that has been opened since.
                return (place, taken.remaining), error
        return None, error

    async def _room(
        self, quotas: tuple[Quota, ...]
    ) -> tuple[tuple[int, timedelta] | None, StateError | None]:
        """Return the first of `quotas` without room, changing nothing."""
        store = self.backend.store
        error: StateError | None = None
        for place, quota in enumerate(quotas):
            try:
                if _number(await store.get(quota.key)) >= quota.limit:
                    asked = await store.take(quota.key, 0, quota.window)
                    return (place, asked.remaining), error
            except StateError as failure:
                error = failure
        return None, error

    async def _peek(self, wanted: Begin) -> Began:
        store = self.backend.store
        values = tuple([await store.get(key) for key in wanted.reads])
        claim, detail = Claimed.NONE, ""
        if wanted.claim is not None:
            found = await store.get(wanted.claim)
            claim = Claimed.OURS
            if found is not None:
                claim, detail = read_claim(found, wanted.token)
            if claim is not Claimed.OURS:
                return Began(claim=claim, detail=detail, values=values)
        refused, error = await self._room(wanted.quotas)
        if refused is not None:
            return Began(refused=refused, quota_error=error, values=values)
        return Began(claim=claim, quota_error=error, values=values)

    async def _settle(self, settle: Settle) -> bool | StateError:
        for name in (settle.lock, settle.claim):
            if name is not None and self._held.get(name) == settle.token:
                del self._held[name]
        claimed, failure = True, None
        if settle.claim is not None:
            try:
                claimed = await self.backend.store.compare_and_swap(
                    settle.claim, PENDING + settle.token, settle.text, ttl=settle.ttl
                )
            except StateError as error:
                failure = error  # The lock goes all the same: others wait for it.
        locked = True
        if settle.lock is not None:
            try:
                locked = await self.backend.locks.release(settle.lock, settle.token)
            except StateError as error:
                failure = error
        return failure or (claimed and locked)


_Undo = Callable[[], Awaitable[object]]


async def _give_back(undo: list[_Undo]) -> None:
    """Undo, last things first, what a begin did before it was refused, failed or was cancelled."""
    with anyio.move_on_after(UNDO_SECONDS, shield=True):
        for step in reversed(undo):
            try:
                await step()
            except StateError as error:
                log.debug("could not give back", extra={"acteon.error": str(error)})


async def _together(call: Callable[[E], Coroutine[Any, Any, T]], items: Sequence[E]) -> list[T]:
    """Return what `call` gives for each of `items`; at most `AT_ONCE` calls run at a time."""
    if len(items) == 1:
        return [await call(items[0])]
    free = asyncio.Semaphore(AT_ONCE)

    async def one(item: E) -> T:
        async with free:
            return await call(item)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [task.result() for task in tasks]


def _number(text: str | None) -> int:
    if text is None:
        return 0
    try:
        return int(text)
    except ValueError:
        raise StateSerializationError("expected a count, found something else") from None
