"""How every state store counts in windows, as tests."""

from datetime import timedelta

import pytest

from acteon.state.errors import StateSerializationError
from acteon.state.keys import StateKey
from acteon.state.store import StateStore
from acteon.state.testing.fixtures import HOUR, BackendFixtures, PassTime, on_time, together

SLACK = timedelta(milliseconds=1)


@pytest.mark.anyio
class WindowConformance(BackendFixtures):
    """What `StateStore.take` promises."""

    async def test_as_many_as_the_limit_are_admitted(
        self, store: StateStore, key: StateKey
    ) -> None:
        taken = [await store.take(key, 3, HOUR) for _ in range(5)]
        assert [one.admitted for one in taken] == [True, True, True, False, False]

    async def test_of_many_at_once_as_many_as_the_limit_are_admitted(
        self, store: StateStore, key: StateKey
    ) -> None:
        taken = await together(store.take(key, 10, HOUR) for _ in range(50))
        assert sum(one.admitted for one in taken) == 10
        assert await store.get(key) == "10"

    async def test_each_is_told_how_many_are_counted(
        self, store: StateStore, key: StateKey
    ) -> None:
        taken = [await store.take(key, 3, HOUR) for _ in range(5)]
        assert [one.count for one in taken] == [1, 2, 3, 3, 3]

    async def test_several_are_counted_all_or_none(self, store: StateStore, key: StateKey) -> None:
        taken = [await store.take(key, 6, HOUR, amount) for amount in (3, 4, 2, 2, 1, 1)]
        assert [(one.admitted, one.count) for one in taken] == [
            (True, 3),
            (False, 3),
            (True, 5),
            (False, 5),
            (True, 6),
            (False, 6),
        ]
        assert await store.get(key) == "6"

    async def test_more_than_the_limit_open_no_window(
        self, store: StateStore, key: StateKey
    ) -> None:
        refused = await store.take(key, 3, HOUR, 4)
        assert (refused.admitted, refused.remaining, refused.count) == (False, HOUR, 0)
        assert await store.get(key) is None

    async def test_of_many_several_at_once_no_more_than_the_limit_are_counted(
        self, store: StateStore, key: StateKey
    ) -> None:
        taken = await together(store.take(key, 10, HOUR, 3) for _ in range(20))
        assert sorted(one.count for one in taken if one.admitted) == [3, 6, 9]
        assert await store.get(key) == "9"

    async def test_several_open_a_window_where_one_has_closed(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        await store.take(key, 9, moment, 7)
        await pass_time(moment)
        again = await store.take(key, 9, HOUR, 5)
        assert (again.admitted, again.count) == (True, 5)
        assert await store.get(key) == "5"

    async def test_the_count_can_be_got(self, store: StateStore, key: StateKey) -> None:
        for _ in range(4):
            await store.take(key, 2, HOUR)
        assert await store.get(key) == "2"

    @on_time
    async def test_the_first_one_opens_the_window(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        first = await store.take(key, 2, 3 * moment)
        await pass_time(moment)
        second = await store.take(key, 2, 3 * moment)

        assert 2 * moment < first.remaining <= 3 * moment
        assert timedelta(0) < second.remaining <= 2 * moment + SLACK

    @on_time
    async def test_the_refused_are_told_when_and_extend_nothing(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        await store.take(key, 1, 2 * moment)
        await pass_time(moment)
        refused = await store.take(key, 1, 2 * moment)
        assert not refused.admitted
        assert timedelta(0) < refused.remaining <= moment + SLACK

        await pass_time(refused.remaining)
        assert (await store.take(key, 1, 2 * moment)).admitted

    async def test_a_closed_window_is_forgotten(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        await store.take(key, 1, moment)
        await pass_time(moment)
        assert await store.get(key) is None
        again = await store.take(key, 1, HOUR)
        assert again.admitted
        assert HOUR - moment < again.remaining <= HOUR

    async def test_a_limit_of_zero_asks_and_counts_nothing(
        self, store: StateStore, key: StateKey
    ) -> None:
        asked = await store.take(key, 0, HOUR)
        assert not asked.admitted
        assert asked.remaining == HOUR
        assert asked.count == 0
        assert await store.get(key) is None

        await store.take(key, 1, timedelta(minutes=1))
        asked = await store.take(key, 0, HOUR)
        assert not asked.admitted
        assert timedelta(seconds=30) < asked.remaining <= timedelta(minutes=1)
        assert asked.count == 1
        assert await store.get(key) == "1"

    async def test_a_raised_limit_has_room_again(self, store: StateStore, key: StateKey) -> None:
        await store.take(key, 1, HOUR)
        assert not (await store.take(key, 1, HOUR)).admitted
        assert (await store.take(key, 2, HOUR)).admitted

    async def test_a_text_is_no_window(self, store: StateStore, key: StateKey) -> None:
        await store.set(key, "many", ttl=HOUR)
        with pytest.raises(StateSerializationError):
            await store.take(key, 1, HOUR)
