"""A store of six plain methods and `take`, as anybody might write it, runs the whole pipeline."""

import asyncio
from datetime import timedelta

import pytest
from attrs import define, field

from acteon.core import Deduplicated, Executed, Failed, ManualClock, Suppressed, Throttled
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action, until
from acteon.provider import ExecutionFailedError, ProviderTimeoutError
from acteon.state import (
    StateBackend,
    StateKey,
    StateSerializationError,
    StateStore,
    StoreLocks,
    Taken,
)


@define(eq=False)
class PlainStore(StateStore):
    clock: ManualClock
    entries: dict[StateKey, tuple[str, float | None]] = field(
        factory=dict[StateKey, tuple[str, float | None]]
    )

    def _live(self, key: StateKey) -> tuple[str, float | None] | None:
        entry = self.entries.get(key)
        gone = entry is not None and entry[1] is not None and entry[1] <= self.clock.monotonic()
        return None if gone else entry

    def _put(self, key: StateKey, value: str, ttl: timedelta | None) -> None:
        end = None if ttl is None else self.clock.monotonic() + ttl.total_seconds()
        self.entries[key] = (value, end)

    async def get(self, key: StateKey) -> str | None:
        entry = self._live(key)
        return entry[0] if entry else None

    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        self._put(key, value, ttl)

    async def check_and_set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> bool:
        return await self.compare_and_swap(key, None, value, ttl=ttl)

    async def delete(self, key: StateKey) -> bool:
        live = self._live(key) is not None
        self.entries.pop(key, None)
        return live

    async def increment(self, key: StateKey, delta: int = 1, *, ttl: timedelta | None) -> int:
        value, end = self._live(key) or ("0", None)
        if not value.lstrip("-").isdecimal():
            raise StateSerializationError(f"{key.kind} counter is no integer")
        self.entries[key] = (str(int(value) + delta), end)
        if ttl is not None:
            self._put(key, str(int(value) + delta), ttl)
        return int(value) + delta

    async def compare_and_swap(
        self, key: StateKey, expected: str | None, new: str | None, *, ttl: timedelta | None
    ) -> bool:
        if await self.get(key) != expected:
            return False
        self.entries.pop(key, None) if new is None else self._put(key, new, ttl)
        return True

    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        value, end = self._live(key) or ("0", self.clock.monotonic() + window.total_seconds())
        count = int(value)
        admitted = count + amount <= limit
        if admitted:
            count += amount
            self.entries[key] = (str(count), end)
        return Taken(admitted, timedelta(seconds=(end or 0) - self.clock.monotonic()), count)


RULES = """\
rules:
  - {name: busy, condition: {state_counter: daily, gt: 5}, action: {type: suppress}}
  - {name: once, condition: {field: action.action_type, eq: once},
     action: {type: deduplicate, ttl_seconds: 60}}
  - {name: two, condition: {field: action.action_type, eq: two},
     action: {type: throttle, max_count: 2, window_seconds: 60}}
"""


@pytest.fixture
def state(clock: ManualClock) -> StateBackend:
    store = PlainStore(clock)
    return StateBackend(store, StoreLocks(store))


async def test_it_holds_claims_and_quotas(
    open_gateway: OpenGateway, email: ScriptedProvider, state: StateBackend, clock: ManualClock
) -> None:
    once = make_action(action_type="once", dedup_key="k")
    two = make_action(action_type="two")
    email.answers.append(ExecutionFailedError("no"))
    async with open_gateway(RULES) as gateway:
        assert isinstance(await gateway.dispatch(once), Failed)
        assert isinstance(await gateway.dispatch(once), Executed)
        assert await gateway.dispatch(once) == Deduplicated()
        await clock.advance(timedelta(seconds=60))
        email.answers.append(ProviderTimeoutError(timedelta(seconds=1)))
        assert isinstance(await gateway.dispatch(once), Failed)
        unknown = await gateway.dispatch(once)
        assert isinstance(unknown, Failed)
        assert unknown.code == "DELIVERY_UNKNOWN"

        assert [(await gateway.dispatch(two)).tag for _ in range(2)] == ["executed"] * 2
        assert await gateway.dispatch(two) == Throttled(timedelta(seconds=60))

        await state.store.increment(
            StateKey("notifications", "t1", "counter", "daily"), 6, ttl=None
        )
        assert await gateway.dispatch(two) == Suppressed("busy")
        assert gateway.held == 0


async def test_of_fifty_at_once_one_runs(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    email.gate.clear()
    async with open_gateway(RULES) as gateway, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(gateway.dispatch(make_action(action_type="once", dedup_key="k")))
            for _ in range(50)
        ]
        await email.called()
        email.gate.set()
        # Who asked just before it was delivered asks again after a moment.
        await until(lambda: all(task.done() for task in tasks), clock, timedelta(milliseconds=50))

    assert [task.result().tag for task in tasks].count("deduplicated") == 49
    assert len(email.calls) == 1


async def test_no_lock_is_left_in_the_store(open_gateway: OpenGateway, state: StateBackend) -> None:
    async with open_gateway(RULES) as gateway:
        await gateway.dispatch_batch([make_action() for _ in range(20)])
    assert isinstance(state.store, PlainStore)
    assert [key for key in state.store.entries if key.kind == "lock"] == []
