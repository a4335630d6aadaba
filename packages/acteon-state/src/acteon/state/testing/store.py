"""The behaviour that every state store shares, as tests."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acteon.state.errors import StateSerializationError
from acteon.state.keys import StateKey
from acteon.state.store import StatePlugin, StateStore
from acteon.state.testing.fixtures import (
    HOUR,
    STATE_KIT,
    BackendFixtures,
    PassTime,
    on_time,
    together,
)

NOTHING = timedelta(0)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ODD_IDS = {
    "colons": "a:b:c",
    "percent": "100%25:%3A",
    "quotes": 'it\'s "quoted" `so`',
    "backslash": "\\x\\",
    "wildcards": "*?[a-z]_%",
    "newline": "one\ntwo\ttab",
    "emoji": "🦌 ütf-8",
    "braces": "{hash}tag",
    "spaces": "  spaces  ",
    "long": "x" * 4096,
    "empty": "",
}


@pytest.mark.anyio
class StateStoreConformance(BackendFixtures):
    """What every state store promises, windows (`WindowConformance`) aside."""

    async def test_its_plugin_names_this_kit(self, plugin: type[StatePlugin] | None) -> None:
        assert plugin is None or plugin.kit == STATE_KIT

    async def test_an_unknown_key_has_no_value(self, store: StateStore, key: StateKey) -> None:
        assert await store.get(key) is None

    async def test_what_is_set_can_be_got(self, store: StateStore, key: StateKey) -> None:
        await store.set(key, "mine", ttl=HOUR)
        assert await store.get(key) == "mine"

    async def test_a_later_value_replaces_the_earlier(
        self, store: StateStore, key: StateKey
    ) -> None:
        await store.set(key, "first", ttl=None)
        await store.set(key, "second", ttl=None)
        assert await store.get(key) == "second"

    @on_time
    async def test_an_entry_expires_to_the_millisecond(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        await store.set(key, "short", ttl=moment)
        assert await store.get(key) == "short"
        await pass_time(moment)
        assert await store.get(key) is None

    async def test_setting_without_a_ttl_makes_an_entry_permanent(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        await store.set(key, "short", ttl=moment)
        await store.set(key, "for ever", ttl=None)
        await pass_time(2 * moment)
        assert await store.get(key) == "for ever"

    async def test_setting_counts_the_ttl_anew(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        await store.set(key, "long", ttl=HOUR)
        await store.set(key, "short", ttl=moment)
        await pass_time(moment)
        assert await store.get(key) is None

    async def test_what_has_no_time_is_gone_at_once(self, store: StateStore, key: StateKey) -> None:
        assert await store.check_and_set(key, "gone", ttl=NOTHING)
        assert await store.get(key) is None
        await store.set(key, "there", ttl=None)
        await store.set(key, "gone", ttl=NOTHING)
        assert await store.get(key) is None

    async def test_a_new_key_is_checked_and_set(self, store: StateStore, key: StateKey) -> None:
        assert await store.check_and_set(key, "mine", ttl=HOUR)
        assert await store.get(key) == "mine"

    async def test_a_set_key_is_not_set_again(self, store: StateStore, key: StateKey) -> None:
        await store.set(key, "first", ttl=None)
        assert not await store.check_and_set(key, "second", ttl=HOUR)
        assert await store.get(key) == "first"

    @on_time
    async def test_a_check_that_fails_leaves_the_expiry(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        await store.check_and_set(key, "first", ttl=moment)
        assert not await store.check_and_set(key, "second", ttl=3 * moment)
        await pass_time(moment)
        assert await store.get(key) is None

    async def test_an_expired_key_can_be_set_by_one_of_many(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        await store.check_and_set(key, "old", ttl=moment)
        await pass_time(moment)
        won = await together(store.check_and_set(key, str(n), ttl=HOUR) for n in range(20))

        assert [str(n) for n, mine in enumerate(won) if mine] == [await store.get(key)]

    async def test_of_many_at_once_one_sets(self, store: StateStore, key: StateKey) -> None:
        won = await together(store.check_and_set(key, str(n), ttl=HOUR) for n in range(20))

        assert [str(n) for n, mine in enumerate(won) if mine] == [await store.get(key)]

    async def test_deleting_says_whether_there_was_a_value(
        self, store: StateStore, key: StateKey
    ) -> None:
        assert not await store.delete(key)
        await store.set(key, "mine", ttl=HOUR)
        assert await store.delete(key)
        assert await store.get(key) is None
        assert not await store.delete(key)

    async def test_deleting_an_expired_entry_deletes_nothing(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        await store.set(key, "short", ttl=moment)
        await pass_time(moment)
        assert not await store.delete(key)

    async def test_of_many_at_once_one_deletes(self, store: StateStore, key: StateKey) -> None:
        await store.set(key, "mine", ttl=HOUR)
        assert sum(await together(store.delete(key) for _ in range(20))) == 1

    async def test_a_counter_adds_up(self, store: StateStore, key: StateKey) -> None:
        assert await store.increment(key, ttl=None) == 1
        assert await store.increment(key, 5, ttl=None) == 6
        assert await store.increment(key, -8, ttl=None) == -2
        assert await store.get(key) == "-2"

    async def test_many_increments_at_once_all_count(
        self, store: StateStore, key: StateKey
    ) -> None:
        sums = await together(store.increment(key, ttl=HOUR) for _ in range(50))
        assert sorted(sums) == list(range(1, 51))

    async def test_a_number_that_was_set_can_be_counted_on(
        self, store: StateStore, key: StateKey
    ) -> None:
        await store.set(key, "41", ttl=None)
        assert await store.increment(key, ttl=None) == 42

    async def test_a_text_cannot_be_counted_on(self, store: StateStore, key: StateKey) -> None:
        await store.set(key, "many", ttl=None)
        with pytest.raises(StateSerializationError):
            await store.increment(key, ttl=None)
        assert await store.get(key) == "many"

    async def test_a_sum_of_more_than_64_bits_is_refused(
        self, store: StateStore, key: StateKey
    ) -> None:
        await store.set(key, str(2**63 - 1), ttl=None)
        with pytest.raises(StateSerializationError):
            await store.increment(key, ttl=None)
        assert await store.get(key) == str(2**63 - 1)

    async def test_an_expired_counter_starts_again(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        await store.increment(key, 7, ttl=moment)
        await pass_time(moment)
        assert await store.increment(key, ttl=None) == 1

    @on_time
    async def test_incrementing_with_a_ttl_counts_it_anew(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        await store.increment(key, ttl=2 * moment)
        await pass_time(moment)
        await store.increment(key, ttl=2 * moment)
        await pass_time(moment)
        assert await store.get(key) == "2"
        await pass_time(moment)
        assert await store.get(key) is None

    @on_time
    async def test_incrementing_without_a_ttl_leaves_the_expiry(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        await store.delete(key)
        await store.increment(key, ttl=moment)
        await store.increment(key, ttl=None)
        await pass_time(moment)
        assert await store.get(key) is None

    async def test_a_value_is_swapped_only_for_the_expected_one(
        self, store: StateStore, key: StateKey
    ) -> None:
        await store.set(key, "old", ttl=None)
        assert not await store.compare_and_swap(key, "other", "new", ttl=None)
        assert await store.get(key) == "old"
        assert await store.compare_and_swap(key, "old", "new", ttl=None)
        assert await store.get(key) == "new"

    async def test_swapping_from_nothing_sets_a_missing_key_only(
        self, store: StateStore, key: StateKey
    ) -> None:
        assert await store.compare_and_swap(key, None, "first", ttl=HOUR)
        assert not await store.compare_and_swap(key, None, "second", ttl=HOUR)
        assert await store.get(key) == "first"

    async def test_swapping_for_nothing_removes_the_expected_value_only(
        self, store: StateStore, key: StateKey
    ) -> None:
        await store.check_and_set(key, "mine", ttl=HOUR)
        assert not await store.compare_and_swap(key, "other", None, ttl=None)
        assert await store.compare_and_swap(key, "mine", None, ttl=None)
        assert await store.get(key) is None
        assert not await store.compare_and_swap(key, "mine", None, ttl=None)

    async def test_nothing_is_swapped_for_nothing(self, store: StateStore, key: StateKey) -> None:
        assert await store.compare_and_swap(key, None, None, ttl=None)
        assert await store.get(key) is None

    async def test_an_empty_value_is_a_value(self, store: StateStore, key: StateKey) -> None:
        await store.set(key, "", ttl=HOUR)
        assert await store.get(key) == ""
        assert not await store.compare_and_swap(key, None, "new", ttl=HOUR)
        assert await store.compare_and_swap(key, "", "new", ttl=HOUR)

    async def test_an_expired_value_is_not_the_expected_one(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        await store.set(key, "old", ttl=moment)
        await pass_time(moment)
        assert not await store.compare_and_swap(key, "old", "new", ttl=HOUR)
        assert await store.compare_and_swap(key, None, "new", ttl=HOUR)

    @on_time
    async def test_swapping_counts_the_ttl_anew(
        self, store: StateStore, key: StateKey, pass_time: PassTime, moment: timedelta
    ) -> None:
        other = key._replace(id="2")
        await store.set(key, "old", ttl=moment)
        await store.set(other, "old", ttl=HOUR)
        await store.compare_and_swap(key, "old", "for ever", ttl=None)
        await store.compare_and_swap(other, "old", "short", ttl=moment)
        await pass_time(moment)
        assert await store.get(key) == "for ever"
        assert await store.get(other) is None

    async def test_a_counter_can_be_swapped(self, store: StateStore, key: StateKey) -> None:
        await store.increment(key, 3, ttl=HOUR)
        assert await store.compare_and_swap(key, "3", "10", ttl=HOUR)
        assert await store.increment(key, ttl=HOUR) == 11

    async def test_of_many_at_once_one_swaps(self, store: StateStore, key: StateKey) -> None:
        await store.set(key, "old", ttl=HOUR)
        won = await together(
            store.compare_and_swap(key, "old", str(n), ttl=HOUR) for n in range(20)
        )
        assert [str(n) for n, mine in enumerate(won) if mine] == [await store.get(key)]

    async def test_no_increment_is_lost_among_many_swaps(
        self, store: StateStore, key: StateKey
    ) -> None:
        async def add_one() -> None:
            while True:
                old = await store.get(key)
                new = str(int(old or "0") + 1)
                if await store.compare_and_swap(key, old, new, ttl=HOUR):
                    return

        await together(add_one() for _ in range(10))
        assert await store.get(key) == "10"

    @pytest.mark.parametrize("odd", ODD_IDS.values(), ids=ODD_IDS.keys())
    async def test_odd_ids_are_keys_like_others(
        self, store: StateStore, key: StateKey, odd: str
    ) -> None:
        odd_key = key._replace(id=odd)
        assert await store.check_and_set(odd_key, "mine", ttl=HOUR)
        assert await store.get(odd_key) == "mine"
        assert await store.get(key._replace(id=odd + "x")) is None
        assert await store.delete(odd_key)

    async def test_keys_that_look_alike_are_apart(self, store: StateStore, key: StateKey) -> None:
        part = key.tenant
        alike = [
            StateKey("a:b", part, "state", "1"),
            StateKey("a", f"b:{part}", "state", "1"),
            StateKey("a%3Ab", part, "state", "1"),
            StateKey("a", "b", f"{part}:state", "1"),
            StateKey("a", "b", part, "state:1"),
            StateKey("a", part, "dedup", "1"),
            StateKey("a", part, "counter", "1"),
        ]
        for number, one in enumerate(alike):
            await store.set(one, str(number), ttl=HOUR)
        assert [await store.get(one) for one in alike] == [str(n) for n in range(len(alike))]

    async def test_a_value_of_a_megabyte_fits(self, store: StateStore, key: StateKey) -> None:
        value = "é" * (512 * 1024)
        await store.set(key, value, ttl=HOUR)
        assert await store.get(key) == value

    @given(value=TEXTS)
    @settings(
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    async def test_any_text_survives(self, store: StateStore, key: StateKey, value: str) -> None:
        await store.set(key, value, ttl=HOUR)
        assert await store.get(key) == value

    async def test_a_store_that_answers_can_be_pinged(self, store: StateStore) -> None:
        await store.ping()
