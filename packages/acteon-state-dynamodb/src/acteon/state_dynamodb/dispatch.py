"""Dispatches begun with one call: all that is wanted is taken in one transaction, or nothing."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final, TypeVar

from attrs import frozen

from acteon.state import (
    PENDING,
    Began,
    Begin,
    Claimed,
    DispatchState,
    Quota,
    Settle,
    StateError,
    StateKey,
    StateSerializationError,
    read_claim,
)
from acteon.state_dynamodb.counting import asked, count
from acteon.state_dynamodb.items import Item, expiring, remaining, text
from acteon.state_dynamodb.locks import OWNER, busy, released
from acteon.state_dynamodb.store import MEETINGS, DynamoDBStateStore
from acteon.state_dynamodb.table import Table, Written
from acteon.state_dynamodb.texts import scalar
from acteon.state_dynamodb.writes import LIVE, Write, delete, lease, put

E = TypeVar("E")
T = TypeVar("T")

HELD: Final = f"{LIVE} AND #value = :pending"
_MILLISECOND: Final = timedelta(milliseconds=1)


@frozen
class DynamoDBDispatch(DispatchState):
    """Dispatches on `table`. The elements of a batch are calls of their own, made side by side."""

    independent: ClassVar[bool] = True

    table: Table

    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        return await _together(self._begin, batch)

    async def settle(self, batch: Sequence[Settle]) -> list[bool | StateError]:
        return await _together(self._settle, batch)

    async def _begin(self, wanted: Begin) -> Began:
        try:
            if wanted.peek:
                return await self._peek(wanted)
            return await self._take(wanted)
        except StateError as error:
            return Began(error=error)

    async def _take(self, wanted: Begin) -> Began:
        quotas = dict(enumerate(wanted.quotas))  # by place; without those that cannot be asked
        found: dict[int, Item] = {}
        error: StateError | None = None
        for _ in range(MEETINGS):
            now = self.table.now()
            written = iter(await self._write(wanted, quotas, found, now))
            if wanted.lock is not None and not (lock := next(written)).done:
                return Began(busy=busy(lock.item, now))
            if wanted.claim is not None and not (claim := next(written)).done:
                standing, detail = _standing(claim.item, wanted.token, now)
                return Began(claim=standing, detail=detail, values=await self._read(wanted))
            unmet = {
                place: one.item for place, one in zip(quotas, written, strict=True) if not one.done
            }
            if not unmet:
                standing = Claimed.NONE if wanted.claim is None else Claimed.OURS
                values = await self._read(wanted)
                return Began(claim=standing, quota_error=error, values=values)
            refused, failure = _refused(quotas, unmet, now)
            error = failure or error
            if refused is not None:
                values = await self._read(wanted)
                return Began(refused=refused, quota_error=error, values=values)
            # What is left has room: its window is over, or others were faster.
            found = unmet
        raise self.table.crowded(self.table.layout.entry(wanted.quotas[0].key))

    async def _write(
        self, wanted: Begin, quotas: Mapping[int, Quota], found: Mapping[int, Item], now: int
    ) -> list[Written]:
        """Take all that is wanted, or nothing; tell how it went with lock, claim, and `quotas`."""
        layout = self.table.layout
        writes: list[Write] = []
        if wanted.lock is not None:
            address = layout.lock(wanted.lock)
            writes.append(lease(address, OWNER, wanted.token, wanted.lease, now))
        if wanted.claim is not None:
            address = layout.entry(wanted.claim)
            writes.append(lease(address, "value", PENDING + wanted.token, wanted.lease, now))
        writes += [
            count(layout.entry(quota.key), quota, found.get(place), now)[0]
            for place, quota in quotas.items()
        ]
        return await self.table.write_all(writes) if writes else []

    async def _read(self, wanted: Begin) -> tuple[str | None, ...]:
        return await DynamoDBStateStore(self.table).read(wanted.reads) if wanted.reads else ()

    async def _peek(self, wanted: Begin) -> Began:
        values = await self._read(wanted)
        keys = [quota.key for quota in wanted.quotas]
        if wanted.claim is not None:
            keys.append(wanted.claim)
        found = await self.table.get_many(keys)
        now = self.table.now()
        claim, detail = Claimed.NONE, ""
        if wanted.claim is not None:
            claim, detail = _standing(found.get(wanted.claim), wanted.token, now)
            if claim is not Claimed.OURS:
                return Began(claim=claim, detail=detail, values=values)
        quotas = dict(enumerate(wanted.quotas))
        items = {place: found.get(quota.key, {}) for place, quota in quotas.items()}
        refused, error = _refused(quotas, items, now)
        if refused is not None:
            claim = Claimed.NONE
        return Began(claim=claim, refused=refused, quota_error=error, values=values)

    async def _settle(self, settle: Settle) -> bool | StateError:
        settled, failure = True, None
        if settle.claim is not None:
            try:
                settled = (await self.table.write(self._ended(settle, settle.claim))).done
            except StateError as error:
                failure = error  # The lock goes all the same: others wait for it.
        if settle.lock is not None:
            try:
                write = released(self.table, settle.lock, settle.token)
                settled = (await self.table.write(write)).done and settled
            except StateError as error:
                failure = error
        return failure or settled

    def _ended(self, settle: Settle, claim: StateKey) -> Write:
        """Return the write that ends `claim` if it is still held."""
        now, address = self.table.now(), self.table.layout.entry(claim)
        values = {":pending": text(PENDING + settle.token)}
        if settle.text is None:
            return delete(address, HELD, now, values)
        ended = {**address, "value": text(settle.text), **expiring(now, settle.ttl)}
        return put(ended, HELD, now, values)


def _standing(item: Item | None, token: str, now: int) -> tuple[Claimed, str]:
    """Return how the claim in `item` stands for the holder of `token`, and its detail."""
    if item is None:
        return Claimed.OURS, ""
    claim, detail = read_claim(scalar(item), token)
    left = remaining(item, now)
    if claim is Claimed.PENDING and left is not None:
        detail = str(max(1, left // _MILLISECOND))
    return claim, detail


def _refused(
    quotas: dict[int, Quota], items: Mapping[int, Item], now: int
) -> tuple[tuple[int, timedelta] | None, StateError | None]:
    """Return which of `quotas` has no room, going by `items`, and why one could not be asked.

    Those that cannot be asked are removed from `quotas`.
    """
    error: StateError | None = None
    for place, item in items.items():
        try:
            taken = asked(quotas[place], item, now)
        except StateSerializationError as failure:
            error = failure
            del quotas[place]
            continue
        if not taken.admitted:
            return (place, taken.remaining), error
    return None, error


async def _together(call: Callable[[E], Coroutine[Any, Any, T]], items: Sequence[E]) -> list[T]:
    """Return what `call` gives for each of `items`; the pool bounds how many run at a time."""
    if len(items) == 1:
        return [await call(items[0])]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call(item)) for item in items]
    return [task.result() for task in tasks]
