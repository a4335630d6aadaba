"""What state backends promise to processes that share a store, as tests."""

from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

import pytest

from acteon.state.adapter import dispatch_state
from acteon.state.dispatch import Began, Begin, Claimed, Ending, Quota, Settle
from acteon.state.keys import StateKey
from acteon.state.store import StateBackend
from acteon.state.testing.fixtures import HOUR, together

T = TypeVar("T")


@pytest.mark.anyio
class SharedStateConformance:
    """Several backends on one store: what they do at the same time is done once.

    Subclass it with a fixture `backends`. Within one process much is atomic by accident, so each
    of them has to be opened by itself, with connections of its own.

    Attributes:
        at_once: How many calls are under way at the same time.
        rounds: How often they meet on one thing.
        always_one: Whether somebody always wins. Where nobody may, at most one does.
    """

    at_once: ClassVar[int] = 32
    rounds: ClassVar[int] = 10
    always_one: ClassVar[bool] = True

    @pytest.fixture
    async def backends(self) -> Sequence[StateBackend]:
        """Give four backends or more on one store; every subclass overrides this."""
        raise NotImplementedError("a fixture `backends` is wanted")

    def wins(self, won: Sequence[bool]) -> bool:
        """Return whether as many have won as may."""
        return sum(won) == 1 if self.always_one else sum(won) <= 1

    def spread(self, backends: Sequence[StateBackend]) -> list[StateBackend]:
        """Return who makes each of the calls."""
        return [backends[number % len(backends)] for number in range(self.at_once)]

    async def test_all_see_what_one_has_written(self, backends: Sequence[StateBackend]) -> None:
        key = _key()
        await backends[0].store.set(key, "one", ttl=HOUR)
        assert await together(one.store.get(key) for one in backends) == ["one"] * len(backends)
        assert await backends[1].store.compare_and_swap(key, "one", "two", ttl=HOUR)
        assert await together(one.store.get(key) for one in backends) == ["two"] * len(backends)
        assert await backends[-1].store.delete(key)
        assert await together(one.store.get(key) for one in backends) == [None] * len(backends)

    async def test_one_has_the_claim(self, backends: Sequence[StateBackend]) -> None:
        for _ in range(self.rounds):
            key = _key()
            begun = await together(_begin(one, claim=key) for one in self.spread(backends))
            assert self.wins([one.claim is Claimed.OURS for one in begun])

    async def test_one_has_the_lock(self, backends: Sequence[StateBackend]) -> None:
        for _ in range(self.rounds):
            name = f"dispatch:test:{uuid4().hex}:1"
            busy = await together(
                one.locks.try_acquire(name, uuid4().hex, HOUR) for one in self.spread(backends)
            )
            assert self.wins([one is None for one in busy])

    async def test_one_sets_and_one_swaps(self, backends: Sequence[StateBackend]) -> None:
        for _ in range(self.rounds):
            key = _key()
            everybody = list(enumerate(self.spread(backends)))
            first = await together(
                one.store.check_and_set(key, f"first {number}", ttl=HOUR)
                for number, one in everybody
            )
            assert sum(first) == 1
            found = await backends[0].store.get(key)
            assert found == f"first {first.index(True)}"
            second = await together(
                one.store.compare_and_swap(key, found, f"second {number}", ttl=HOUR)
                for number, one in everybody
            )
            assert sum(second) == 1
            assert await backends[-1].store.get(key) == f"second {second.index(True)}"

    async def test_no_increment_is_lost(self, backends: Sequence[StateBackend]) -> None:
        key = _key("counter")
        sums = await together(one.store.increment(key, ttl=HOUR) for one in self.spread(backends))
        assert sorted(sums) == list(range(1, self.at_once + 1))

    async def test_a_limit_holds(self, backends: Sequence[StateBackend]) -> None:
        key, limit = _key("rate_limit"), self.at_once // 3
        taken = await together(one.store.take(key, limit, HOUR) for one in self.spread(backends))
        counts = [one.count for one in taken if one.admitted]
        assert sorted(counts) == list(range(1, limit + 1))

    async def test_a_quota_holds(self, backends: Sequence[StateBackend]) -> None:
        quota = Quota(_key("rate_limit"), self.at_once // 3, HOUR)
        begun = await together(
            _begin(one, quotas=(quota,), claim=_key()) for one in self.spread(backends)
        )
        assert [one.quota_error for one in begun] == [None] * self.at_once
        assert sum(one.admitted for one in begun) == quota.limit

    async def test_all_learn_how_a_claim_has_ended(self, backends: Sequence[StateBackend]) -> None:
        key, token = _key(), uuid4().hex
        assert (await _begin(backends[0], token=token, claim=key)).admitted
        settle = Settle(token=token, claim=key, ending=Ending.DONE, ttl=HOUR)
        assert await dispatch_state(backends[0]).settle([settle]) == [True]
        begun = await together(_begin(one, claim=key) for one in backends)
        assert [one.claim for one in begun] == [Claimed.DONE] * len(backends)


def _key(kind: str = "dedup") -> StateKey:
    return StateKey("test", uuid4().hex, kind, "1")


def _begin(
    backend: StateBackend,
    *,
    token: str = "",
    lease: timedelta = HOUR,
    claim: StateKey | None = None,
    quotas: tuple[Quota, ...] = (),
) -> Coroutine[Any, Any, Began]:
    async def begin() -> Began:
        wanted = Begin(token=token or uuid4().hex, lease=lease, claim=claim, quotas=quotas)
        (began,) = await dispatch_state(backend).begin([wanted])
        assert began.error is None
        return began

    return begin()
