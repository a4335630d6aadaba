"""Gateways whose clocks differ: nothing that a living holder has is taken from it."""

from datetime import timedelta
from uuid import uuid4

import pytest

from acteon.core import ManualClock
from acteon.state import Begin, Claimed, Ending, Settle, StateBackend, StateKey, dispatch_state
from acteon.state_dynamodb import Calls, dynamodb_backend

pytestmark = pytest.mark.server

LEASE = timedelta(seconds=30)
RENEWAL = timedelta(seconds=10)
SKEW = timedelta(seconds=15)


@pytest.fixture
def clocks(clock: ManualClock) -> tuple[ManualClock, ManualClock]:
    """Clocks that go alike, the second of which is ahead."""
    return clock, ManualClock(clock.now() + SKEW)


@pytest.fixture
def pair(
    calls: Calls, clocks: tuple[ManualClock, ManualClock]
) -> tuple[StateBackend, StateBackend]:
    behind, ahead = clocks
    return dynamodb_backend(calls, behind), dynamodb_backend(calls, ahead)


@pytest.fixture
def begin() -> Begin:
    key = StateKey("test", uuid4().hex, "dedup", "1")
    return Begin(token="mine", lease=LEASE, lock=key.tenant, claim=key)


def other(begin: Begin, *, lock: bool) -> Begin:
    return Begin(
        token="other",
        lease=LEASE,
        lock=begin.lock if lock else None,
        claim=None if lock else begin.claim,
    )


async def test_a_lease_that_is_renewed_is_kept_before_a_clock_that_is_ahead(
    pair: tuple[StateBackend, StateBackend],
    clocks: tuple[ManualClock, ManualClock],
    begin: Begin,
) -> None:
    holder, thief = (dispatch_state(backend) for backend in pair)
    for _ in range(4):
        (began,) = await holder.begin([begin])
        assert began.admitted
        for clock in clocks:
            clock.move(RENEWAL)
        (began,) = await thief.begin([other(begin, lock=True)])
        assert began.busy is not None
        (began,) = await thief.begin([other(begin, lock=False)])
        assert began.claim is Claimed.PENDING


async def test_what_a_clock_that_is_ahead_took_over_cannot_be_ended_by_the_one_before(
    pair: tuple[StateBackend, StateBackend],
    clocks: tuple[ManualClock, ManualClock],
    begin: Begin,
) -> None:
    holder, thief = (dispatch_state(backend) for backend in pair)
    await holder.begin([begin])
    for clock in clocks:
        clock.move(LEASE - SKEW)
    assert begin.claim is not None
    assert begin.lock is not None
    (taken,) = await thief.begin(
        [Begin(token="other", lease=LEASE, lock=begin.lock, claim=begin.claim)]
    )
    assert taken.admitted
    settle = Settle(token="mine", lock=begin.lock, claim=begin.claim, ending=Ending.DONE, ttl=LEASE)
    assert await holder.settle([settle]) == [False]
    assert not await pair[0].locks.extend(begin.lock, "mine", LEASE)
    assert await pair[1].store.get(begin.claim) == "pending:other"
