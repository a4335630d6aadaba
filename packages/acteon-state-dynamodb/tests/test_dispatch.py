"""What a begin does besides the promises of all backends: how much it asks, and odd counters."""

from datetime import timedelta
from typing import Protocol
from uuid import uuid4

import pytest
from attrs import evolve

from acteon.core import ManualClock
from acteon.state import (
    Began,
    Begin,
    Ending,
    Quota,
    Settle,
    StateBackend,
    StateKey,
    dispatch_state,
)
from acteon.state_dynamodb import Calls, dynamodb_backend

pytestmark = pytest.mark.server

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Meddler(Protocol):
    calls: list[str]


@pytest.fixture
def begin() -> Begin:
    key = StateKey("test", uuid4().hex, "dedup", "1")
    return Begin(token="mine", lease=MINUTE, lock=key.tenant, claim=key)


@pytest.fixture
def quota(begin: Begin) -> Quota:
    assert begin.claim is not None
    return Quota(begin.claim._replace(kind="rate_limit"), 2, HOUR)


async def begun(backend: StateBackend, begin: Begin) -> Began:
    (began,) = await dispatch_state(backend).begin([begin])
    return began


async def test_a_dispatch_asks_no_more_than_it_must(
    meddled: Calls, meddler: Meddler, begin: Begin, quota: Quota
) -> None:
    backend = dynamodb_backend(meddled)

    async def asked(begin: Begin) -> list[str]:
        meddler.calls.clear()
        await begun(backend, begin)
        return list(meddler.calls)

    quotas, reads = (quota,), (quota.key,)
    assert await asked(begin) == ["TransactWriteItems"]
    assert await asked(evolve(begin, quotas=quotas)) == ["TransactWriteItems"]
    assert await asked(evolve(begin, claim=None)) == ["PutItem"]
    assert await asked(evolve(begin, lock=None)) == ["PutItem"]
    assert await asked(Begin(token="mine", lease=HOUR, quotas=quotas)) == ["UpdateItem"]
    assert await asked(Begin(token="mine", lease=HOUR)) == []
    assert await asked(evolve(begin, reads=reads)) == ["TransactWriteItems", "GetItem"]
    assert await asked(evolve(begin, reads=reads, peek=True)) == ["GetItem", "BatchGetItem"]
    refused = evolve(begin, token="other", reads=reads)
    assert await asked(refused) == ["TransactWriteItems"]
    assert await asked(evolve(refused, lock=None)) == ["PutItem", "GetItem"]

    meddler.calls.clear()
    settle = Settle(token="mine", lock=begin.lock, claim=begin.claim, ending=Ending.DONE)
    assert await dispatch_state(backend).settle([settle]) == [True]
    assert meddler.calls == ["PutItem", "DeleteItem"]


async def test_a_window_that_is_over_opens_again_with_the_dispatch(
    backend: StateBackend, begin: Begin, quota: Quota, clock: ManualClock
) -> None:
    counted = evolve(begin, quotas=(quota,))
    for _ in range(2):
        assert (await begun(backend, counted)).admitted
    assert (await begun(backend, counted)).refused == (0, HOUR)
    clock.move(HOUR)
    assert (await begun(backend, counted)).admitted
    assert await backend.store.get(quota.key) == "1"


async def test_a_count_that_was_set_as_a_text_is_counted_on(
    backend: StateBackend, begin: Begin, quota: Quota
) -> None:
    await backend.store.set(quota.key, "1", ttl=MINUTE)
    counted = evolve(begin, quotas=(quota,))
    assert (await begun(backend, counted)).admitted
    assert await backend.store.get(quota.key) == "2"
    refused = (await begun(backend, counted)).refused
    assert refused is not None
    assert refused[1] <= MINUTE


async def test_a_counter_without_an_end_keeps_none(
    backend: StateBackend, begin: Begin, quota: Quota, clock: ManualClock
) -> None:
    await backend.store.increment(quota.key, ttl=None)
    counted = evolve(begin, quotas=(quota,))
    assert (await begun(backend, counted)).admitted
    assert (await begun(backend, counted)).refused == (0, HOUR)
    clock.move(100 * HOUR)
    assert await backend.store.get(quota.key) == "2"


async def test_a_claim_on_what_an_expired_one_left_is_had(
    backend: StateBackend, begin: Begin, clock: ManualClock
) -> None:
    assert (await begun(backend, begin)).admitted
    clock.move(MINUTE)
    assert (await begun(backend, evolve(begin, token="other"))).admitted


async def test_a_large_text_in_the_place_of_a_claim_is_told(
    backend: StateBackend, begin: Begin
) -> None:
    assert begin.claim is not None
    await backend.store.set(begin.claim, "x" * 500_000, ttl=HOUR)
    began = await begun(backend, begin)
    assert "expected a text or a number" in str(began.error)
    assert begin.lock is not None
    assert await backend.locks.try_acquire(begin.lock, "other", HOUR) is None
