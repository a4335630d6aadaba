"""Tests of the kit that are late are tried again; those that fail in time fail."""

import asyncio
from datetime import timedelta

import pytest

from acteon.state.testing.fixtures import PassTime, on_time

MOMENT = timedelta(milliseconds=1)


async def no_time(step: timedelta) -> None:
    """Let time pass for nobody."""


@pytest.mark.anyio
class TestOnTime:
    async def test_a_failure_in_time_is_a_failure(self) -> None:
        moments: list[timedelta] = []

        @on_time
        async def fails(self: object, *, pass_time: PassTime, moment: timedelta) -> None:
            moments.append(moment)
            await pass_time(moment)
            raise AssertionError

        hour = timedelta(hours=1)
        with pytest.raises(AssertionError):
            await fails(self, pass_time=no_time, moment=hour)
        assert moments == [hour]

    async def test_one_that_was_late_is_tried_with_longer_moments(self) -> None:
        moments: list[timedelta] = []

        @on_time
        async def late(self: object, *, pass_time: PassTime, moment: timedelta) -> None:
            moments.append(moment)
            await asyncio.sleep(2 * MOMENT.total_seconds())
            assert moment > MOMENT

        await late(self, pass_time=no_time, moment=MOMENT)
        assert moments == [MOMENT, 4 * MOMENT]

    async def test_it_is_tried_three_times(self) -> None:
        moments: list[timedelta] = []

        @on_time
        async def always(self: object, *, pass_time: PassTime, moment: timedelta) -> None:
            moments.append(moment)
            await asyncio.sleep(moment.total_seconds())
            raise AssertionError

        with pytest.raises(AssertionError):
            await always(self, pass_time=no_time, moment=MOMENT)
        assert moments == [MOMENT, 4 * MOMENT, 16 * MOMENT]
