"""How every backend begins and settles dispatches, as tests."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from attrs import evolve

from acteon.state.dispatch import (
    DONE,
    PENDING,
    UNKNOWN,
    Began,
    Begin,
    Claimed,
    DispatchState,
    Ending,
    Quota,
    Settle,
)
from acteon.state.errors import StateError, StateSerializationError
from acteon.state.keys import StateKey
from acteon.state.store import Locks, StateStore
from acteon.state.testing.fixtures import HOUR, BackendFixtures, PassTime, on_time, together

INSTANT = "2025-01-01T00:00:00Z"
SLACK = timedelta(milliseconds=1)


async def begin_one(dispatch: DispatchState, begin: Begin) -> Began:
    """Begin `begin` alone."""
    (began,) = await dispatch.begin([begin])
    return began


async def settle_one(dispatch: DispatchState, settle: Settle) -> bool | StateError:
    """Settle `settle` alone."""
    (settled,) = await dispatch.settle([settle])
    return settled


@pytest.mark.anyio
class DispatchStateConformance(BackendFixtures):
    """What every `DispatchState` promises, the adapter over the primitives included."""

    @pytest.fixture
    def begin(self, name: str, key: StateKey) -> Begin:
        """Give a begin with a lock and a claim."""
        return Begin(token="mine", lease=HOUR, lock=name, claim=key)

    @pytest.fixture
    def settle(self, begin: Begin) -> Settle:
        """Give the settle that releases it."""
        return Settle(token=begin.token, lock=begin.lock, claim=begin.claim)

    @pytest.fixture
    def quotas(self, key: StateKey) -> tuple[Quota, Quota]:
        """Give a quota with room for five, and one with room for one."""
        return (
            Quota(key._replace(kind="rate_limit", id="five"), 5, HOUR),
            Quota(key._replace(kind="rate_limit", id="one"), 1, HOUR),
        )

    async def test_what_is_free_is_held(
        self, dispatch: DispatchState, store: StateStore, locks: Locks, begin: Begin
    ) -> None:
        began = await begin_one(dispatch, begin)

        assert began == Began(claim=Claimed.OURS)
        assert began.admitted
        assert begin.claim is not None
        assert begin.lock is not None
        assert await store.get(begin.claim) == PENDING + begin.token
        assert await locks.try_acquire(begin.lock, "other", HOUR) is not None

    async def test_what_is_not_asked_for_is_not_held(
        self, dispatch: DispatchState, begin: Begin
    ) -> None:
        assert await begin_one(dispatch, Begin(token="mine", lease=HOUR)) == Began()
        assert await begin_one(dispatch, evolve(begin, claim=None)) == Began()
        assert (await begin_one(dispatch, evolve(begin, lock=None))).claim is Claimed.OURS

    async def test_a_held_lock_is_busy(self, dispatch: DispatchState, begin: Begin) -> None:
        await begin_one(dispatch, evolve(begin, claim=None))
        began = await begin_one(dispatch, evolve(begin, token="other"))

        assert not began.admitted
        assert began.busy is not None
        assert HOUR - timedelta(minutes=1) < began.busy <= HOUR + SLACK
        assert began.claim is Claimed.NONE

    async def test_a_lock_of_the_store_is_the_same_lock(
        self, dispatch: DispatchState, locks: Locks, begin: Begin
    ) -> None:
        assert begin.lock is not None
        await locks.try_acquire(begin.lock, "other", HOUR)
        assert (await begin_one(dispatch, begin)).busy is not None
        await locks.release(begin.lock, "other")
        assert (await begin_one(dispatch, begin)).admitted

    async def test_a_pending_claim_refuses_and_takes_no_lock(
        self, dispatch: DispatchState, locks: Locks, begin: Begin, name: str
    ) -> None:
        await begin_one(dispatch, begin)
        began = await begin_one(dispatch, evolve(begin, token="other", lock=name + "2"))

        assert not began.admitted
        assert began.claim is Claimed.PENDING
        assert began.detail == "" or 0 < int(began.detail) <= HOUR.total_seconds() * 1000 + 1
        assert await locks.try_acquire(name + "2", "third", HOUR) is None

    @pytest.mark.parametrize("ending", [Ending.DONE, Ending.UNKNOWN])
    async def test_a_claim_that_has_ended_says_how(
        self,
        dispatch: DispatchState,
        store: StateStore,
        begin: Begin,
        settle: Settle,
        ending: Ending,
    ) -> None:
        await begin_one(dispatch, begin)
        ended = evolve(settle, ending=ending, instant=INSTANT, ttl=HOUR)
        assert await settle_one(dispatch, ended) is True
        began = await begin_one(dispatch, evolve(begin, token="other"))

        assert not began.admitted
        assert begin.claim is not None
        if ending is Ending.DONE:
            assert (began.claim, began.detail) == (Claimed.DONE, "")
            assert await store.get(begin.claim) == DONE
        else:
            assert (began.claim, began.detail) == (Claimed.UNKNOWN, INSTANT)
            assert await store.get(begin.claim) == UNKNOWN + INSTANT

    async def test_what_is_released_can_be_held_again(
        self, dispatch: DispatchState, store: StateStore, begin: Begin, settle: Settle
    ) -> None:
        await begin_one(dispatch, begin)
        assert await settle_one(dispatch, settle) is True
        assert begin.claim is not None
        assert await store.get(begin.claim) is None
        assert (await begin_one(dispatch, evolve(begin, token="other"))).admitted

    async def test_how_it_ended_lasts_as_long_as_the_settle_says(
        self,
        dispatch: DispatchState,
        begin: Begin,
        settle: Settle,
        pass_time: PassTime,
        moment: timedelta,
    ) -> None:
        await begin_one(dispatch, begin)
        await settle_one(dispatch, evolve(settle, ending=Ending.DONE, ttl=moment))
        await pass_time(moment)
        assert (await begin_one(dispatch, begin)).admitted

        await settle_one(dispatch, evolve(settle, ending=Ending.DONE, ttl=None))
        await pass_time(moment)
        assert (await begin_one(dispatch, begin)).claim is Claimed.DONE

    async def test_leases_end_by_themselves(
        self, dispatch: DispatchState, begin: Begin, pass_time: PassTime, moment: timedelta
    ) -> None:
        await begin_one(dispatch, evolve(begin, lease=moment))
        await pass_time(moment)
        assert (await begin_one(dispatch, evolve(begin, token="other"))).admitted

    @on_time
    async def test_beginning_again_renews(
        self, dispatch: DispatchState, begin: Begin, pass_time: PassTime, moment: timedelta
    ) -> None:
        short = evolve(begin, lease=2 * moment)
        await begin_one(dispatch, short)
        await pass_time(moment)
        assert await begin_one(dispatch, short) == Began(claim=Claimed.OURS)
        await pass_time(moment)
        other = evolve(short, token="other")
        assert (await begin_one(dispatch, other)).busy is not None
        assert (await begin_one(dispatch, evolve(other, lock=None))).claim is Claimed.PENDING

    async def test_a_refused_claim_does_not_cost_the_lock_held_before(
        self, dispatch: DispatchState, begin: Begin, name: str
    ) -> None:
        await begin_one(dispatch, evolve(begin, token="other", lock=name + "2"))
        assert (await begin_one(dispatch, evolve(begin, claim=None))).admitted
        assert (await begin_one(dispatch, begin)).claim is Claimed.PENDING

        third = await begin_one(dispatch, evolve(begin, token="third"))
        assert third.busy is not None

    async def test_a_stale_settle_changes_nothing_of_the_next_one(
        self,
        dispatch: DispatchState,
        store: StateStore,
        begin: Begin,
        settle: Settle,
        pass_time: PassTime,
        moment: timedelta,
    ) -> None:
        await begin_one(dispatch, evolve(begin, lease=moment))
        await pass_time(moment)
        assert (await begin_one(dispatch, evolve(begin, token="other"))).admitted

        assert await settle_one(dispatch, evolve(settle, ending=Ending.DONE, ttl=HOUR)) is False
        assert begin.claim is not None
        assert await store.get(begin.claim) == PENDING + "other"
        assert (await begin_one(dispatch, evolve(begin, token="third"))).busy is not None

    async def test_a_lease_that_is_over_cannot_be_settled(
        self,
        dispatch: DispatchState,
        store: StateStore,
        begin: Begin,
        settle: Settle,
        pass_time: PassTime,
        moment: timedelta,
    ) -> None:
        await begin_one(dispatch, evolve(begin, lease=moment))
        await pass_time(moment)
        assert await settle_one(dispatch, evolve(settle, ending=Ending.DONE, ttl=HOUR)) is False
        assert begin.claim is not None
        assert await store.get(begin.claim) is None

    def test_each_quota_counts_in_an_entry_of_its_own(self, begin: Begin, key: StateKey) -> None:
        with pytest.raises(ValueError, match="in an entry of its own"):
            evolve(begin, quotas=(Quota(key, 1, HOUR), Quota(key, 2, HOUR)))

    async def test_a_lock_whose_lease_is_over_cannot_be_settled(
        self,
        dispatch: DispatchState,
        begin: Begin,
        settle: Settle,
        pass_time: PassTime,
        moment: timedelta,
    ) -> None:
        await begin_one(dispatch, evolve(begin, claim=None, lease=moment))
        await pass_time(moment)
        assert await settle_one(dispatch, evolve(settle, claim=None)) is False

    async def test_settling_again_is_harmless(
        self, dispatch: DispatchState, begin: Begin, settle: Settle
    ) -> None:
        done = evolve(settle, ending=Ending.DONE, ttl=HOUR)
        await begin_one(dispatch, begin)
        assert await settle_one(dispatch, done) is True
        assert await settle_one(dispatch, done) is False
        assert (await begin_one(dispatch, begin)).claim is Claimed.DONE

    async def test_a_lost_claim_does_not_keep_the_lock(
        self, dispatch: DispatchState, store: StateStore, begin: Begin, settle: Settle
    ) -> None:
        await begin_one(dispatch, begin)
        assert begin.claim is not None
        await store.set(begin.claim, PENDING + "other", ttl=HOUR)
        assert await settle_one(dispatch, settle) is False
        assert (await begin_one(dispatch, evolve(begin, token="third", claim=None))).admitted
        assert await store.get(begin.claim) == PENDING + "other"

    async def test_what_is_read_comes_in_its_order(
        self, dispatch: DispatchState, store: StateStore, begin: Begin, key: StateKey
    ) -> None:
        keys = [key._replace(kind="state", id=str(n)) for n in range(3)]
        await store.set(keys[0], "first", ttl=HOUR)
        await store.increment(keys[2], 7, ttl=HOUR)
        reading = evolve(begin, reads=tuple(keys))

        assert (await begin_one(dispatch, reading)).values == ("first", None, "7")
        pending = await begin_one(dispatch, evolve(reading, token="other", lock=None))
        assert pending.claim is Claimed.PENDING
        assert pending.values == ("first", None, "7")

    async def test_each_quota_counts_one(
        self,
        dispatch: DispatchState,
        store: StateStore,
        begin: Begin,
        quotas: tuple[Quota, Quota],
    ) -> None:
        began = await begin_one(dispatch, evolve(begin, quotas=quotas))
        assert began == Began(claim=Claimed.OURS)
        assert [await store.get(quota.key) for quota in quotas] == ["1", "1"]

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["full one last", "full one first"])
    async def test_a_quota_without_room_refuses_all(
        self,
        dispatch: DispatchState,
        store: StateStore,
        begin: Begin,
        quotas: tuple[Quota, Quota],
        order: Sequence[int],
    ) -> None:
        await store.take(quotas[1].key, 1, HOUR)
        wanted = tuple(quotas[place] for place in order)
        began = await begin_one(dispatch, evolve(begin, quotas=wanted))

        assert not began.admitted
        assert began.claim is Claimed.NONE
        assert began.refused is not None
        place, remaining = began.refused
        assert place == order.index(1)
        assert timedelta(0) < remaining <= HOUR
        assert [await store.get(quota.key) for quota in quotas] == [None, "1"]
        assert begin.claim is not None
        assert await store.get(begin.claim) is None
        assert (await begin_one(dispatch, evolve(begin, token="other"))).admitted

    async def test_a_refused_quota_keeps_what_was_held_before(
        self,
        dispatch: DispatchState,
        store: StateStore,
        begin: Begin,
        quotas: tuple[Quota, Quota],
    ) -> None:
        await store.take(quotas[1].key, 1, HOUR)
        await begin_one(dispatch, begin)
        assert not (await begin_one(dispatch, evolve(begin, quotas=quotas))).admitted
        assert begin.claim is not None
        assert await store.get(begin.claim) == PENDING + begin.token
        assert (await begin_one(dispatch, evolve(begin, token="other"))).busy is not None

    async def test_a_refused_claim_counts_nothing(
        self,
        dispatch: DispatchState,
        store: StateStore,
        begin: Begin,
        quotas: tuple[Quota, Quota],
    ) -> None:
        await begin_one(dispatch, begin)
        other = evolve(begin, token="other", lock=None, quotas=quotas)
        assert (await begin_one(dispatch, other)).claim is Claimed.PENDING
        assert [await store.get(quota.key) for quota in quotas] == [None, None]

    async def test_a_quota_of_zero_refuses_and_tells_the_window(
        self, dispatch: DispatchState, begin: Begin, quotas: tuple[Quota, Quota]
    ) -> None:
        none = evolve(quotas[0], limit=0)
        began = await begin_one(dispatch, evolve(begin, quotas=(none,)))
        assert began.refused == (0, HOUR)

    async def test_a_quota_that_cannot_be_asked_lets_through_and_says_so(
        self,
        dispatch: DispatchState,
        store: StateStore,
        begin: Begin,
        quotas: tuple[Quota, Quota],
    ) -> None:
        await store.set(quotas[0].key, "many", ttl=HOUR)
        began = await begin_one(dispatch, evolve(begin, quotas=quotas))

        assert began.admitted
        assert isinstance(began.quota_error, StateSerializationError)
        assert await store.get(quotas[1].key) == "1"

    async def test_a_claim_that_is_none_fails_its_own_begin_only(
        self, dispatch: DispatchState, store: StateStore, begin: Begin, name: str
    ) -> None:
        assert begin.claim is not None
        await store.set(begin.claim, "something else", ttl=HOUR)
        sound = evolve(begin, lock=name + "2", claim=begin.claim._replace(id="2"))
        broken, whole = await dispatch.begin([begin, sound])

        assert isinstance(broken.error, StateSerializationError)
        assert not broken.admitted
        assert whole.admitted
        assert (await begin_one(dispatch, evolve(begin, token="other", claim=None))).admitted

    async def test_peeking_changes_nothing(
        self,
        dispatch: DispatchState,
        store: StateStore,
        begin: Begin,
        quotas: tuple[Quota, Quota],
    ) -> None:
        peek = evolve(begin, quotas=quotas, peek=True)
        assert await begin_one(dispatch, peek) == Began(claim=Claimed.OURS)
        assert begin.claim is not None
        assert await store.get(begin.claim) is None
        assert [await store.get(quota.key) for quota in quotas] == [None, None]
        assert (await begin_one(dispatch, evolve(begin, token="other"))).admitted

    async def test_peeking_tells_how_things_stand(
        self,
        dispatch: DispatchState,
        store: StateStore,
        begin: Begin,
        settle: Settle,
        quotas: tuple[Quota, Quota],
    ) -> None:
        peek = evolve(begin, token="other", quotas=quotas, peek=True)
        await begin_one(dispatch, begin)
        began = await begin_one(dispatch, peek)
        assert began.busy is None  # the lock is left out
        assert began.claim is Claimed.PENDING

        await settle_one(dispatch, evolve(settle, ending=Ending.DONE, ttl=HOUR))
        assert (await begin_one(dispatch, peek)).claim is Claimed.DONE

        await store.take(quotas[1].key, 1, HOUR)
        refused = (await begin_one(dispatch, evolve(peek, claim=None))).refused
        assert refused is not None
        assert refused[0] == 1
        assert await store.get(quotas[1].key) == "1"

    async def test_a_batch_is_answered_in_its_order(
        self, dispatch: DispatchState, begin: Begin, settle: Settle, key: StateKey
    ) -> None:
        batch = [
            evolve(begin, token=f"t{n}", lock=f"{begin.lock}{n}", claim=key._replace(id=str(n)))
            for n in range(dispatch.max_batch)
        ]
        await dispatch.begin(batch[::2])
        began = await dispatch.begin([evolve(one, token="other") for one in batch])
        assert [one.admitted for one in began] == [n % 2 == 1 for n in range(len(batch))]

        settled = await dispatch.settle(
            [evolve(settle, token=one.token, lock=one.lock, claim=one.claim) for one in batch]
        )
        assert list(settled) == [n % 2 == 0 for n in range(len(batch))]

    async def test_a_batch_shares_a_quota(
        self, dispatch: DispatchState, begin: Begin, quotas: tuple[Quota, Quota]
    ) -> None:
        batch = [
            evolve(begin, token=f"t{n}", lock=f"{begin.lock}{n}", claim=None, quotas=quotas[:1])
            for n in range(8)
        ]
        assert sum(began.admitted for began in await dispatch.begin(batch)) == 5

    async def test_of_many_at_once_one_has_the_claim(
        self, dispatch: DispatchState, begin: Begin
    ) -> None:
        began = await together(
            begin_one(dispatch, evolve(begin, token=f"t{n}", lock=f"{begin.lock}{n}"))
            for n in range(50)
        )
        standing = [one.claim for one in began]
        assert standing.count(Claimed.OURS) == 1
        assert standing.count(Claimed.PENDING) == 49

    async def test_of_many_at_once_one_has_the_lock(
        self, dispatch: DispatchState, begin: Begin
    ) -> None:
        began = await together(
            begin_one(dispatch, evolve(begin, token=f"t{n}", claim=None)) for n in range(50)
        )
        assert sum(one.admitted for one in began) == 1
        assert sum(one.busy is not None for one in began) == 49
