"""What nobody looks at any more does not pile up."""

from datetime import timedelta

import pytest

from acteon.core import ManualClock
from acteon.state import Begin, Ending, Settle, StateKey
from acteon.state_memory import MemoryDispatch, MemoryLocks, MemoryStateStore, Table
from acteon.state_memory.table import EVERY

SECOND = timedelta(seconds=1)
MANY = 2000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def table(clock: ManualClock) -> Table:
    return Table(clock)


def key(number: int, kind: str = "dedup") -> StateKey:
    return StateKey("test", "t", kind, str(number))


async def test_expired_entries_go_when_others_are_written(table: Table, clock: ManualClock) -> None:
    store = MemoryStateStore(table)
    for number in range(MANY):
        await store.check_and_set(key(number), "done", ttl=SECOND * (1 + number % 60))
    assert len(table.entries) == MANY
    clock.move(timedelta(minutes=2))
    for _ in range(MANY):
        await store.set(key(-1), "again", ttl=None)
    assert list(table.entries) == [key(-1)]
    assert table.size <= 2


async def test_leases_of_crashed_holders_go_when_others_begin(
    table: Table, clock: ManualClock
) -> None:
    dispatch = MemoryDispatch(table)
    for number in range(MANY):
        begin = Begin(token=f"t{number}", lease=30 * SECOND, lock=f"L{number}", claim=key(number))
        await dispatch.begin([begin])
    assert len(table.entries) == 2 * MANY
    clock.move(31 * SECOND)
    for _ in range(2 * MANY):
        await MemoryLocks(table).try_acquire("other", "mine", SECOND)
    assert list(table.entries) == ["other"]


async def test_settled_dispatches_leave_nothing_but_their_claims(
    table: Table, clock: ManualClock
) -> None:
    dispatch = MemoryDispatch(table)
    for number in range(MANY):
        begin = Begin(token="mine", lease=30 * SECOND, lock=f"L{number}", claim=key(number))
        await dispatch.begin([begin])
        await dispatch.settle(
            [
                Settle(
                    token="mine",
                    lock=f"L{number}",
                    claim=key(number),
                    ending=Ending.DONE if number % 2 else Ending.RELEASE,
                    ttl=timedelta(hours=1),
                )
            ]
        )
    assert len(table.entries) == MANY / 2
    assert len(table.leased) == 0
    assert table.size <= 3 * MANY / 2 + EVERY


async def test_one_key_written_again_and_again_takes_the_place_of_one(
    table: Table, clock: ManualClock
) -> None:
    store = MemoryStateStore(table)
    for _ in range(MANY):
        await store.increment(key(1, "counter"), ttl=timedelta(hours=1))
        clock.move(timedelta(milliseconds=10))
    assert table.size <= 8


async def test_a_renewed_entry_outlives_the_look_at_its_first_end(
    table: Table, clock: ManualClock
) -> None:
    store = MemoryStateStore(table)
    await store.set(key(1), "kept", ttl=SECOND)
    await store.set(key(1), "kept", ttl=10 * SECOND)
    clock.move(5 * SECOND)
    for _ in range(2 * EVERY):
        await store.set(key(2), "other", ttl=None)
    assert await store.get(key(1)) == "kept"
    clock.move(6 * SECOND)
    for _ in range(2 * EVERY):
        await store.set(key(2), "other", ttl=None)
    assert list(table.entries) == [key(2)]
