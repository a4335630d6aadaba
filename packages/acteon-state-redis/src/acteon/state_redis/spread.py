"""Beginning and settling dispatches whose names are in several slots of a Cluster."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

import anyio
from attrs import define, evolve

from acteon.state import (
    PENDING,
    Began,
    Begin,
    DispatchState,
    Quota,
    Settle,
    StateError,
    StateSerializationError,
)
from acteon.state_redis.dispatch import RedisDispatch
from acteon.state_redis.store import RedisLocks, RedisStateStore

log = logging.getLogger(__name__)

UNDO_SECONDS: Final = 2
"""How long giving back may take."""


@define(eq=False)
class SpreadDispatch(DispatchState):
    """Dispatches done step by step: the lock, what is read, the claim, the quotas.

    Each step is atomic, the whole is not: whoever looks in between sees a claim that is given
    back a moment later. What was not held before is given back when a step is refused or fails;
    where that fails too, the lease ends it.

    Attributes:
        together: Does the steps, each of which is in one slot.
        store: The entries.
        locks: The locks.
    """

    together: RedisDispatch
    store: RedisStateStore
    locks: RedisLocks

    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._begin(wanted)) for wanted in batch]
        return [task.result() for task in tasks]

    async def settle(self, batch: Sequence[Settle]) -> list[bool | StateError]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._settle(settle)) for settle in batch]
        return [task.result() for task in tasks]

    async def _begin(self, wanted: Begin) -> Began:
        try:
            if wanted.peek:
                return await self._steps(wanted)
            new = await self._not_held(wanted)
            admitted = False
            try:
                began = await self._steps(wanted)
                admitted = began.admitted
            finally:
                if not admitted:
                    await self._give_back(new)
            return began
        except StateError as error:
            return Began(error=error)

    async def _steps(self, wanted: Begin) -> Began:
        bare = evolve(wanted, lock=None, claim=None, quotas=(), reads=())
        began = Began()
        if wanted.lock is not None and not wanted.peek:
            (began,) = await self.together.begin([evolve(bare, lock=wanted.lock)])
            if not began.admitted:
                return began
        values = tuple([await self.store.get(key) for key in wanted.reads])
        if wanted.claim is not None:
            (began,) = await self.together.begin([evolve(bare, claim=wanted.claim)])
            if not began.admitted:
                return evolve(began, values=values)
        room = Began()
        for place, quota in enumerate(wanted.quotas):
            # All are asked first, so that nothing is counted for nothing, as a rule.
            room = await self._room(bare, room, place, quota)
            if room.refused is not None:
                return evolve(room, values=values)
        if not wanted.peek:
            for place, quota in enumerate(wanted.quotas):
                room = await self._count(room, place, quota)
                if room.refused is not None:
                    return evolve(room, values=values)
        return evolve(began, quota_error=room.quota_error, values=values)

    async def _room(self, bare: Begin, before: Began, place: int, quota: Quota) -> Began:
        """Return whether `quota` has room too."""
        (asked,) = await self.together.begin([evolve(bare, peek=True, quotas=(quota,))])
        refused = None if asked.refused is None else (place, asked.refused[1])
        return Began(refused=refused, quota_error=asked.quota_error or before.quota_error)

    async def _count(self, before: Began, place: int, quota: Quota) -> Began:
        """Count one in `quota`, if it has room still.

        It stays counted if the next one has none: taken back, it could be missing in a window
        that has been opened since.
        """
        try:
            taken = await self.store.take(quota.key, quota.limit, quota.window)
        except StateSerializationError as error:
            return evolve(before, quota_error=error)
        if not taken.admitted:
            return evolve(before, refused=(place, taken.remaining))
        return before

    async def _not_held(self, wanted: Begin) -> Settle:
        """Return the settle that gives back what `wanted` may take and its token has not yet."""
        lock, claim = wanted.lock, wanted.claim
        if lock is not None and await self.locks.holder(lock) == wanted.token:
            lock = None
        if claim is not None and await self.store.get(claim) == PENDING + wanted.token:
            claim = None
        return Settle(token=wanted.token, lock=lock, claim=claim)

    async def _give_back(self, new: Settle) -> None:
        with anyio.move_on_after(UNDO_SECONDS, shield=True):
            answer = await self._settle(new)
            if isinstance(answer, StateError):
                log.debug("could not give back", extra={"acteon.error": str(answer)})

    async def _settle(self, settle: Settle) -> bool | StateError:
        parts: list[Settle] = []
        if settle.claim is not None:
            parts.append(evolve(settle, lock=None))
        if settle.lock is not None:
            parts.append(evolve(settle, claim=None))
        settled: bool | StateError = True
        for part in parts:
            try:
                (one,) = await self.together.settle([part])
            except StateError as error:
                settled = error  # The lock goes all the same: others wait for it.
            else:
                if settled is True:
                    settled = one
        return settled
