"""The behaviour that all locks share, as tests."""

import asyncio
from datetime import timedelta

import pytest

from acteon.state.store import Locks
from acteon.state.testing.fixtures import HOUR, BackendFixtures, PassTime, on_time, together

SLACK = timedelta(milliseconds=1)
NAMES = ["dispatch:a%3Ab:t:1", 'it\'s "odd" \\ ?*[x]', "one\ntwo", "🦌", "x" * 900]


@pytest.mark.anyio
class LocksConformance(BackendFixtures):
    """What all locks promise."""

    async def test_a_free_lock_is_taken_and_given_back(self, locks: Locks, name: str) -> None:
        assert await locks.try_acquire(name, "mine", HOUR) is None
        assert await locks.release(name, "mine")
        assert await locks.try_acquire(name, "yours", HOUR) is None

    async def test_who_finds_it_held_is_told_for_how_long_at_most(
        self, locks: Locks, name: str
    ) -> None:
        await locks.try_acquire(name, "mine", timedelta(minutes=10))
        busy = await locks.try_acquire(name, "yours", timedelta(seconds=1))
        assert busy is not None
        assert timedelta(minutes=9) < busy <= timedelta(minutes=10) + SLACK

    async def test_of_many_at_once_one_has_it(self, locks: Locks, name: str) -> None:
        busy = await together(locks.try_acquire(name, f"t{n}", HOUR) for n in range(20))
        (winner,) = [n for n, wait in enumerate(busy) if wait is None]
        assert await locks.release(name, f"t{winner}")

    @on_time
    async def test_the_holder_may_take_it_again(
        self, locks: Locks, name: str, pass_time: PassTime, moment: timedelta
    ) -> None:
        assert await locks.try_acquire(name, "mine", 2 * moment) is None
        await pass_time(moment)
        assert await locks.try_acquire(name, "mine", 2 * moment) is None
        await pass_time(moment)
        assert await locks.try_acquire(name, "yours", moment) is not None

    async def test_an_expired_lock_goes_to_one_of_many(
        self, locks: Locks, name: str, pass_time: PassTime, moment: timedelta
    ) -> None:
        await locks.try_acquire(name, "mine", moment)
        await pass_time(moment)
        busy = await together(locks.try_acquire(name, f"t{n}", HOUR) for n in range(20))
        assert busy.count(None) == 1

    async def test_who_lost_it_can_do_nothing_to_the_next(
        self, locks: Locks, name: str, pass_time: PassTime, moment: timedelta
    ) -> None:
        await locks.try_acquire(name, "mine", moment)
        await pass_time(moment)
        await locks.try_acquire(name, "yours", HOUR)
        assert not await locks.extend(name, "mine", HOUR)
        assert not await locks.release(name, "mine")
        assert await locks.release(name, "yours")

    @on_time
    async def test_extending_counts_the_time_anew(
        self, locks: Locks, name: str, pass_time: PassTime, moment: timedelta
    ) -> None:
        await locks.try_acquire(name, "mine", moment)
        assert await locks.extend(name, "mine", 3 * moment)
        await pass_time(2 * moment)
        assert await locks.try_acquire(name, "yours", moment) is not None
        await pass_time(moment)
        assert await locks.try_acquire(name, "yours", moment) is None

    async def test_extending_may_shorten(
        self, locks: Locks, name: str, pass_time: PassTime, moment: timedelta
    ) -> None:
        await locks.try_acquire(name, "mine", HOUR)
        assert await locks.extend(name, "mine", moment)
        await pass_time(moment)
        assert await locks.try_acquire(name, "yours", HOUR) is None

    async def test_an_expired_lock_can_be_neither_extended_nor_released(
        self, locks: Locks, name: str, pass_time: PassTime, moment: timedelta
    ) -> None:
        await locks.try_acquire(name, "mine", moment)
        await pass_time(moment)
        assert not await locks.extend(name, "mine", HOUR)
        assert not await locks.release(name, "mine")
        assert await locks.try_acquire(name, "yours", HOUR) is None

    async def test_what_was_never_taken_cannot_be_released(self, locks: Locks, name: str) -> None:
        assert not await locks.release(name, "mine")
        assert not await locks.extend(name, "mine", HOUR)

    async def test_releasing_twice_is_harmless(self, locks: Locks, name: str) -> None:
        await locks.try_acquire(name, "mine", HOUR)
        assert await locks.release(name, "mine")
        assert not await locks.release(name, "mine")

    async def test_never_two_are_inside(self, locks: Locks, name: str) -> None:
        inside = 0
        most = 0
        rounds = 0

        async def contend(token: str) -> None:
            nonlocal inside, most, rounds
            # Locks are asked, they do not tell: there is no event to wait for.
            while await locks.try_acquire(name, token, HOUR) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0)
            inside += 1
            most = max(most, inside)
            rounds += 1
            await asyncio.sleep(0)
            inside -= 1
            assert await locks.release(name, token)

        await together(contend(f"t{n}") for n in range(8))
        assert (rounds, most) == (8, 1)

    @pytest.mark.parametrize("suffix", NAMES, ids=["escaped", "quotes", "newline", "emoji", "long"])
    async def test_odd_names_are_names_like_others(
        self, locks: Locks, name: str, suffix: str
    ) -> None:
        assert await locks.try_acquire(name + suffix, "mine", HOUR) is None
        assert await locks.try_acquire(name + suffix, "yours", HOUR) is not None
        assert await locks.try_acquire(name, "yours", HOUR) is None
        assert await locks.release(name + suffix, "mine")
