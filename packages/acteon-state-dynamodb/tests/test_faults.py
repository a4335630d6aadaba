"""What the real DynamoDB does now and then, and DynamoDB Local never: throttle, conflict, fail."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol
from uuid import uuid4

import pytest

from acteon.state import (
    Began,
    Begin,
    Claimed,
    Quota,
    Settle,
    StateBackend,
    StateBackendError,
    StateConnectionError,
    StateKey,
    dispatch_state,
)
from acteon.state_dynamodb import Calls, dynamodb_backend
from acteon.state_dynamodb.calls import PAUSES

pytestmark = pytest.mark.server

HOUR = timedelta(hours=1)
THROTTLED: Mapping[str, Any] = {
    "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
    "message": "The level of configured provisioned throughput for the table was exceeded.",
}
FAILED: Mapping[str, Any] = {
    "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError",
    "message": "Internal server error",
}
DENIED: Mapping[str, Any] = {
    "__type": "com.amazon.coral.service#AccessDeniedException",
    "Message": "User: arn:aws:iam::123:user/x is not authorized to perform: dynamodb:PutItem",
}
IN_USE: Mapping[str, Any] = {
    "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
    "message": "Transaction is ongoing for the item",
}


def cancelled(*codes: str) -> Mapping[str, Any]:
    return {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": f"Transaction cancelled, see the reasons [{', '.join(codes)}]",
        "CancellationReasons": [{"Code": code} for code in codes],
    }


class Meddler(Protocol):
    calls: list[str]
    requests: list[Any]

    def fail(self, operation: str, *faults: Mapping[str, Any] | str) -> None: ...


@pytest.fixture
def key() -> StateKey:
    return StateKey("test", uuid4().hex, "dedup", "1")


@pytest.fixture
def backend(meddled: Calls) -> StateBackend:
    return dynamodb_backend(meddled)


@pytest.fixture
def begin(key: StateKey) -> Begin:
    quota = Quota(key._replace(kind="rate_limit"), 5, HOUR)
    return Begin(token="mine", lease=HOUR, lock=key.tenant, claim=key, quotas=(quota,))


async def begun(backend: StateBackend, begin: Begin) -> Began:
    (began,) = await dispatch_state(backend).begin([begin])
    return began


async def test_what_is_throttled_is_asked_again(
    backend: StateBackend, meddler: Meddler, key: StateKey
) -> None:
    meddler.fail("UpdateItem", THROTTLED, THROTTLED)
    assert await backend.store.increment(key, ttl=HOUR) == 1
    assert meddler.calls == ["UpdateItem"] * 3


async def test_what_is_throttled_again_and_again_fails_in_the_end(
    backend: StateBackend, meddler: Meddler, key: StateKey, caplog: pytest.LogCaptureFixture
) -> None:
    meddler.fail("PutItem", *[THROTTLED] * 99)
    with pytest.raises(StateBackendError, match="throughput for the table was exceeded") as error:
        await backend.store.set(key, "mine", ttl=HOUR)
    assert error.value.retryable
    assert meddler.calls == ["PutItem"] * (len(PAUSES) + 1)
    assert caplog.records == []


async def test_transactions_that_meet_are_made_again(
    backend: StateBackend, meddler: Meddler, begin: Begin
) -> None:
    meddler.fail(
        "TransactWriteItems",
        cancelled("None", "TransactionConflict", "None"),
        cancelled("ThrottlingError", "None", "TransactionConflict"),
    )
    assert await begun(backend, begin) == Began(claim=Claimed.OURS)
    assert meddler.calls == ["TransactWriteItems"] * 3
    assert await backend.store.get(begin.quotas[0].key) == "1"


async def test_a_write_that_meets_a_transaction_is_made_again(
    backend: StateBackend, meddler: Meddler, begin: Begin
) -> None:
    assert (await begun(backend, begin)).admitted
    meddler.fail("DeleteItem", IN_USE, IN_USE, IN_USE)
    settle = Settle(token=begin.token, lock=begin.lock, claim=begin.claim)
    assert await dispatch_state(backend).settle([settle]) == [True]


async def test_a_begin_whose_answer_was_lost_counts_once(
    backend: StateBackend, meddler: Meddler, begin: Begin
) -> None:
    meddler.fail("TransactWriteItems", "lost", "lost")
    assert await begun(backend, begin) == Began(claim=Claimed.OURS)
    assert meddler.calls == ["TransactWriteItems"] * 3
    assert await backend.store.get(begin.quotas[0].key) == "1"


async def test_a_lock_whose_answer_was_lost_is_ours(
    backend: StateBackend, meddler: Meddler, key: StateKey
) -> None:
    meddler.fail("PutItem", "lost", FAILED)
    assert await backend.locks.try_acquire(key.tenant, "mine", HOUR) is None
    assert await backend.locks.try_acquire(key.tenant, "yours", HOUR) is not None


@pytest.mark.parametrize("fault", ["lost", FAILED], ids=["lost", "failed"])
async def test_what_might_have_been_done_is_not_done_twice(
    backend: StateBackend, meddler: Meddler, key: StateKey, fault: Mapping[str, Any] | str
) -> None:
    counter = key._replace(kind="counter")
    meddler.fail("UpdateItem", fault)
    with pytest.raises(StateConnectionError):
        await backend.store.increment(counter, ttl=HOUR)
    meddler.fail("PutItem", fault)
    with pytest.raises(StateConnectionError):
        await backend.store.check_and_set(key, "mine", ttl=HOUR)
    done = fault == "lost"
    assert meddler.calls == ["UpdateItem", "PutItem"]
    assert await backend.store.get(counter) == ("1" if done else None)
    assert await backend.store.get(key) == ("mine" if done else None)


async def test_a_long_text_whose_parts_cannot_be_written_is_not_there(
    backend: StateBackend, meddler: Meddler, key: StateKey
) -> None:
    meddler.fail("PutItem", IN_USE, FAILED)
    with pytest.raises(StateConnectionError):
        await backend.store.set(key, "x" * 500_000, ttl=HOUR)
    assert await backend.store.get(key) is None


async def test_reading_goes_on_after_a_failure(
    backend: StateBackend, meddler: Meddler, key: StateKey
) -> None:
    await backend.store.set(key, "mine", ttl=HOUR)
    meddler.fail("GetItem", "lost", FAILED, THROTTLED)
    assert await backend.store.get(key) == "mine"


async def test_one_begin_that_fails_leaves_the_others(
    backend: StateBackend, meddler: Meddler, begin: Begin, key: StateKey
) -> None:
    meddler.fail("PutItem", DENIED)
    both = [
        Begin(token=token, lease=HOUR, claim=key._replace(id=token)) for token in ("one", "two")
    ]
    began = await dispatch_state(backend).begin(both)
    assert sorted(one.admitted for one in began) == [False, True]
    (error,) = [str(one.error) for one in began if one.error is not None]
    assert "dynamodb at http://127.0.0.1" in error
    assert "the AWS credentials were refused: User:" in error


async def test_a_failed_settle_of_the_claim_does_not_keep_the_lock(
    backend: StateBackend, meddler: Meddler, begin: Begin
) -> None:
    assert (await begun(backend, begin)).admitted
    meddler.fail("DeleteItem", FAILED)
    settle = Settle(token=begin.token, lock=begin.lock, claim=begin.claim)
    (settled,) = await dispatch_state(backend).settle([settle])
    assert isinstance(settled, StateConnectionError)
    assert begin.lock is not None
    assert await backend.locks.try_acquire(begin.lock, "yours", HOUR) is None


async def test_a_failing_dynamodb_is_told_once_and_its_return_too(
    backend: StateBackend, meddler: Meddler, key: StateKey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    meddler.fail("PutItem", FAILED, FAILED, FAILED)
    for _ in range(3):
        with pytest.raises(StateConnectionError, match="Internal server error"):
            await backend.store.set(key, "mine", ttl=HOUR)
    for _ in range(3):
        await backend.store.set(key, "mine", ttl=HOUR)
    assert [(one.levelname, one.message) for one in caplog.records] == [
        ("WARNING", "the state store is lost"),
        ("INFO", "the state store is back"),
    ]


async def test_all_reads_are_strongly_consistent(meddled: Calls, meddler: Meddler) -> None:
    meddler.requests.clear()
    backend = dynamodb_backend(meddled)
    keys = [StateKey("shop", uuid4().hex, "state", name) for name in "ab"]
    await backend.store.get(keys[0])
    await dispatch_state(backend).begin([Begin(token="t", lease=HOUR, reads=tuple(keys))])
    single, batch = meddler.requests
    assert single["ConsistentRead"] is True
    ((_, asked),) = batch["RequestItems"].items()
    assert asked["ConsistentRead"] is True
