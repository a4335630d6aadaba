"""Texts that no item can hold: whole or not there, and nothing of them is left behind."""

import asyncio
import random
import string
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol
from uuid import uuid4

import pytest

from acteon.core import ManualClock
from acteon.state import Begin, Claimed, StateBackend, StateKey, StateSerializationError
from acteon.state.testing import together
from acteon.state_dynamodb import Calls, Layout, dynamodb_backend
from acteon.state_dynamodb.texts import MOST_BYTES

pytestmark = pytest.mark.server

HOUR = timedelta(hours=1)


class Meddler(Protocol):
    def fail(self, operation: str, *faults: Callable[[], object]) -> None: ...


def large(seed: int, size: int = 1024 * 1024) -> str:
    """Return a text that cannot be compressed much."""
    return "".join(random.Random(seed).choices(string.printable, k=size))


@pytest.fixture
def key() -> StateKey:
    return StateKey("test", uuid4().hex, "state", "large")


async def parts(calls: Calls) -> int:
    """Return how many parts there are in the table."""
    answer = await calls.call(
        "scan",
        {
            "TableName": calls.config.table_name,
            "FilterExpression": "attribute_exists(piece)",
            "ProjectionExpression": "pk",
            "ConsistentRead": True,
        },
        repeatable=True,
    )
    found = len(answer["Items"])
    while "LastEvaluatedKey" in answer:
        answer = await calls.call(
            "scan",
            {
                "TableName": calls.config.table_name,
                "FilterExpression": "attribute_exists(piece)",
                "ProjectionExpression": "pk",
                "ConsistentRead": True,
                "ExclusiveStartKey": answer["LastEvaluatedKey"],
            },
            repeatable=True,
        )
        found += len(answer["Items"])
    return found


@pytest.mark.parametrize("more", [-1, 0, 1])
async def test_texts_about_as_long_as_an_item_survive(
    backend: StateBackend, key: StateKey, more: int
) -> None:
    text = large(1, MOST_BYTES + more)
    await backend.store.set(key._replace(id="k" * 2000), text, ttl=HOUR)
    assert await backend.store.get(key._replace(id="k" * 2000)) == text


async def test_what_is_replaced_swapped_or_deleted_leaves_no_parts(
    backend: StateBackend, calls: Calls, key: StateKey
) -> None:
    before = await parts(calls)
    first, second = large(1), large(2)
    await backend.store.set(key, first, ttl=HOUR)
    assert await parts(calls) == before + 3
    assert not await backend.store.check_and_set(key, second, ttl=HOUR)
    assert not await backend.store.compare_and_swap(key, second, second, ttl=HOUR)
    assert await parts(calls) == before + 3
    assert await backend.store.compare_and_swap(key, first, second, ttl=HOUR)
    assert await backend.store.get(key) == second
    assert await parts(calls) == before + 3
    assert not await backend.store.compare_and_swap(key, first, None, ttl=None)
    assert await backend.store.compare_and_swap(key, second, None, ttl=None)
    assert await backend.store.get(key) is None
    await backend.store.set(key, first, ttl=HOUR)
    await backend.store.set(key, "short", ttl=HOUR)
    assert await backend.store.get(key) == "short"
    await backend.store.set(key, first, ttl=HOUR)
    assert await backend.store.delete(key)
    assert await parts(calls) == before


async def test_an_expired_large_text_is_gone(
    backend: StateBackend, key: StateKey, clock: ManualClock
) -> None:
    await backend.store.set(key, large(1), ttl=HOUR)
    clock.move(HOUR)
    assert await backend.store.get(key) is None
    assert await backend.store.check_and_set(key, "new", ttl=HOUR)
    assert await backend.store.get(key) == "new"


async def test_who_reads_while_others_write_sees_one_of_the_texts(
    backend: StateBackend, key: StateKey
) -> None:
    texts = [large(seed, 700_000) for seed in range(3)]
    await backend.store.set(key, texts[0], ttl=HOUR)

    async def write(number: int) -> None:
        for turn in range(4):
            await backend.store.set(key, texts[(number + turn) % 3], ttl=HOUR)

    async def read() -> None:
        for _ in range(10):
            assert await backend.store.get(key) in texts

    await together([write(0), write(1), read(), read()])


async def test_who_reads_a_text_that_is_replaced_meanwhile_gets_the_new_one(
    backend: StateBackend, meddled: Calls, meddler: Meddler, key: StateKey
) -> None:
    loop = asyncio.get_running_loop()
    texts = iter(large(seed) for seed in range(1, 9))

    def replace() -> None:
        written = backend.store.set(key, next(texts), ttl=HOUR)
        asyncio.run_coroutine_threadsafe(written, loop).result(10)

    await backend.store.set(key, large(0), ttl=HOUR)
    # The entry is read, then its parts: the first of them is gone when it is asked for.
    meddler.fail("GetItem", nothing, replace)
    assert await dynamodb_backend(meddled).store.get(key) == large(1)


def nothing() -> None:
    """Let a call pass."""


async def test_a_text_without_some_of_its_parts_is_told(
    backend: StateBackend, calls: Calls, key: StateKey
) -> None:
    await backend.store.set(key, large(1), ttl=HOUR)
    address = Layout("acteon").entry(key)
    request = {"TableName": calls.config.table_name, "Key": address}
    item = (await calls.call("get_item", request, repeatable=True))["Item"]
    part = Layout("acteon").part(item["large"]["M"]["name"]["S"], 1)
    await calls.call("delete_item", {**request, "Key": part}, repeatable=True)
    with pytest.raises(StateSerializationError, match="parts of a large text are missing"):
        await backend.store.get(key)


async def test_of_many_large_texts_one_is_set(backend: StateBackend, key: StateKey) -> None:
    texts = [large(seed, 400_000) for seed in range(5)]
    won = await together(backend.store.check_and_set(key, text, ttl=HOUR) for text in texts)
    assert [text for text, mine in zip(texts, won, strict=True) if mine] == [
        await backend.store.get(key)
    ]


async def test_more_than_one_answer_can_hold_is_read(backend: StateBackend, key: StateKey) -> None:
    keys = [key._replace(id=str(number)) for number in range(110)]
    texts = [large(number, 200_000 if number < 90 else 10) for number in range(110)]
    for one, text in zip(keys, texts, strict=True):
        await backend.store.set(one, text, ttl=HOUR)
    assert backend.dispatch is not None
    begin = Begin(token="mine", lease=HOUR, claim=key, reads=(*keys, keys[0]))
    (began,) = await backend.dispatch.begin([begin])
    assert began.claim is Claimed.OURS
    assert list(began.values) == [*texts, texts[0]]
