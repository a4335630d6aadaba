import asyncio
from datetime import timedelta

from acteon.core import SYSTEM_CLOCK, ManualClock

SECOND = timedelta(seconds=1)


async def test_sleepers_wake_in_the_order_of_their_instants() -> None:
    clock = ManualClock()
    woken: list[str] = []

    async def sleeper(name: str, pause: timedelta) -> None:
        await clock.sleep(pause)
        woken.append(f"{name} at {clock.monotonic():g}")

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("late", 3 * SECOND))
        group.create_task(sleeper("early", SECOND))
        group.create_task(sleeper("never late", 0 * SECOND))
        await clock.advance(2 * SECOND)
        assert woken == ["never late at 0", "early at 1"]
        assert clock.sleepers == 1
        await clock.advance(2 * SECOND)

    assert woken[2:] == ["late at 3"]


async def test_one_who_sleeps_again_on_the_way_wakes_on_the_way() -> None:
    clock = ManualClock()
    wakes: list[float] = []

    async def ticker() -> None:
        while True:
            await clock.sleep(SECOND)
            wakes.append(clock.monotonic())

    task = asyncio.create_task(ticker())
    await clock.advance(3.5 * SECOND)
    task.cancel()

    assert wakes == [1.0, 2.0, 3.0]


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(SECOND))
    await clock.advance(timedelta(0))
    task.cancel()
    await asyncio.wait([task])

    assert clock.sleepers == 0
    clock.move(SECOND)


async def test_the_system_clock_goes_on() -> None:
    before = SYSTEM_CLOCK.monotonic()
    await SYSTEM_CLOCK.sleep(timedelta(microseconds=1))

    assert SYSTEM_CLOCK.monotonic() > before
    assert SYSTEM_CLOCK.now().tzinfo is not None
