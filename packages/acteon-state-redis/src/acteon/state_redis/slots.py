"""Beginning and settling dispatches on a Cluster, whose scripts see one slot only."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from attrs import define
from redis.crc import key_slot

from acteon.state import Began, Begin, DispatchState, Settle, StateError
from acteon.state_redis.dispatch import RedisDispatch, begin_keys, settle_keys

E = TypeVar("E")
T = TypeVar("T")

Send = Callable[[Sequence[E]], Awaitable[Sequence[T]]]


@define(eq=False)
class ClusterDispatch(DispatchState):
    """Dispatches on a Cluster: one call for each slot of a batch, all at the same time.

    The names that one tenant's dispatches need are in one slot (see `Names`). A dispatch that
    names others as well is done step by step: correct too, but not atomic, and several trips.

    Attributes:
        together: Begins and settles what is in one slot.
        spread: Begins and settles the rest.
    """

    together: RedisDispatch
    spread: DispatchState

    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        names = self.together.names
        slots = [_slot(begin_keys(wanted, names)) for wanted in batch]
        begun = await _by_slot(slots, batch, self.together.begin, self.spread.begin)
        return [Began(error=one) if isinstance(one, StateError) else one for one in begun]

    async def settle(self, batch: Sequence[Settle]) -> Sequence[bool | StateError]:
        names = self.together.names
        slots = [_slot(settle_keys(settle, names)) for settle in batch]
        return await _by_slot(slots, batch, self.together.settle, self.spread.settle)


async def _by_slot(
    slots: Sequence[int | None], batch: Sequence[E], together: Send[E, T], spread: Send[E, T]
) -> list[T | StateError]:
    """Return the answers to `batch`; where the call for a slot failed, its error."""
    places: dict[int | None, list[int]] = {}
    for place, slot in enumerate(slots):
        places.setdefault(slot, []).append(place)

    async def send(slot: int | None) -> Sequence[T | StateError]:
        part = [batch[place] for place in places[slot]]
        try:
            return await (spread if slot is None else together)(part)
        except StateError as error:
            return [error] * len(part)

    async with asyncio.TaskGroup() as group:
        tasks = {slot: group.create_task(send(slot)) for slot in places}
    answers: dict[int, T | StateError] = {}
    for slot, task in tasks.items():
        answers.update(zip(places[slot], task.result(), strict=True))
    return [answers[place] for place in range(len(batch))]


def _slot(keys: Sequence[bytes]) -> int | None:
    """Return the slot of all `keys`; None if they are in several, or there are none."""
    slots = {key_slot(key) for key in keys}
    return slots.pop() if len(slots) == 1 else None
