"""One counter for many requests at once: they share operations, and the limit holds."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import ManualClock
from acteon.server.ratelimit.counter import Counted, SharedCounter
from acteon.state import StateConnectionError, StateError, StateKey, StateStore, Taken
from acteon.state.testing import together
from acteon.state_memory import MemoryStateStore, Table

KEY = StateKey("_system", "_ratelimit", "rate_limit", "caller:alice:1700000040")
MINUTE = timedelta(minutes=1)


@frozen(eq=False)
class SlowStore(MemoryStateStore):
    """A store that others are asked beside, as one over a network is.

    Attributes:
        gate: Answers wait until it is open.
        taken: How many each operation was to count.
        failing: What operations end in, if there is anything.
    """

    gate: asyncio.Event = field(factory=asyncio.Event)
    taken: list[int] = field(factory=list[int])
    failing: list[StateError] = field(factory=list[StateError])

    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        self.taken.append(amount)
        await asyncio.sleep(0)
        await self.gate.wait()
        if self.failing:
            raise self.failing[0]
        return await super().take(key, limit, window, amount)


def open_store() -> SlowStore:
    store = SlowStore(Table(ManualClock(datetime(2025, 1, 1, tzinfo=UTC))))
    store.gate.set()
    return store


def counter(store: StateStore) -> SharedCounter:
    return SharedCounter(store, KEY, MINUTE)


async def turns() -> None:
    """Let all tasks go on as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_comes_while_the_store_is_asked_shares_the_next_operation() -> None:
    store = open_store()
    shared = counter(store)
    answers = await together(shared.take(40, 1) for _ in range(50))
    assert store.taken == [1, 39]
    assert answers == [*(Counted(True, n) for n in range(1, 41)), *[Counted(False, 40)] * 10]


async def test_who_comes_alone_waits_for_nobody() -> None:
    store = open_store()
    shared = counter(store)
    assert [await shared.take(3, 2) for _ in range(2)] == [Counted(True, 2), Counted(False, 2)]
    assert store.taken == [2, 2]


async def test_each_is_counted_whole_or_not_at_all() -> None:
    store = open_store()
    shared = counter(store)
    answers = await together(shared.take(10, amount) for amount in (1, 4, 7, 3, 2, 2))
    assert [one.admitted for one in answers] == [True, True, False, True, True, False]
    assert store.taken == [1, 9]


async def test_each_has_its_own_limit() -> None:
    shared = counter(open_store())
    limits = (9, 1, 2, 9, 3, 9)
    answers = await together(shared.take(limit, 1) for limit in limits)
    assert answers == [
        Counted(True, 1),
        Counted(False, 1),
        Counted(True, 2),
        Counted(True, 3),
        Counted(False, 3),
        Counted(True, 4),
    ]


async def test_when_another_node_was_faster_those_that_still_have_room_ask_again() -> None:
    store = open_store()
    shared = counter(store)
    store.gate.clear()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(shared.take(10, 1)) for _ in range(8)]
        await turns()
        await MemoryStateStore.take(store, KEY, 10, MINUTE, 5)
        store.gate.set()
    answers = [task.result() for task in tasks]
    assert answers == [*(Counted(True, n) for n in range(6, 11)), *[Counted(False, 10)] * 3]
    assert store.taken == [1, 4]

    # The first of the next ones knows how many were counted; these find out.
    other = counter(store)
    answers = await together(other.take(12, 1) for _ in range(4))
    assert [one.admitted for one in answers] == [True, True, False, False]


async def test_when_another_node_is_faster_time_and_again_it_ends() -> None:
    store = open_store()
    nodes = [counter(store) for _ in range(4)]
    answers = await together(nodes[n % 4].take(50, 1 + n % 3) for n in range(200))
    assert sum((1 + n % 3) * one.admitted for n, one in enumerate(answers)) == 50


async def test_a_failure_is_told_to_all_that_shared_it_and_to_no_others() -> None:
    store = open_store()
    shared = counter(store)
    store.gate.clear()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outcome(shared)) for _ in range(3)]
        await turns()
        store.failing.append(StateConnectionError("nobody there"))
        store.gate.set()
    assert [task.result() for task in tasks] == [None, None, None]
    assert store.taken == [1, 2]
    store.failing.clear()
    assert await shared.take(9, 1) == Counted(True, 1)


async def outcome(shared: SharedCounter) -> Counted | None:
    try:
        return await shared.take(9, 1)
    except StateConnectionError:
        return None


async def test_something_broken_breaks_only_who_meets_it() -> None:
    class Broken(SlowStore):
        async def take(
            self, key: StateKey, limit: int, window: timedelta, amount: int = 1
        ) -> Taken:
            taken = await super().take(key, limit, window, amount)
            if len(self.taken) == 2:
                raise RuntimeError("a bug")
            return taken

    store = Broken(Table(ManualClock()))
    store.gate.set()
    shared = counter(store)
    answers = await asyncio.gather(*(shared.take(99, 1) for _ in range(4)), return_exceptions=True)
    assert [type(one) for one in answers] == [Counted, RuntimeError, Counted, Counted]


@pytest.mark.parametrize("victims", [{0}, {1}, {2}, {3}, {0, 1}, {1, 2}, {1, 3}, {0, 1, 2, 3}])
async def test_who_is_cancelled_keeps_nobody_waiting(victims: set[int]) -> None:
    store = open_store()
    shared = counter(store)
    store.gate.clear()
    tasks = [asyncio.ensure_future(shared.take(99, 1)) for _ in range(5)]
    await turns()
    for number in victims:
        tasks[number].cancel()
    await turns()
    store.gate.set()
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {n for n, one in enumerate(answers) if isinstance(one, BaseException)} == victims
    async with asyncio.timeout(5):
        assert (await shared.take(99, 1)).admitted


REQUESTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(0, 6), st.integers(0, 12)),
    max_size=40,
)


@given(limit=st.integers(0, 30), requests=REQUESTS)
async def test_no_more_than_the_limit_are_ever_counted_and_everybody_is_answered(
    limit: int, requests: list[tuple[int, int, int, int]]
) -> None:
    """Each request comes at some turn, to some node, and may be cancelled some turns later."""
    store = open_store()
    nodes = [counter(store) for _ in range(3)]

    async def request(node: int, amount: int, begins: int, ends: int) -> Counted | None:
        for _ in range(begins):
            await asyncio.sleep(0)
        task = asyncio.ensure_future(nodes[node].take(limit, amount))
        if ends < 6:
            for _ in range(ends):
                await asyncio.sleep(0)
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return None

    async with asyncio.timeout(5):
        answers = await together(request(*one) for one in requests)
    counted = int(await store.get(KEY) or "0")
    known = [(one, amount) for one, (_, amount, _, _) in zip(answers, requests, strict=True) if one]
    admitted = sum(amount for one, amount in known if one.admitted)
    assert admitted <= counted <= limit
    if None not in answers:
        assert admitted == counted
    counts = [one.count for one, _ in known if one.admitted]
    assert len(set(counts)) == len(counts)
    for one, amount in known:
        assert one.admitted or one.count + amount > limit or None in answers
