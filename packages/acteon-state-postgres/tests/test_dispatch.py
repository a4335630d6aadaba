"""What is PostgreSQL's own about dispatches: odd texts, and processes that come at once."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import uuid4

import pytest
from attrs import evolve

from acteon.state import (
    Begin,
    Claimed,
    DispatchState,
    Ending,
    Quota,
    Settle,
    StateBackend,
    StateKey,
    StateSerializationError,
    Trips,
)
from acteon.state.testing import together
from acteon.state_postgres import PostgresStateConfig, PostgresStatePlugin
from servers.process import Server

pytestmark = pytest.mark.server

MINUTE = timedelta(minutes=1)
ODD = {
    "NUL": "a\0b",
    "half a pair": "a\ud800b",
    "quotes and backslashes": '{"\\"},NULL\\',
    "10,000 letters": "x" * 10_000,
    "10,000 bytes": "é" * 5_000,
    "empty": "",
}


@pytest.fixture
def dispatch(backend: StateBackend) -> DispatchState:
    assert backend.dispatch is not None
    return backend.dispatch


@pytest.fixture
def key() -> StateKey:
    return StateKey("test", uuid4().hex, "dedup", "1")


@pytest.fixture
async def backends(server: Server) -> AsyncIterator[list[StateBackend]]:
    """Give four backends, as of four processes."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                PostgresStatePlugin.open(PostgresStateConfig(url=server.url))
            )
            for _ in range(4)
        ]


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_odd_texts_name_what_others_do_not(
    backend: StateBackend, dispatch: DispatchState, key: StateKey, odd: str
) -> None:
    odd_key = key._replace(id=odd)
    read = odd_key._replace(kind="state")
    quota = odd_key._replace(kind="rate_limit")
    await backend.store.set(read, "read", ttl=MINUTE)
    begin = Begin(
        token="mine",
        lease=MINUTE,
        lock=f"{key.tenant}:{odd}",
        claim=odd_key,
        quotas=(Quota(quota, 1, MINUTE),),
        reads=(read, key),
    )
    (began,) = await dispatch.begin([begin])
    assert began.admitted
    assert began.values == ("read", None)
    assert await backend.store.get(odd_key) == "pending:mine"
    assert await backend.store.get(quota) == "1"
    assert await backend.locks.try_acquire(f"{key.tenant}:{odd}", "yours", MINUTE) is not None
    assert await backend.locks.try_acquire(f"{key.tenant}:{odd}x", "yours", MINUTE) is None
    settle = Settle(token="mine", lock=begin.lock, claim=odd_key, ending=Ending.DONE)
    assert list(await dispatch.settle([settle])) == [True]


@pytest.mark.parametrize("token", ["a\0b", "a\udfffb"])
async def test_a_token_that_cannot_be_kept_fails_alone(
    dispatch: DispatchState, key: StateKey, token: str
) -> None:
    sound = Begin(token="mine", lease=MINUTE, lock=key.tenant, claim=key)
    broken = evolve(sound, token=token, lock=f"{key.tenant}:2", claim=key._replace(id="2"))
    refused, began = await dispatch.begin([broken, sound])
    assert isinstance(refused.error, StateSerializationError)
    assert began.admitted
    (alone,) = await dispatch.begin([broken])
    assert isinstance(alone.error, StateSerializationError)

    settles = [
        Settle(token=token, lock=broken.lock),
        Settle(token="mine", claim=key, ending=Ending.UNKNOWN, instant=token),
        Settle(token="mine", lock=key.tenant),
    ]
    first, second, third = await dispatch.settle(settles)
    assert isinstance(first, StateSerializationError)
    assert isinstance(second, StateSerializationError)
    assert third is True


@pytest.mark.parametrize("value", ["a\0b", "a\udfffb"])
async def test_a_value_that_cannot_be_kept_is_refused(
    backend: StateBackend, key: StateKey, value: str
) -> None:
    with pytest.raises(StateSerializationError):
        await backend.store.set(key, value, ttl=None)
    assert await backend.store.get(key) is None


@pytest.mark.parametrize("odd", [timedelta.max, timedelta.min, timedelta(microseconds=1)])
async def test_odd_times_are_taken_as_they_are(
    backend: StateBackend, dispatch: DispatchState, key: StateKey, odd: timedelta
) -> None:
    begin = Begin(
        token="mine",
        lease=odd,
        lock=key.tenant,
        claim=key,
        quotas=(Quota(key._replace(id="2"), 2**80, odd),),
    )
    assert (await dispatch.begin([begin]))[0].admitted
    assert (await dispatch.begin([evolve(begin, token="yours")]))[0].admitted is (odd < MINUTE)
    assert (await backend.store.take(key._replace(id="3"), 2**80, odd)).admitted
    await backend.store.set(key, "kept", ttl=odd)
    assert await backend.store.get(key) == ("kept" if odd > MINUTE else None)


async def test_a_refusal_takes_nothing_of_a_shared_quota(
    backend: StateBackend, dispatch: DispatchState, key: StateKey
) -> None:
    # The first one is refused by its other quota, so there is room for the second.
    full, shared = key._replace(id="full"), key._replace(id="shared")
    both = (Quota(shared, 1, MINUTE), Quota(full, 0, MINUTE))
    began = await dispatch.begin(
        [
            Begin(token="1", lease=MINUTE, quotas=both),
            Begin(token="2", lease=MINUTE, quotas=both[:1]),
            Begin(token="3", lease=MINUTE, quotas=both[:1]),
            Begin(token="4", lease=MINUTE, quotas=both[:1], peek=True),
        ]
    )
    assert [None if one.refused is None else one.refused[0] for one in began] == [1, None, 0, 0]
    assert await backend.store.get(shared) == "1"


async def test_of_many_processes_one_has_each_claim(
    backends: list[StateBackend], key: StateKey
) -> None:
    async with AsyncExitStack() as stack:
        trips = [
            await stack.enter_async_context(Trips(backend.dispatch))
            for backend in backends
            if backend.dispatch is not None
        ]
        for number in range(20):
            begins = [
                Begin(
                    token=f"{number}:{one}",
                    lease=MINUTE,
                    lock=f"{key.tenant}:{number}:{one}",
                    claim=key._replace(id=str(number)),
                )
                for one in range(64)
            ]
            began = await together(trips[one % 4].begin(begin) for one, begin in enumerate(begins))
            assert sum(one.claim is Claimed.OURS for one in began) == 1
            assert sum(one.claim is Claimed.PENDING for one in began) == 63


async def test_many_processes_share_a_quota_to_the_last_one(
    backends: list[StateBackend], key: StateKey
) -> None:
    for number in range(10):
        quota = Quota(key._replace(id=str(number)), 10, MINUTE)
        batches = [
            [
                Begin(
                    token=f"{place}:{one}",
                    lease=MINUTE,
                    lock=f"{key.tenant}:{number}:{place}:{one}",
                    quotas=(quota,),
                )
                for one in range(16)
            ]
            for place in range(4)
        ]
        answers = await together(
            backend.dispatch.begin(batch)
            for backend, batch in zip(backends, batches, strict=True)
            if backend.dispatch is not None
        )
        assert sum(one.admitted for began in answers for one in began) == 10
        assert all(one.error is None for began in answers for one in began)
        assert await backends[0].store.get(quota.key) == "10"


async def test_batches_that_cross_each_other_do_not_wait_for_each_other(
    backends: list[StateBackend], key: StateKey
) -> None:
    quotas = [Quota(key._replace(kind="rate_limit", id=str(n)), 10**6, MINUTE) for n in range(8)]

    async def rounds(place: int, backend: StateBackend) -> None:
        dispatch = backend.dispatch
        assert dispatch is not None
        for number in range(25):
            batch = [
                Begin(
                    token=f"{place}:{number}",
                    lease=MINUTE,
                    lock=f"{key.tenant}:{one}",
                    claim=key._replace(id=str(-one)),
                    quotas=(quotas[one % 8],),
                )
                for one in range(32)
            ]
            if place % 2:
                batch.reverse()
            began = await dispatch.begin(batch)
            assert not [one.error for one in began if one.error is not None]
            await dispatch.settle(
                [
                    Settle(token=one.token, lock=one.lock, claim=one.claim)
                    for one, answer in zip(batch, began, strict=True)
                    if answer.admitted
                ]
            )

    await together(rounds(place, backend) for place, backend in enumerate(backends))


async def test_collisions_are_settled_in_the_database(
    server: Server, backends: list[StateBackend], key: StateKey
) -> None:
    said = len(server.log.read_text())
    for number in range(40):
        began = await together(
            backend.dispatch.begin(
                [Begin(token=f"{place}", lease=MINUTE, claim=key._replace(id=str(number)))]
            )
            for place, backend in enumerate(backends)
            if backend.dispatch is not None
        )
        assert sum(one.claim is Claimed.OURS for (one,) in began) == 1
    assert "ERROR" not in server.log.read_text()[said:]


async def test_transactions_that_cannot_be_serialised_are_made_again(
    server: Server, key: StateKey
) -> None:
    strict = "?options=-c%20default_transaction_isolation%3Dserializable"
    config = PostgresStateConfig(url=server.url + strict, pool_size=4)
    said = len(server.log.read_text())
    async with PostgresStatePlugin.open(config) as backend:
        sums = await together(backend.store.increment(key, ttl=None) for _ in range(20))
        assert sorted(sums) == list(range(1, 21))
        assert backend.dispatch is not None
        began = await together(
            backend.dispatch.begin(
                [Begin(token=f"{one}", lease=MINUTE, claim=key._replace(id="2"))]
            )
            for one in range(8)
        )
        assert sum(one.claim is Claimed.OURS for (one,) in began) == 1
    assert "could not serialize access" in server.log.read_text()[said:]
