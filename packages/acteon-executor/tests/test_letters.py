"""Where actions go that could not be delivered."""

from datetime import UTC, datetime

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import Action
from acteon.executor import DeadLetter, MemoryDeadLetters


def letter(number: int) -> DeadLetter:
    action = Action(
        namespace="n",
        tenant="t",
        provider="p",
        action_type="a",
        payload=None,
        id=str(number),
        created_at="2025-01-01T00:00:00Z",
    )
    return DeadLetter(
        action=action,
        error="timeout after 30s",
        code="TIMEOUT",
        attempts=4,
        timestamp=datetime(2025, 1, 1, tzinfo=UTC),
    )


def numbers(letters: tuple[DeadLetter, ...]) -> list[int]:
    return [int(letter.action.id) for letter in letters]


@given(st.integers(0, 30), st.integers(1, 10), st.lists(st.integers(0, 12), max_size=5))
async def test_the_newest_are_kept_and_given_out_once_oldest_first(
    pushed: int, room: int, limits: list[int]
) -> None:
    sink = MemoryDeadLetters(max_letters=room)
    for number in range(pushed):
        await sink.push(letter(number))
    assert len(sink) == min(pushed, room)
    assert sink.dropped == max(pushed - room, 0)
    drained: list[int] = []
    for limit in limits:
        some = numbers(await sink.drain(limit))
        assert len(some) <= limit
        drained += some
    drained += numbers(await sink.drain())
    assert drained == list(range(max(pushed - room, 0), pushed))
    assert len(sink) == 0


async def test_an_empty_sink_is_a_sink() -> None:
    assert MemoryDeadLetters()


async def test_what_was_taken_out_can_be_put_back() -> None:
    sink = MemoryDeadLetters()
    await sink.push(letter(1))
    (taken,) = await sink.drain(1)
    await sink.push(evolve(taken, attempts=5))
    assert [kept.attempts for kept in await sink.drain()] == [5]


def test_there_is_room_for_one_at_least() -> None:
    with pytest.raises(ValueError, match="max_letters"):
        MemoryDeadLetters(max_letters=0)
