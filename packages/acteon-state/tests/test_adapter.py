"""What the adapter gives back when a begin ends midway."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import pytest
from attrs import define, evolve, field

from acteon.core import ManualClock
from acteon.state import (
    Began,
    Begin,
    DispatchState,
    PrimitiveDispatchState,
    Quota,
    Settle,
    StateBackend,
    StateConnectionError,
    StateKey,
    StateStore,
    StoreLocks,
    Taken,
    dispatch_state,
)

HOUR = timedelta(hours=1)
CLAIM = StateKey("test", "t", "dedup", "1")
QUOTA = Quota(StateKey("test", "t", "rate_limit", "one"), 1, HOUR)
OTHER_QUOTA = Quota(StateKey("test", "t", "rate_limit", "other"), 1, HOUR)
BEGIN = Begin(token="mine", lease=HOUR, lock="L", claim=CLAIM)
SETTLE = Settle(token="mine", lock="L", claim=CLAIM)

T = TypeVar("T")
Hook = Callable[[], Awaitable[None]]


@define(eq=False)
class Interrupted(StateStore):
    """A store whose calls can be made to do something when they are done; each is counted."""

    inner: StateStore
    after: dict[int, Hook] = field(factory=dict[int, Hook])
    calls: int = 0

    async def get(self, key: StateKey) -> str | None:
        return await self._then(await self.inner.get(key))

    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        await self.inner.set(key, value, ttl=ttl)
        await self._then(None)

    async def check_and_set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> bool:
        return await self._then(await self.inner.check_and_set(key, value, ttl=ttl))

    async def delete(self, key: StateKey) -> bool:
        return await self._then(await self.inner.delete(key))

    async def increment(self, key: StateKey, delta: int = 1, *, ttl: timedelta | None) -> int:
        return await self._then(await self.inner.increment(key, delta, ttl=ttl))

    async def compare_and_swap(
        self, key: StateKey, expected: str | None, new: str | None, *, ttl: timedelta | None
    ) -> bool:
        return await self._then(await self.inner.compare_and_swap(key, expected, new, ttl=ttl))

    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        return await self._then(await self.inner.take(key, limit, window, amount))

    async def _then(self, answer: T) -> T:
        self.calls += 1
        hook = self.after.pop(self.calls, None)
        if hook is not None:
            await hook()
        return answer


@pytest.fixture
def store(plain: StateBackend) -> Interrupted:
    return Interrupted(plain.store)


@pytest.fixture
def state(store: Interrupted) -> PrimitiveDispatchState:
    return PrimitiveDispatchState(StateBackend(store, StoreLocks(store)))


async def fail() -> None:
    raise StateConnectionError("away")


@define(eq=False)
class Hanging:
    """What never ends, and tells when it has begun."""

    reached: asyncio.Event = field(factory=asyncio.Event)

    async def __call__(self) -> None:
        self.reached.set()
        await asyncio.Event().wait()


async def test_a_backend_that_begins_by_itself_is_asked_itself(plain: StateBackend) -> None:
    own: DispatchState = PrimitiveDispatchState(plain)
    assert dispatch_state(evolve(plain, dispatch=own)) is own
    assert isinstance(dispatch_state(plain), PrimitiveDispatchState)


WANTED = evolve(BEGIN, quotas=(QUOTA, OTHER_QUOTA))
CALLS_OF_A_BEGIN = 6  # the lock, the claim, two looks at the quotas, and counting in both


async def test_a_begin_that_goes_well_makes_these_calls(
    store: Interrupted, state: PrimitiveDispatchState
) -> None:
    assert (await state.begin([WANTED]))[0].admitted
    assert store.calls == CALLS_OF_A_BEGIN


@pytest.mark.parametrize("call", range(1, CALLS_OF_A_BEGIN + 1))
async def test_cancelled_after_any_call_it_gives_back_what_it_took(
    store: Interrupted, state: PrimitiveDispatchState, call: int
) -> None:
    hanging = Hanging()
    store.after[call] = hanging
    beginning = asyncio.ensure_future(state.begin([WANTED]))
    await hanging.reached.wait()
    beginning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginning

    assert await store.get(CLAIM) is None
    assert (await state.begin([evolve(BEGIN, token="other")]))[0].admitted


@pytest.mark.parametrize("call", [1, 2])
async def test_failed_after_lock_or_claim_it_gives_back_what_it_took(
    store: Interrupted, state: PrimitiveDispatchState, call: int
) -> None:
    store.after[call] = fail
    (began,) = await state.begin([WANTED])

    assert isinstance(began.error, StateConnectionError)
    assert not began.admitted
    assert await store.get(CLAIM) is None
    assert (await state.begin([evolve(BEGIN, token="other")]))[0].admitted


async def test_what_was_held_before_survives_a_cancelled_renewal(
    store: Interrupted, state: PrimitiveDispatchState
) -> None:
    await state.begin([BEGIN])
    hanging = Hanging()
    store.after[store.calls + 1] = hanging
    renewing = asyncio.ensure_future(state.begin([BEGIN]))
    await hanging.reached.wait()
    renewing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await renewing

    assert await state.settle([SETTLE]) == [True]


async def test_a_quota_that_others_filled_in_between_takes_nothing_but_a_count(
    store: Interrupted, state: PrimitiveDispatchState
) -> None:
    async def fill() -> None:
        await store.inner.take(OTHER_QUOTA.key, 1, HOUR)

    store.after[CALLS_OF_A_BEGIN - 1] = fill
    (began,) = await state.begin([WANTED])

    assert began.refused is not None
    assert began.refused[0] == 1
    # Taken back, it could be missing in a window that has been opened since.
    assert await store.get(QUOTA.key) == "1"
    assert await store.get(CLAIM) is None


async def test_a_count_for_nothing_ends_with_its_window(
    store: Interrupted, state: PrimitiveDispatchState, clock: ManualClock
) -> None:
    async def close_and_fill() -> None:
        clock.move(HOUR)
        await store.inner.take(OTHER_QUOTA.key, 1, HOUR)

    short = evolve(QUOTA, window=timedelta(minutes=1))
    store.after[CALLS_OF_A_BEGIN - 1] = close_and_fill
    await state.begin([evolve(WANTED, quotas=(short, OTHER_QUOTA), lease=2 * HOUR)])
    clock.move(timedelta(minutes=1))
    assert await store.get(QUOTA.key) is None


async def test_when_giving_back_fails_the_lease_ends_it(
    store: Interrupted, state: PrimitiveDispatchState, clock: ManualClock
) -> None:
    store.after = {2: fail, 3: fail, 4: fail}
    (began,) = await state.begin([BEGIN])
    assert began.error is not None
    clock.move(HOUR)
    assert (await state.begin([evolve(BEGIN, token="other")]))[0].admitted


async def test_a_settle_that_fails_at_the_claim_releases_the_lock(
    store: Interrupted, state: PrimitiveDispatchState
) -> None:
    await state.begin([BEGIN])
    store.after[store.calls + 1] = fail
    (answer,) = await state.settle([SETTLE])

    assert isinstance(answer, StateConnectionError)
    free = evolve(BEGIN, token="other", claim=None)
    assert await state.begin([free]) == [Began()]


async def test_one_that_fails_in_a_batch_fails_alone(
    store: Interrupted, state: PrimitiveDispatchState
) -> None:
    store.after[1] = fail
    batch = [evolve(BEGIN, lock=f"L{n}", claim=CLAIM._replace(id=str(n))) for n in range(20)]
    began = await state.begin(batch)
    assert [one.error is None for one in began].count(False) == 1
    assert sum(one.admitted for one in began) == 19
