import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
from attrs import define, evolve, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acteon.core import ManualClock
from acteon.state import (
    Began,
    Begin,
    Claimed,
    DispatchState,
    Ending,
    LocalDispatchState,
    Settle,
    StateBackend,
    StateBackendError,
    StateConnectionError,
    StateError,
    StateKey,
    StateSerializationError,
    Trips,
    dispatch_state,
)

LEASE = timedelta(seconds=30)
HOUR = timedelta(hours=1)


@define(eq=False)
class Road(DispatchState):
    """The trips on their way to a real state: they can be seen, held up and made to fail."""

    inner: DispatchState
    begins: list[list[str]] = field(factory=list[list[str]])
    settles: list[list[str]] = field(factory=list[list[str]])
    begin_gate: asyncio.Event = field(factory=asyncio.Event)
    settle_gate: asyncio.Event = field(factory=asyncio.Event)
    failing: BaseException | None = None
    answer_lost: bool = False

    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        self.begins.append([begin.token for begin in batch])
        failing = self.failing
        await self.begin_gate.wait()
        if failing is not None:
            raise failing
        return await self.inner.begin(batch)

    async def settle(self, batch: Sequence[Settle]) -> Sequence[bool | StateError]:
        self.settles.append([settle.token for settle in batch])
        await self.settle_gate.wait()
        answers = await self.inner.settle(batch) if self.answer_lost else ()
        if self.failing is not None:
            raise self.failing
        return answers or await self.inner.settle(batch)


@pytest.fixture
def road(plain: StateBackend) -> Road:
    road = Road(dispatch_state(plain))
    road.begin_gate.set()
    road.settle_gate.set()
    return road


@pytest.fixture
def errors() -> list[StateError]:
    return []


@pytest.fixture
async def trips(road: Road, clock: ManualClock, errors: list[StateError]) -> AsyncIterator[Trips]:
    async with Trips(road, clock=clock, on_error=errors.append) as trips:
        yield trips


def begin(token: str, lock: str | None = None, claim: str | None = None) -> Begin:
    key = None if claim is None else StateKey("test", "t", "dedup", claim)
    return Begin(token=token, lease=LEASE, lock=lock or f"lock of {token}", claim=key)


def settling(begin: Begin) -> Settle:
    return Settle(token=begin.token, lock=begin.lock, claim=begin.claim)


async def turns() -> None:
    """Let everything happen that waits for nothing but its turn."""
    for _ in range(30):
        await asyncio.sleep(0)


async def is_free(state: DispatchState, wanted: Begin) -> bool:
    (began,) = await state.begin([evolve(wanted, token="probe")])
    await state.settle([evolve(settling(wanted), token="probe")])
    return began.admitted


async def test_one_alone_leaves_at_once(trips: Trips, road: Road) -> None:
    began = await trips.begin(begin("a", claim="1"))
    assert began == Began(claim=Claimed.OURS)
    assert road.begins == [["a"]]


async def test_what_comes_while_a_trip_is_under_way_shares_the_next(
    trips: Trips, road: Road
) -> None:
    road.begin_gate.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(trips.begin(begin("first")))
        await turns()
        for number in range(5):
            group.create_task(trips.begin(begin(str(number))))
        await turns()
        assert road.begins == [["first"]]
        road.begin_gate.set()

    assert road.begins == [["first"], ["0", "1", "2", "3", "4"]]


async def test_a_group_is_bounded(trips: Trips, road: Road) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(150):
            group.create_task(trips.begin(begin(str(number))))

    assert [len(batch) for batch in road.begins] == [64, 64, 22]


async def test_a_lock_and_a_claim_occur_once_in_a_group_and_keep_their_order(
    trips: Trips, road: Road
) -> None:
    async with asyncio.TaskGroup() as group:
        for token, lock, claim in [
            ("a", "L1", "C1"),
            ("b", "L2", "C1"),
            ("c", "L2", "C3"),
            ("d", "L4", "C4"),
            ("e", "L1", None),
        ]:
            group.create_task(trips.begin(begin(token, lock, claim)))

    assert road.begins == [["a", "d"], ["b", "e"], ["c"]]


async def test_a_settle_does_not_wait_for_its_trip(trips: Trips, road: Road) -> None:
    road.settle_gate.clear()
    wanted = begin("a", claim="1")
    await trips.begin(wanted)
    trips.settle(settling(wanted))
    assert trips.pending == 1
    await turns()
    assert trips.pending == 1
    road.settle_gate.set()
    await trips.flush()
    assert trips.pending == 0
    assert await is_free(road.inner, wanted)


@pytest.mark.parametrize("under_way", [True, False], ids=["under way", "queued"])
async def test_a_begin_waits_for_the_settle_of_what_it_names(
    trips: Trips, road: Road, under_way: bool
) -> None:
    wanted, other = begin("a", claim="1"), begin("b", lock="other", claim="1")
    await trips.begin(wanted)
    road.settle_gate.clear()
    trips.settle(settling(wanted))
    if under_way:
        await turns()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(trips.begin(other))
        await turns()
        assert road.begins == [["a"]]
        road.settle_gate.set()

    assert waiting.result().admitted


async def test_a_settle_waits_for_a_renewal_of_its_lease(trips: Trips, road: Road) -> None:
    wanted = begin("a", claim="1")
    await trips.begin(wanted)
    road.begin_gate.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(trips.begin(wanted))
        await turns()
        trips.settle(settling(wanted))
        await turns()
        assert road.settles == []
        road.begin_gate.set()
    await trips.flush()

    assert trips.stale == 0
    assert await is_free(road.inner, wanted)


async def test_a_failed_trip_fails_its_begins_only(trips: Trips, road: Road) -> None:
    road.begin_gate.clear()
    road.failing = StateConnectionError("away")
    async with asyncio.TaskGroup() as group:
        lost = [group.create_task(_failure(trips, begin(str(n)))) for n in range(3)]
        await turns()
        later = group.create_task(trips.begin(begin("later")))
        await turns()
        road.failing = None  # for the trips to come
        road.begin_gate.set()

    assert [task.result() for task in lost] == ["connection error: away"] * 3
    assert later.result().admitted


async def test_an_element_that_fails_by_itself_fails_alone(
    trips: Trips, plain: StateBackend
) -> None:
    broken, sound = begin("a", claim="1"), begin("b", claim="2")
    assert broken.claim is not None
    await plain.store.set(broken.claim, "something else", ttl=HOUR)
    async with asyncio.TaskGroup() as group:
        lost = group.create_task(_failure(trips, broken))
        held = group.create_task(trips.begin(sound))

    assert lost.result().startswith("serialization error")
    assert held.result().admitted


@pytest.mark.parametrize("broken", [ValueError("oops"), KeyError("oops")], ids=repr)
async def test_a_broken_backend_hangs_nobody(trips: Trips, road: Road, broken: Exception) -> None:
    road.failing = broken
    lost = await _failure(trips, begin("a"))
    assert lost == f"backend error: unexpected {type(broken).__name__}"
    road.failing = None
    assert (await trips.begin(begin("b"))).admitted


async def test_a_failed_settle_is_sent_again_until_it_succeeds(
    trips: Trips, road: Road, clock: ManualClock, errors: list[StateError]
) -> None:
    wanted = begin("a", claim="1")
    await trips.begin(wanted)
    road.failing = StateConnectionError("away")
    trips.settle(evolve(settling(wanted), ending=Ending.DONE, ttl=HOUR))
    await clock.advance(timedelta(seconds=1))
    assert trips.pending == 1
    assert 3 <= len(road.settles) <= 6
    road.failing = None
    await clock.advance(timedelta(seconds=2))
    await trips.flush()

    assert (trips.failed, trips.stale) == (0, 0)
    assert len(errors) == len(road.settles) - 1
    assert (await trips.begin(begin("b", lock="other", claim="1"))).claim is Claimed.DONE


async def test_a_settle_whose_answer_was_lost_is_not_called_stale(
    trips: Trips, road: Road, clock: ManualClock
) -> None:
    wanted = begin("a", claim="1")
    await trips.begin(wanted)
    road.failing, road.answer_lost = StateConnectionError("away"), True
    trips.settle(settling(wanted))
    await turns()
    road.failing = None
    await clock.advance(timedelta(seconds=1))
    await trips.flush()

    assert (trips.failed, trips.stale) == (0, 0)


async def test_a_settle_that_never_arrives_is_given_up_when_its_lease_is_over(
    trips: Trips, road: Road, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wanted = begin("a", claim="1")
    await trips.begin(wanted)
    road.failing = StateConnectionError("away")
    trips.settle(settling(wanted))
    await clock.advance(LEASE - timedelta(seconds=3))
    assert trips.failed == 0
    await clock.advance(timedelta(seconds=6))

    assert (trips.failed, trips.pending) == (1, 0)
    assert "a dispatch could not be settled; its lease must end by itself" in caplog.messages


async def test_nobody_waits_for_a_settle_while_the_store_is_away(
    trips: Trips, road: Road, clock: ManualClock
) -> None:
    first = begin("a", claim="1")
    await trips.begin(first)
    road.failing = StateConnectionError("away")
    trips.settle(settling(first))
    await turns()
    with pytest.raises(StateConnectionError):
        await trips.begin(begin("b", claim="1"))
    road.failing = None
    held = await trips.begin(begin("c", claim="1"))
    assert held.claim is Claimed.PENDING, "the first one holds it still"
    await clock.advance(timedelta(seconds=2))
    assert (await trips.begin(begin("d", claim="1"))).admitted


async def test_a_settle_that_cannot_succeed_is_not_sent_again(trips: Trips, road: Road) -> None:
    wanted = begin("a")
    await trips.begin(wanted)
    road.failing = StateSerializationError("nonsense")
    trips.settle(settling(wanted))
    await trips.flush()
    assert (trips.failed, len(road.settles)) == (1, 1)


async def test_a_lost_lease_is_counted(
    trips: Trips, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = begin("a", claim="1")
    await trips.begin(wanted)
    clock.move(LEASE)
    trips.settle(settling(wanted))
    await trips.flush()
    assert (trips.stale, trips.failed) == (1, 0)
    assert "a lease was over before its dispatch was settled" in caplog.messages


async def test_who_is_cancelled_before_the_trip_is_left_behind(trips: Trips, road: Road) -> None:
    road.begin_gate.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(trips.begin(begin("first")))
        await turns()
        impatient = group.create_task(trips.begin(begin("impatient")))
        await turns()
        impatient.cancel()
        await turns()
        road.begin_gate.set()
    await trips.flush()

    assert road.begins == [["first"]]
    assert road.settles == []


async def test_who_is_cancelled_on_the_way_leaves_nothing_held(trips: Trips, road: Road) -> None:
    road.begin_gate.clear()
    wanted = begin("impatient", claim="1")
    async with asyncio.TaskGroup() as group:
        impatient = group.create_task(trips.begin(wanted))
        other = group.create_task(trips.begin(begin("other")))
        await turns()
        impatient.cancel()
        await turns()
        road.begin_gate.set()
    await trips.flush()

    assert other.result().admitted
    assert road.settles == [["impatient"]]
    assert trips.stale == 0
    assert await is_free(road.inner, wanted)


async def test_who_is_cancelled_as_the_answer_comes_leaves_nothing_held(
    trips: Trips, road: Road
) -> None:
    wanted = begin("impatient", claim="1")
    seen = asyncio.Event()

    @define(eq=False)
    class Telling(DispatchState):
        async def begin(self, batch: Sequence[Begin]) -> list[Began]:
            answers = await road.begin(batch)
            seen.set()  # whoever waits for it runs after the answer has been set
            return answers

        async def settle(self, batch: Sequence[Settle]) -> Sequence[bool | StateError]:
            return await road.settle(batch)

    async with Trips(Telling()) as others:
        impatient = asyncio.ensure_future(others.begin(wanted))
        await seen.wait()
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        await turns()
        await others.flush()

    assert await is_free(road.inner, wanted)


async def test_who_is_cancelled_while_peeking_has_nothing_to_give_back(
    trips: Trips, road: Road
) -> None:
    road.begin_gate.clear()
    peeking = asyncio.ensure_future(trips.begin(evolve(begin("a", claim="1"), peek=True)))
    await turns()
    peeking.cancel()
    road.begin_gate.set()
    await trips.flush()
    assert road.settles == []


async def test_what_a_cancelled_one_may_hold_after_a_failed_trip_is_given_back(
    trips: Trips, road: Road, clock: ManualClock
) -> None:
    road.begin_gate.clear()
    road.failing = StateConnectionError("away")
    impatient = asyncio.ensure_future(trips.begin(begin("a", claim="1")))
    await turns()
    impatient.cancel()
    road.failing = None
    road.begin_gate.set()
    await trips.flush()
    assert road.settles == [["a"]]
    assert trips.stale == 0


async def test_a_cancelled_renewal_costs_nothing(trips: Trips, road: Road) -> None:
    wanted = begin("a", claim="1")
    await trips.begin(wanted)
    road.begin_gate.clear()
    renewal = asyncio.ensure_future(trips.begin(wanted))
    await turns()
    renewal.cancel()
    road.begin_gate.set()
    await turns()
    await trips.flush()

    assert road.settles == []
    assert not await is_free(road.inner, wanted)


async def test_a_cancelled_second_step_gives_back_the_claim_and_keeps_the_lock(
    trips: Trips, road: Road
) -> None:
    wanted = begin("a", claim="1")
    await trips.begin(evolve(wanted, claim=None))
    road.begin_gate.clear()
    second = asyncio.ensure_future(trips.begin(wanted))
    await turns()
    second.cancel()
    road.begin_gate.set()
    await turns()
    await trips.flush()

    assert await is_free(road.inner, evolve(wanted, lock=None))
    assert not await is_free(road.inner, evolve(wanted, claim=None))


async def test_leaving_lets_nobody_wait_and_leaves_no_task(road: Road, clock: ManualClock) -> None:
    before = asyncio.all_tasks()
    road.begin_gate.clear()
    road.settle_gate.clear()
    trips = Trips(road, clock=clock)
    async with trips, asyncio.TaskGroup() as group:
        under_way = group.create_task(_failure(trips, begin("under way")))
        await turns()
        queued = group.create_task(_failure(trips, begin("queued")))
        await turns()
        trips.settle(settling(begin("never")))
        await turns()
        await trips.__aexit__(None, None, None)

    assert under_way.result() == queued.result() == "connection error: the gateway is closing"
    assert trips.failed == 1
    assert asyncio.all_tasks() == before
    assert await _failure(trips, begin("late")) == "connection error: the gateway is closing"
    trips.settle(settling(begin("later")))
    assert trips.failed == 2


async def test_trips_that_were_not_entered_are_a_mistake(road: Road) -> None:
    with pytest.raises(RuntimeError, match="entered"):
        await Trips(road).begin(begin("early"))


@define(eq=False)
class OneBroken(Road):
    """A state that cannot settle one lock, and can settle all others."""

    broken: str = "broken"

    async def settle(self, batch: Sequence[Settle]) -> Sequence[bool | StateError]:
        self.settles.append([settle.token for settle in batch])
        answers = await self.inner.settle(batch)
        return [
            StateBackendError("no") if settle.token == self.broken else answer
            for settle, answer in zip(batch, answers, strict=True)
        ]


async def test_one_settle_that_fails_by_itself_holds_up_no_other(
    plain: StateBackend, clock: ManualClock
) -> None:
    road = OneBroken(dispatch_state(plain))
    road.begin_gate.set()
    async with Trips(road, clock=clock) as trips:
        for token in ("broken", *(str(number) for number in range(200))):
            wanted = begin(token, claim=token)
            assert (await trips.begin(wanted)).admitted
            trips.settle(evolve(settling(wanted), ending=Ending.DONE, ttl=HOUR))
        await turns()
        assert trips.pending == 1, "no time has passed"
        await clock.advance(LEASE + timedelta(seconds=3))
        await trips.flush()
        assert (trips.failed, trips.stale) == (1, 0)
        tries = [group for group in road.settles if "broken" in group]
        assert 5 < len(tries) < 30


async def test_a_renewal_that_comes_back_after_its_settle_is_forgotten(
    trips: Trips, road: Road
) -> None:
    wanted = begin("a", claim="1")
    await trips.begin(wanted)
    road.begin_gate.clear()
    renewal = asyncio.create_task(trips.begin(wanted))
    await turns()
    trips.settle(settling(wanted))
    road.begin_gate.set()
    await renewal
    await trips.flush()

    assert trips.held == 0
    assert await is_free(road.inner, wanted)


async def test_flushing_nothing_returns_at_once(trips: Trips) -> None:
    async with asyncio.timeout(1):
        await trips.flush()


@define(eq=False)
class Here(LocalDispatchState):
    """A state in this process: who holds which lock. Of token `odd` it makes nothing."""

    holders: dict[str, str] = field(factory=dict[str, str], init=False)

    def begin_now(self, wanted: Begin) -> Began:
        assert wanted.lock is not None
        if wanted.token == "odd":
            return Began(error=StateBackendError("full"))
        holder = self.holders.setdefault(wanted.lock, wanted.token)
        return Began(busy=None if holder == wanted.token else HOUR)

    def settle_now(self, settle: Settle) -> bool | StateError:
        assert settle.lock is not None
        if settle.token == "odd":
            return StateBackendError("full")
        return self.holders.pop(settle.lock, None) == settle.token


async def test_in_this_process_calls_go_straight_through() -> None:
    here = Here()
    before = asyncio.all_tasks()
    wanted = begin("a")
    async with Trips(here) as trips:
        assert (await trips.begin(wanted)).admitted
        assert not (await trips.begin(evolve(wanted, token="b"))).admitted
        trips.settle(settling(wanted))
        assert (here.holders, asyncio.all_tasks()) == ({}, before)
        await trips.flush()
        trips.settle(settling(wanted))
        assert trips.stale == 1


async def test_in_this_process_failures_are_told_alike(errors: list[StateError]) -> None:
    async with Trips(Here(), on_error=errors.append) as trips:
        assert await _failure(trips, begin("odd")) == "backend error: full"
        trips.settle(settling(begin("odd")))
        assert (trips.failed, len(errors)) == (1, 1)


async def test_in_this_process_a_broken_backend_fails_its_dispatch_and_no_settle(
    errors: list[StateError],
) -> None:
    class Broken(LocalDispatchState):
        def begin_now(self, wanted: Begin) -> Began:
            raise LookupError("begin")

        def settle_now(self, settle: Settle) -> bool:
            raise LookupError("settle")

    async with Trips(Broken(), on_error=errors.append) as trips:
        assert await _failure(trips, begin("a")) == "backend error: unexpected LookupError"
        trips.settle(settling(begin("a")))
        assert (trips.failed, len(errors)) == (1, 1)


async def test_what_lives_in_this_process_takes_batches_like_any_other() -> None:
    here = Here()
    began = await here.begin([begin("a"), evolve(begin("a"), token="b"), begin("odd")])
    assert [one.admitted for one in began] == [True, False, False]
    settles = [settling(begin("a")), settling(begin("a")), settling(begin("odd"))]
    done, stale, failed = await here.settle(settles)
    assert (done, stale, str(failed)) == (True, False, "backend error: full")


async def test_a_backend_that_answers_too_few_fails_its_trip(road: Road) -> None:
    @define(eq=False)
    class Short(DispatchState):
        async def begin(self, batch: Sequence[Begin]) -> list[Began]:
            return (await road.inner.begin(batch))[1:]

        async def settle(self, batch: Sequence[Settle]) -> Sequence[bool | StateError]:
            return await road.inner.settle(batch)

    async with Trips(Short()) as trips:
        lost = await _failure(trips, begin("a"))
    assert lost == "backend error: wanted 1 answers, found 0"


@given(
    dispatches=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.none() | st.integers(0, 40)),
        max_size=40,
    )
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whoever_is_cancelled_whenever_nothing_stays_held(
    plain: StateBackend, clock: ManualClock, dispatches: list[tuple[int, int, int | None]]
) -> None:
    before = asyncio.all_tasks()
    state = dispatch_state(plain)

    async def dispatch(trips: Trips, wanted: Begin) -> None:
        began = await trips.begin(wanted)
        if began.admitted:
            try:
                await asyncio.sleep(0)
            finally:
                trips.settle(settling(wanted))

    async with Trips(state, clock=clock) as trips:
        async with asyncio.TaskGroup() as group:
            for number, (lock, claim, patience) in enumerate(dispatches):
                wanted = begin(f"t{number}", f"L{lock}", f"C{claim}")
                task = group.create_task(dispatch(trips, wanted))
                if patience is not None:
                    group.create_task(_cancel_after(task, patience))
        await trips.flush()
        assert trips.pending == trips.stale == trips.failed == 0

    for lock in range(4):
        for claim in range(3):
            assert await is_free(state, begin("x", f"L{lock}", f"C{claim}"))
    assert asyncio.all_tasks() == before


async def _failure(trips: Trips, wanted: Begin) -> str:
    with pytest.raises(StateError) as caught:
        await trips.begin(wanted)
    return str(caught.value)


async def _cancel_after(task: "asyncio.Task[None]", patience: int) -> None:
    for _ in range(patience):
        await asyncio.sleep(0)
    task.cancel()


@define(eq=False)
class Roads(Road):
    """A road for each begin, of which some are held up."""

    independent = True

    slow: set[str] = field(factory=set[str])

    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        (wanted,) = batch
        self.begins.append([wanted.token])
        if wanted.token in self.slow:
            await self.begin_gate.wait()
        return await self.inner.begin(batch)


@pytest.fixture
async def roads(plain: StateBackend) -> Roads:
    roads = Roads(dispatch_state(plain), slow={"slow"})
    roads.settle_gate.set()
    return roads


async def test_where_elements_are_independent_a_slow_one_keeps_no_other_waiting(
    roads: Roads, clock: ManualClock
) -> None:
    async with Trips(roads, clock=clock) as trips:
        slow = asyncio.create_task(trips.begin(begin("slow")))
        await turns()
        others = [await trips.begin(begin(f"{number}")) for number in range(3)]
        assert [one.admitted for one in others] == [True] * 3
        assert not slow.done()
        roads.begin_gate.set()
        assert (await slow).admitted


async def test_of_independent_ones_those_with_one_name_keep_their_order(
    roads: Roads, clock: ManualClock
) -> None:
    async with Trips(roads, clock=clock) as trips:
        slow = asyncio.create_task(trips.begin(begin("slow", lock="one")))
        await turns()
        second = asyncio.create_task(trips.begin(begin("second", lock="one")))
        third = asyncio.create_task(trips.begin(begin("third", claim="c")))
        await turns()
        assert roads.begins == [["slow"], ["third"]]
        assert third.done()
        roads.begin_gate.set()
        assert (await slow).admitted
        assert (await second).busy is not None


async def test_of_independent_ones_so_many_are_under_way_and_no_more(
    roads: Roads, clock: ManualClock
) -> None:
    roads.slow = {f"{number}" for number in range(200)}
    async with Trips(roads, clock=clock) as trips:
        tasks = [asyncio.create_task(trips.begin(begin(token))) for token in roads.slow]
        await turns()
        assert len(roads.begins) == Roads.max_batch
        roads.begin_gate.set()
        assert all([(await task).admitted for task in tasks])
        assert len(roads.begins) == 200
        assert trips.held == 200
