"""Many gateways that want one thing, each with connections of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import uuid4

import pytest

from acteon.state import Begin, Claimed, Quota, Settle, StateBackend, StateKey
from acteon.state.testing import together
from acteon.state_clickhouse import ClickHouseStateConfig, ClickHouseStatePlugin

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

HOUR = timedelta(hours=1)
CONTENDERS = 32
ROUNDS = 5


@pytest.fixture(scope="module")
async def gateways(config: ClickHouseStateConfig) -> AsyncIterator[list[StateBackend]]:
    async with AsyncExitStack() as stack:
        opening = [ClickHouseStatePlugin.open(config) for _ in range(CONTENDERS)]
        yield await together(stack.enter_async_context(one) for one in opening)


def a_key() -> StateKey:
    return StateKey("test", uuid4().hex, "dedup", "1")


async def begin_all(gateways: list[StateBackend], begins: list[Begin]) -> list[Claimed]:
    async def one(backend: StateBackend, begin: Begin) -> Claimed:
        assert backend.dispatch is not None
        (began,) = await backend.dispatch.begin([begin])
        assert began.error is None
        return began.claim

    return await together(one(*pair) for pair in zip(gateways, begins, strict=True))


async def test_of_32_at_once_one_has_the_claim(gateways: list[StateBackend]) -> None:
    winners: list[int] = []
    for _ in range(ROUNDS):
        key, won = a_key(), 0
        # Where the server is slow nobody may win, and all are told to try again.
        while not won:
            claims = await begin_all(
                gateways,
                [
                    Begin(token=uuid4().hex, lease=HOUR, lock=uuid4().hex, claim=key)
                    for _ in range(CONTENDERS)
                ],
            )
            won = claims.count(Claimed.OURS)
            winners.append(won)
            assert claims.count(Claimed.PENDING) == CONTENDERS - won
    print(f"winners of {CONTENDERS} in rounds of {ROUNDS} keys: {winners}")  # noqa: T201
    assert max(winners) == 1


async def test_of_32_at_once_one_has_the_lock(gateways: list[StateBackend]) -> None:
    name, won = uuid4().hex, 0
    while not won:
        busy = await together(
            backend.locks.try_acquire(name, uuid4().hex, HOUR) for backend in gateways
        )
        won = busy.count(None)
    assert won == 1


async def test_a_quota_lets_exactly_as_many_through(gateways: list[StateBackend]) -> None:
    few = gateways[:4]
    quota = Quota(a_key(), 10, HOUR)

    async def ten(backend: StateBackend) -> int:
        assert backend.dispatch is not None
        begins = [
            Begin(token=uuid4().hex, lease=HOUR, quotas=(quota,), reads=(a_key(),))
            for _ in range(10)
        ]
        answers = await backend.dispatch.begin(begins)
        assert {began.values for began in answers} == {(None,)}
        return sum(began.admitted for began in answers)

    assert sum(await together(ten(backend) for backend in few)) == 10


async def test_no_increment_is_lost(gateways: list[StateBackend]) -> None:
    key = a_key()
    few = gateways[:4]
    sums = await together(backend.store.increment(key, ttl=HOUR) for backend in few * 5)
    assert sorted(sums) == list(range(1, 21))


async def test_who_settles_lets_the_next_one_in(gateways: list[StateBackend]) -> None:
    first, second = gateways[:2]
    begin = Begin(token="first", lease=HOUR, lock=uuid4().hex, claim=a_key())
    assert first.dispatch is not None
    assert second.dispatch is not None
    assert (await first.dispatch.begin([begin]))[0].admitted
    settle = Settle(token="first", lock=begin.lock, claim=begin.claim)
    assert list(await first.dispatch.settle([settle])) == [True]
    again = Begin(token="second", lease=HOUR, lock=begin.lock, claim=begin.claim)
    assert (await second.dispatch.begin([again]))[0].admitted
