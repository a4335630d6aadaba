"""The limiter, with a clock that is moved, on a store in memory."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import ManualClock
from acteon.gateway.testing import until
from acteon.server.config import OnLimitError
from acteon.server.ratelimit import RateLimiter, Standing, Tier
from acteon.server.ratelimit.limiter import LONGEST_KNOWN, MOST_KNOWN
from acteon.state import StateConnectionError, StateError, StateKey, StateStore, Taken
from acteon.state.testing import together
from acteon.state_memory import memory_backend

START = datetime.fromtimestamp(1_700_000_040, UTC)
"""A window of a minute begins here."""


@define(eq=False)
class WatchedStore(StateStore):
    """A store that notes what it is asked, and fails as long as it is told to.

    Attributes:
        gate: What counting waits for, if for anything.
    """

    inner: StateStore
    asked: list[str] = field(factory=list[str])
    failing: StateError | None = None
    gate: asyncio.Event | None = None

    async def get(self, key: StateKey) -> str | None:
        self._note("get", key)
        return await self.inner.get(key)

    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        self._note("set", key)
        await self.inner.set(key, value, ttl=ttl)

    async def check_and_set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> bool:
        self._note("check_and_set", key)
        return await self.inner.check_and_set(key, value, ttl=ttl)

    async def delete(self, key: StateKey) -> bool:
        self._note("delete", key)
        return await self.inner.delete(key)

    async def increment(self, key: StateKey, delta: int = 1, *, ttl: timedelta | None) -> int:
        self._note("increment", key)
        return await self.inner.increment(key, delta, ttl=ttl)

    async def compare_and_swap(
        self, key: StateKey, expected: str | None, new: str | None, *, ttl: timedelta | None
    ) -> bool:
        self._note("compare_and_swap", key)
        return await self.inner.compare_and_swap(key, expected, new, ttl=ttl)

    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        self._note("take", key)
        if self.gate is not None:
            await self.gate.wait()
        return await self.inner.take(key, limit, window, amount)

    def _note(self, operation: str, key: StateKey) -> None:
        self.asked.append(f"{operation} {key.text}")
        if self.failing is not None:
            raise self.failing


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def store(clock: ManualClock) -> WatchedStore:
    return WatchedStore(memory_backend(clock).store)


@pytest.fixture
def limiter(store: WatchedStore, clock: ManualClock) -> RateLimiter:
    return RateLimiter(store, clock=clock)


def tier(requests: int, seconds: int = 60) -> Tier:
    return Tier(requests_per_window=requests, window=timedelta(seconds=seconds))


def seconds(number: int) -> timedelta:
    return timedelta(seconds=number)


async def admitted(limiter: RateLimiter, limit: Tier, times: int) -> int:
    """Return how many of so many requests are let through."""
    return sum([(await limiter.take("caller:alice", limit)).admitted for _ in range(times)])


async def test_requests_are_counted_down(limiter: RateLimiter, clock: ManualClock) -> None:
    clock.move(seconds(20))
    standings = [await limiter.take("caller:alice", tier(2)) for _ in range(3)]
    assert standings == [
        Standing(admitted=True, limit=2, remaining=1, reset=40),
        Standing(admitted=True, limit=2, remaining=0, reset=40),
        Standing(admitted=False, limit=2, remaining=0, reset=40),
    ]


async def test_each_bucket_counts_for_itself(limiter: RateLimiter) -> None:
    for bucket in ("caller:alice", "caller:bob", "tenant:alice"):
        assert (await limiter.take(bucket, tier(1))).admitted
        assert not (await limiter.take(bucket, tier(1))).admitted


async def test_a_limit_of_none_lets_nobody_through(limiter: RateLimiter) -> None:
    assert await limiter.take("caller:alice", tier(0)) == Standing(
        admitted=False, limit=0, remaining=0, reset=60
    )


async def test_the_window_before_counts_less_and_less(
    limiter: RateLimiter, clock: ManualClock
) -> None:
    assert await admitted(limiter, tier(10), 20) == 10
    clock.move(seconds(60))
    assert await admitted(limiter, tier(10), 20) == 0
    clock.move(seconds(1))
    assert await admitted(limiter, tier(10), 20) == 1
    clock.move(seconds(29))
    assert await admitted(limiter, tier(10), 20) == 4
    clock.move(seconds(29))
    assert await admitted(limiter, tier(10), 20) == 5
    clock.move(seconds(1))
    assert await admitted(limiter, tier(10), 20) == 0
    clock.move(seconds(120))
    assert await admitted(limiter, tier(10), 20) == 10


async def test_several_are_counted_all_or_none(limiter: RateLimiter) -> None:
    standings = [await limiter.take("caller:alice", tier(5), n) for n in (3, 3, 2)]
    assert [(one.admitted, one.remaining) for one in standings] == [
        (True, 2),
        (False, 2),
        (True, 0),
    ]


async def test_counters_have_the_documented_names(
    limiter: RateLimiter, store: WatchedStore
) -> None:
    await limiter.take("caller:alice", tier(5))
    await limiter.take("caller:alice", tier(5))
    counter = StateKey("_system", "_ratelimit", "rate_limit", "caller:alice:1700000040")
    assert counter.text == "_system:_ratelimit:rate_limit:caller:alice:1700000040"
    assert await store.inner.get(counter) == "2"


async def test_a_counter_lasts_for_two_windows(
    limiter: RateLimiter, store: WatchedStore, clock: ManualClock
) -> None:
    await limiter.take("caller:alice", tier(5))
    counter = StateKey("_system", "_ratelimit", "rate_limit", "caller:alice:1700000040")
    clock.move(seconds(119))
    assert await store.inner.get(counter) == "1"
    clock.move(seconds(1))
    assert await store.inner.get(counter) is None


async def test_a_request_asks_the_store_once_and_the_first_in_a_window_twice(
    limiter: RateLimiter, store: WatchedStore, clock: ManualClock
) -> None:
    for _ in range(3):
        await limiter.take("caller:alice", tier(9))
    clock.move(seconds(60))
    for _ in range(2):
        await limiter.take("caller:alice", tier(9))
    before, first, second = (
        f"_system:_ratelimit:rate_limit:caller:alice:{1_699_999_980 + 60 * n}" for n in range(3)
    )
    assert store.asked == [
        f"get {before}",
        *[f"take {first}"] * 3,
        f"get {first}",
        *[f"take {second}"] * 2,
    ]


async def test_who_is_known_to_have_no_room_is_refused_without_asking(
    limiter: RateLimiter, store: WatchedStore, clock: ManualClock
) -> None:
    await admitted(limiter, tier(3), 3)
    asked = len(store.asked)
    assert await admitted(limiter, tier(3), 100) == 0
    assert len(store.asked) == asked
    clock.move(seconds(90))
    assert (await limiter.take("caller:alice", tier(3))).admitted


async def test_of_many_at_once_as_many_as_the_limit_are_admitted(limiter: RateLimiter) -> None:
    standings = await together(limiter.take("caller:alice", tier(20)) for _ in range(100))
    remaining = [one.remaining for one in standings if one.admitted]
    assert sorted(remaining) == list(range(20))


async def test_nodes_count_together(store: WatchedStore, clock: ManualClock) -> None:
    nodes = [RateLimiter(store, clock=clock) for _ in range(3)]
    standings = await together(nodes[n % 3].take("caller:alice", tier(20)) for n in range(100))
    assert sum(one.admitted for one in standings) == 20


@given(skew=st.integers(-59, 59), limit=st.integers(0, 8))
async def test_nodes_whose_clocks_differ_admit_no_more_in_any_of_their_windows(
    skew: int, limit: int
) -> None:
    clock = ManualClock(START)
    store = memory_backend(clock).store
    clocks = [clock, ManualClock(START + seconds(skew))]
    nodes = [RateLimiter(store, clock=each) for each in clocks]
    counted = [0, 0, 0]
    for second in range(0, 120, 5):
        for node, own in zip(nodes, clocks, strict=True):
            found = await node.take("caller:alice", tier(limit))
            window = int((own.now() - START).total_seconds() // 60)
            if 0 <= window <= 2:
                counted[window] += found.admitted
        for each in clocks:
            each.move(seconds(5))
        assert max(counted) <= limit, second


STEPS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), max_size=60)


@given(limit=st.integers(0, 12), length=st.integers(1, 30), steps=STEPS)
async def test_any_run_goes_as_a_list_of_what_was_admitted_says(
    limit: int, length: int, steps: list[tuple[int, int]]
) -> None:
    clock = ManualClock(START)
    limiter = RateLimiter(memory_backend(clock).store, clock=clock)
    taken: list[tuple[int, int]] = []
    for pause, amount in steps:
        clock.move(seconds(pause))
        now = int(clock.now().timestamp())
        start = now - now % length
        before, current = counted(taken, start - length, start), counted(taken, start, now + 1)
        room = limit - before * (start + length - now) // length - current

        found = await limiter.take("caller:alice", tier(limit, length), amount)
        assert found.admitted == (amount <= room)
        if found.admitted:
            taken.append((now, amount))
            room -= amount
        assert (found.remaining, found.reset) == (max(0, room), start + length - now)
    for moment, _ in taken:
        start = moment - moment % length
        assert counted(taken, start, start + length) <= limit
        assert counted(taken, moment, moment + length) <= 2 * limit


def counted(taken: Iterable[tuple[int, int]], first: int, past: int) -> int:
    return sum(amount for moment, amount in taken if first <= moment < past)


@pytest.mark.parametrize("odd", ["", "many", "-3", "1.5", "9" * 5000, "٣"])
async def test_a_window_before_that_holds_no_count_counts_as_none(
    limiter: RateLimiter, store: WatchedStore, odd: str
) -> None:
    before = StateKey("_system", "_ratelimit", "rate_limit", "caller:alice:1699999980")
    await store.inner.set(before, odd, ttl=None)
    assert await admitted(limiter, tier(3), 5) == 3


async def test_buckets_that_are_known_do_not_fill_the_memory(
    limiter: RateLimiter, store: WatchedStore
) -> None:
    await limiter.take("caller:alice", tier(5))
    for number in range(MOST_KNOWN):
        await limiter.take(f"tenant:{number}", tier(5))
    store.asked.clear()
    await limiter.take(f"tenant:{MOST_KNOWN - 1}", tier(5))
    assert [one.split()[0] for one in store.asked] == ["take"]
    store.asked.clear()
    assert (await limiter.take("caller:alice", tier(5))).remaining == 3
    assert [one.split()[0] for one in store.asked] == ["get", "take"]


async def test_buckets_with_long_names_are_counted_but_not_remembered(
    limiter: RateLimiter, store: WatchedStore
) -> None:
    name = "x" * LONGEST_KNOWN + "y"
    standings = [await limiter.take(name, tier(2)) for _ in range(3)]
    assert [one.admitted for one in standings] == [True, True, False]
    assert [one.split()[0] for one in store.asked] == ["get", "take"] * 3


AWAY = StateConnectionError("nobody there")


@pytest.mark.parametrize(
    ("on_error", "wanted"),
    [
        (OnLimitError.ALLOW, Standing(admitted=True, limit=2, remaining=2, reset=60)),
        (OnLimitError.DENY, Standing(admitted=False, limit=2, remaining=0, reset=60)),
    ],
)
async def test_a_store_that_fails_is_told_of_once_and_once_that_it_works(
    store: WatchedStore,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    on_error: OnLimitError,
    wanted: Standing,
) -> None:
    limiter = RateLimiter(store, on_error, clock)
    caplog.set_level(logging.INFO, "acteon.server.ratelimit")
    clock.move(seconds(30))
    await limiter.take("caller:alice", tier(2))
    store.failing = AWAY
    for bucket in ("caller:alice", "caller:bob", "caller:alice", "caller:carol"):
        assert await limiter.take(bucket, tier(2)) == wanted
        clock.move(seconds(1))
    store.failing = None
    for _ in range(3):
        await limiter.take("caller:alice", tier(2))
    assert [record.message for record in caplog.records] == [
        "requests cannot be counted: until they can, [rate_limit] on_error decides about them",
        "requests are counted again",
    ]
    assert vars(caplog.records[0])["acteon.on_error"] == on_error.value
    assert vars(caplog.records[1])["acteon.seconds"] == 4.0


async def test_an_answer_to_what_was_asked_before_says_nothing_of_a_failing_store(
    limiter: RateLimiter,
    store: WatchedStore,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "acteon.server.ratelimit")
    store.gate = gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(limiter.take("caller:alice", tier(2)))
        await until(lambda: len(store.asked) == 2)
        clock.move(seconds(1))
        store.gate, store.failing = None, AWAY
        await limiter.take("caller:bob", tier(2))
        gate.set()
    assert slow.result().remaining == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_who_is_known_to_have_no_room_is_refused_though_the_store_fails(
    limiter: RateLimiter, store: WatchedStore
) -> None:
    await admitted(limiter, tier(3), 3)
    store.failing = AWAY
    assert await admitted(limiter, tier(3), 3) == 0


async def test_a_counter_that_is_none_is_a_failure(
    limiter: RateLimiter, store: WatchedStore
) -> None:
    counter = StateKey("_system", "_ratelimit", "rate_limit", "caller:alice:1700000040")
    await store.inner.set(counter, "many", ttl=None)
    assert await limiter.take("caller:alice", tier(2)) == Standing(
        admitted=True, limit=2, remaining=2, reset=60
    )
