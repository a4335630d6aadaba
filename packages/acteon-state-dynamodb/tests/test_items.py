"""Where entries are, and how they look: other programs read and write them too."""

from datetime import timedelta
from uuid import uuid4

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import ManualClock
from acteon.state import (
    Begin,
    Claimed,
    Quota,
    StateBackend,
    StateKey,
    StateSerializationError,
    dispatch_state,
)
from acteon.state_dynamodb import Calls, DynamoDBStateConfig, Layout, dynamodb_backend
from acteon.state_dynamodb.items import LONGEST_PK, LONGEST_SK, Item, milliseconds

HOUR = timedelta(hours=1)
PARTS = st.text(max_size=8) | st.sampled_from(
    ["x" * 3000, "ü" * 1500, "sha256:", "_lock", "\ud800"]
)
KEYS = st.builds(StateKey, PARTS, PARTS, PARTS, PARTS)
LAYOUT = Layout("acteon")


def place(address: Item) -> tuple[str, str]:
    return address["pk"]["S"], address["sk"]["S"]


@given(st.lists(KEYS, max_size=8), st.lists(PARTS, max_size=4))
def test_different_names_are_at_different_places(keys: list[StateKey], locks: list[str]) -> None:
    names = {*locks, *[key.text for key in keys]}
    places = {
        *[place(LAYOUT.entry(key)) for key in keys],
        *[place(LAYOUT.lock(name)) for name in names],
    }
    assert len(places) == len(names) + len(set(keys))


@given(KEYS, PARTS)
def test_every_place_fits(key: StateKey, lock: str) -> None:
    for address in (LAYOUT.entry(key), LAYOUT.lock(lock)):
        pk, sk = place(address)
        assert 0 < len(pk.encode()) <= LONGEST_PK
        assert 0 < len(sk.encode()) <= LONGEST_SK
        assert pk.startswith("acteon:")


def test_a_hash_that_is_a_name_is_not_the_place_of_what_it_is_the_hash_of() -> None:
    long = StateKey("n", "t", "k", "x" * 3000)
    _, hashed = place(LAYOUT.entry(long))
    kind, _, digest = hashed.partition(":")
    assert place(LAYOUT.entry(StateKey("n", "t", kind, digest)))[1] != hashed


@pytest.mark.server
async def test_entries_are_where_the_layout_says(
    backend: StateBackend, calls: Calls, clock: ManualClock
) -> None:
    tenant = uuid4().hex
    await backend.store.set(StateKey("shop", tenant, "state", "a:b"), "on", ttl=None)
    await backend.store.increment(StateKey("shop", tenant, "counter", "sent"), 3, ttl=HOUR)
    found = await calls.call(
        "query",
        {
            "TableName": calls.config.table_name,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": f"acteon:shop:{tenant}"}},
            "ConsistentRead": True,
        },
        repeatable=True,
    )
    ends = milliseconds(clock.now() + HOUR)
    pk = {"pk": {"S": f"acteon:shop:{tenant}"}}
    assert found["Items"] == [
        {
            **pk,
            "sk": {"S": "counter:sent"},
            "value": {"N": "3"},
            "expires_ms": {"N": str(ends)},
            "expires_at": {"N": str(-(-ends // 1000))},
        },
        {**pk, "sk": {"S": "state:a:b"}, "value": {"S": "on"}},
    ]


async def written(calls: Calls, key: StateKey, attributes: Item) -> None:
    """Write an entry as another program would."""
    item = {**LAYOUT.entry(key), **attributes}
    await calls.call(
        "put_item", {"TableName": calls.config.table_name, "Item": item}, repeatable=True
    )


@pytest.mark.server
async def test_what_others_write_is_read(
    backend: StateBackend, calls: Calls, clock: ManualClock
) -> None:
    seconds = milliseconds(clock.now()) // 1000 + 60
    texts, numbers = (StateKey("shop", uuid4().hex, kind, "1") for kind in ("state", "counter"))
    await written(calls, texts, {"value": {"S": "on"}, "expires_at": {"N": str(seconds)}})
    await written(calls, numbers, {"value": {"N": "41"}, "expires_at": {"N": str(seconds)}})

    assert await backend.store.get(texts) == "on"
    assert not await backend.store.check_and_set(texts, "off", ttl=HOUR)
    assert await backend.store.compare_and_swap(numbers, "41", "41", ttl=None)
    await written(calls, numbers, {"value": {"N": "41"}, "expires_at": {"N": str(seconds)}})
    assert await backend.store.increment(numbers, ttl=None) == 42
    taken = await backend.store.take(numbers, 43, HOUR)
    assert taken.admitted
    assert timedelta(seconds=58) < taken.remaining <= timedelta(seconds=60)
    assert not (await backend.store.take(numbers, 43, HOUR)).admitted

    clock.move(timedelta(seconds=60))
    assert await backend.store.get(texts) is None
    assert await backend.store.increment(numbers, ttl=None) == 1
    assert await backend.store.check_and_set(texts, "off", ttl=HOUR)


@pytest.mark.server
@pytest.mark.parametrize("value", [{"N": "1.5"}, {"BOOL": True}, {"S": ""}], ids=repr)
async def test_what_is_no_count_is_told(
    backend: StateBackend, calls: Calls, value: dict[str, object]
) -> None:
    key = StateKey("shop", uuid4().hex, "counter", "1")
    await written(calls, key, {"value": value})
    with pytest.raises(StateSerializationError):
        await backend.store.increment(key, ttl=None)
    with pytest.raises(StateSerializationError):
        await backend.store.take(key, 5, HOUR)


@pytest.mark.server
async def test_two_prefixes_in_one_table_are_apart(
    calls: Calls, config: DynamoDBStateConfig, clock: ManualClock
) -> None:
    key, lock = StateKey("shop", uuid4().hex, "dedup", "1"), uuid4().hex
    async with Calls(evolve(config, prefix="other")) as others:
        for each in (calls, others):
            backend = dynamodb_backend(each, clock)
            assert backend.dispatch is not None
            begin = Begin(token=uuid4().hex, lease=HOUR, lock=lock, claim=key)
            (began,) = await backend.dispatch.begin([begin])
            assert began.admitted


@pytest.mark.server
@pytest.mark.parametrize(
    "expiry",
    [
        {"expires_at": {"S": "1700000000"}},
        {"expires_ms": {"S": "1"}},
        {"expires_ms": {"BOOL": True}, "expires_at": {"N": "1"}},
    ],
)
async def test_what_is_no_time_never_comes(
    expiry: Item, backend: StateBackend, calls: Calls
) -> None:
    key = StateKey("shop", uuid4().hex, "counter", "1")
    item = {**LAYOUT.entry(key), "value": {"N": "1"}, **expiry}
    request = {"TableName": calls.config.table_name, "Item": item}
    await calls.call("put_item", request, repeatable=True)

    assert await backend.store.get(key) == "1"
    assert not await backend.store.check_and_set(key, "mine", ttl=HOUR)
    assert await backend.store.increment(key, ttl=None) == 2
    assert (await backend.store.take(key, 3, HOUR)).admitted
    quota = Quota(key, 3, HOUR)
    refused, claimed = await dispatch_state(backend).begin(
        [
            Begin(token="1", lease=HOUR, quotas=(quota,)),
            Begin(token="2", lease=HOUR, claim=key._replace(id="2")),
        ]
    )
    assert refused.refused is not None
    assert claimed.claim is Claimed.OURS


@pytest.mark.server
async def test_parts_of_seconds_are_understood(
    backend: StateBackend, calls: Calls, clock: ManualClock
) -> None:
    key = StateKey("shop", uuid4().hex, "state", "1")
    second = milliseconds(clock.now()) // 1000
    item = {
        **LAYOUT.entry(key),
        "value": {"S": "on"},
        "expires_at": {"N": f"{second + 10}.5"},
    }
    request = {"TableName": calls.config.table_name, "Item": item}
    await calls.call("put_item", request, repeatable=True)
    assert await backend.store.get(key) == "on"
    clock.move(timedelta(seconds=11))
    assert await backend.store.get(key) is None


@pytest.mark.server
async def test_no_room_is_no_room_below_zero_too(backend: StateBackend) -> None:
    key = StateKey("shop", uuid4().hex, "counter", "1")
    await backend.store.increment(key, -1, ttl=HOUR)
    assert (await backend.store.take(key, 0, HOUR)).admitted
    assert not (await backend.store.take(key, 0, HOUR)).admitted
    assert await backend.store.get(key) == "0"
