"""What others find in Redis, and what they may put there."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from acteon.state import (
    Begin,
    Claimed,
    Quota,
    Settle,
    StateBackend,
    StateKey,
    StateSerializationError,
    dispatch_state,
)
from acteon.state_redis import RedisStateConfig, RedisStatePlugin
from servers import redis
from servers.process import Server

pytestmark = pytest.mark.server

HOUR = timedelta(hours=1)
FOR_EVER = timedelta.max


@pytest.fixture
async def backend(server: Server) -> AsyncIterator[StateBackend]:
    redis.ask(server.port, "FLUSHALL")
    async with RedisStatePlugin.open(RedisStateConfig(url=server.url)) as backend:
        yield backend


def keys_of(server: Server) -> list[str]:
    # Names and their lengths alternate.
    names = redis.ask(server.port, "KEYS", "*").split()[2::2]
    return sorted(name for name in names if ":_system:" not in name)


async def test_entries_and_locks_have_the_documented_names(
    server: Server, backend: StateBackend
) -> None:
    await backend.store.set(StateKey("shop", "acme", "state", "a:b"), "1", ttl=HOUR)
    await backend.locks.try_acquire("dispatch:shop:acme:17", "mine", HOUR)
    assert keys_of(server) == ["acteon:lock:dispatch:shop:acme:17", "acteon:shop:acme:state:a:b"]


async def test_what_is_put_there_by_hand_is_read(server: Server, backend: StateBackend) -> None:
    state, counter = (StateKey("shop", "acme", kind, "1") for kind in ("state", "counter"))
    redis.ask(server.port, "SET", "acteon:shop:acme:state:1", "closed")
    redis.ask(server.port, "INCRBY", "acteon:shop:acme:counter:1", "41")
    assert await backend.store.get(state) == "closed"
    assert await backend.store.increment(counter, ttl=None) == 42
    (began,) = await dispatch_state(backend).begin(
        [Begin(token="mine", lease=HOUR, reads=(state, counter))]
    )
    assert began.values == ("closed", "42")


async def test_what_was_counted_can_be_read_by_hand(server: Server, backend: StateBackend) -> None:
    await backend.store.increment(StateKey("shop", "acme", "counter", "1"), 7, ttl=HOUR)
    assert redis.ask(server.port, "GET", "acteon:shop:acme:counter:1") == "$1\r\n7\r\n"


async def test_prefixes_are_apart(server: Server, backend: StateBackend) -> None:
    key = StateKey("shop", "acme", "state", "1")
    await backend.store.set(key, "ours", ttl=HOUR)
    config = RedisStateConfig(url=server.url, prefix="other")
    async with RedisStatePlugin.open(config) as other:
        assert await other.store.get(key) is None
        await other.store.set(key, "theirs", ttl=HOUR)
    assert await backend.store.get(key) == "ours"


async def test_a_namespace_called_lock_does_not_meet_the_locks(backend: StateBackend) -> None:
    await backend.locks.try_acquire("a:state:1", "mine", HOUR)
    assert await backend.store.get(StateKey("lock", "a", "state", "1")) is None


async def test_another_type_of_redis_is_told(server: Server, backend: StateBackend) -> None:
    key = StateKey("shop", "acme", "state", "list")
    redis.ask(server.port, "RPUSH", "acteon:shop:acme:state:list", "1")
    redis.ask(server.port, "RPUSH", "acteon:lock:list", "1")
    for call in (
        backend.store.get(key),
        backend.store.increment(key, ttl=None),
        backend.store.increment(key, ttl=HOUR),
        backend.store.take(key, 1, HOUR),
        backend.store.compare_and_swap(key, "1", "2", ttl=None),
        backend.locks.try_acquire("list", "mine", HOUR),
    ):
        with pytest.raises(StateSerializationError):
            await call


async def test_another_type_of_redis_fails_its_own_dispatch_only(
    server: Server, backend: StateBackend
) -> None:
    odd = StateKey("shop", "acme", "state", "list")
    redis.ask(server.port, "RPUSH", "acteon:shop:acme:state:list", "1")
    redis.ask(server.port, "RPUSH", "acteon:lock:list", "1")
    batch = [
        Begin(token="t0", lease=HOUR, lock="list"),
        Begin(token="t1", lease=HOUR, lock="1", claim=odd),
        Begin(token="t2", lease=HOUR, lock="2", reads=(odd,)),
        Begin(token="t3", lease=HOUR, lock="3", quotas=(Quota(odd, 1, HOUR),)),
        Begin(token="t4", lease=HOUR, lock="4"),
    ]
    began = await dispatch_state(backend).begin(batch)
    assert [type(one.error) for one in began[:3]] == [StateSerializationError] * 3
    assert isinstance(began[3].quota_error, StateSerializationError)
    assert [one.admitted for one in began] == [False, False, False, True, True]
    assert await backend.locks.try_acquire("1", "other", HOUR) is None


async def test_octets_that_are_no_text_are_told(server: Server, backend: StateBackend) -> None:
    redis.ask(server.port, "SETBIT", "acteon:shop:acme:state:1", "0", "1")
    with pytest.raises(StateSerializationError, match="UTF-8"):
        await backend.store.get(StateKey("shop", "acme", "state", "1"))


async def test_odd_octets_that_a_begin_reads_leave_it_as_it_is(
    server: Server, backend: StateBackend
) -> None:
    odd, claim = (StateKey("shop", "acme", kind, "1") for kind in ("state", "dedup"))
    redis.ask(server.port, "SETBIT", "acteon:shop:acme:state:1", "0", "1")
    wanted = Begin(token="t", lease=HOUR, lock="1", claim=claim, reads=(odd,))
    (began,) = await dispatch_state(backend).begin([wanted])
    assert began.admitted
    assert began.values == ("\ufffd",)
    settle = Settle(token="t", lock="1", claim=claim)
    assert await dispatch_state(backend).settle([settle]) == [True]


async def test_texts_that_are_no_unicode_survive_and_disturb_nobody(backend: StateBackend) -> None:
    odd = StateKey("shop", "\ud800", "state", "\udfff\0")
    await backend.store.set(odd, "\udc80\0", ttl=HOUR)
    assert await backend.store.get(odd) == "\udc80\0"
    began = await dispatch_state(backend).begin(
        [Begin(token="\ud800", lease=HOUR, lock="\ud801"), Begin(token="t", lease=HOUR, lock="2")]
    )
    assert all(one.admitted for one in began)


async def test_times_beyond_all_measure_are_long_times(backend: StateBackend) -> None:
    key = StateKey("shop", "acme", "state", "1")
    store, locks, dispatch = backend.store, backend.locks, dispatch_state(backend)
    await store.set(key, "1", ttl=FOR_EVER)
    assert await store.increment(key, ttl=FOR_EVER) == 2
    assert await store.compare_and_swap(key, "2", "3", ttl=FOR_EVER)
    taken = await store.take(key._replace(id="window"), 2**70, FOR_EVER)
    assert taken.admitted
    assert await locks.try_acquire("long", "mine", FOR_EVER) is None
    busy = await locks.try_acquire("long", "other", HOUR)
    assert busy is not None
    assert busy > timedelta(days=1000)
    assert await locks.extend("long", "mine", FOR_EVER)
    quota = Quota(key._replace(id="quota"), 2**70, FOR_EVER)
    begin = Begin(
        token="mine", lease=FOR_EVER, lock="longer", claim=key._replace(id="c"), quotas=(quota,)
    )
    (began,) = await dispatch.begin([begin])
    assert began.claim is Claimed.OURS


async def test_a_time_below_a_millisecond_is_one(server: Server, backend: StateBackend) -> None:
    key = StateKey("shop", "acme", "state", "1")
    tiny = timedelta(microseconds=1)
    await backend.store.set(key, "1", ttl=HOUR)
    assert await backend.store.compare_and_swap(key, "1", "2", ttl=tiny)
    assert await backend.locks.try_acquire("tiny", "mine", tiny) is None


async def test_a_lease_without_time_is_over_at_once(backend: StateBackend) -> None:
    key = StateKey("shop", "acme", "dedup", "1")
    begin = Begin(token="mine", lease=timedelta(0), lock="over", claim=key)
    assert (await dispatch_state(backend).begin([begin]))[0].admitted
    assert await backend.store.get(key) is None
    assert await backend.locks.try_acquire("over", "mine", timedelta(0)) is None
    assert await backend.locks.try_acquire("over", "mine", HOUR) is None
    assert await backend.locks.extend("over", "mine", timedelta(0))
    assert await backend.locks.try_acquire("over", "other", HOUR) is None


async def test_who_comes_second_is_told_how_long_it_may_take(backend: StateBackend) -> None:
    dispatch = dispatch_state(backend)
    claim = StateKey("shop", "acme", "dedup", "1")
    await dispatch.begin([Begin(token="mine", lease=HOUR, lock="1", claim=claim)])
    (busy,) = await dispatch.begin([Begin(token="other", lease=HOUR, lock="1")])
    assert busy.busy is not None
    assert HOUR - timedelta(minutes=1) < busy.busy <= HOUR + timedelta(milliseconds=1)
    (pending,) = await dispatch.begin([Begin(token="other", lease=HOUR, claim=claim)])
    assert pending.claim is Claimed.PENDING
    assert 3_540_000 < int(pending.detail) <= 3_600_001


async def test_sums_are_exact_beyond_what_lua_can_count(backend: StateBackend) -> None:
    key = StateKey("shop", "acme", "counter", "1")
    for ttl in (None, HOUR):
        await backend.store.set(key, str(2**53), ttl=HOUR)
        assert await backend.store.increment(key, ttl=ttl) == 2**53 + 1
        await backend.store.set(key, str(2**63 - 2), ttl=HOUR)
        assert await backend.store.increment(key, ttl=ttl) == 2**63 - 1
        with pytest.raises(StateSerializationError):
            await backend.store.increment(key, ttl=ttl)
        with pytest.raises(StateSerializationError):
            await backend.store.increment(key, 2**64, ttl=ttl)


async def test_a_cluster_keeps_what_a_tenant_needs_in_one_slot(cluster: redis.Cluster) -> None:
    async with RedisStatePlugin.open(RedisStateConfig(url=cluster.url)) as backend:
        await backend.store.set(StateKey("shop", "acme", "state", "1"), "1", ttl=HOUR)
        await backend.locks.try_acquire("dispatch:shop:acme:17", "mine", HOUR)
        await backend.locks.try_acquire("other", "mine", HOUR)
    found = {name for node in cluster.nodes for name in keys_of(node)}
    assert {
        "acteon:{shop:acme}:state:1",
        "acteon:lock:dispatch:{shop:acme}:17",
        "acteon:lock:other",
    } <= found
