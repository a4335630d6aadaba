import asyncio
from typing import Any

import pytest

from acteon.core import Tasks


class ToldError(Exception):
    pass


async def forever() -> None:
    await asyncio.Event().wait()


async def test_what_was_started_is_waited_for_and_what_is_endless_is_cancelled() -> None:
    goes_on = asyncio.Event()
    tasks = Tasks()
    async with asyncio.timeout(5):
        await asyncio.create_task(tasks.__aenter__())
        ends = tasks.start(goes_on.wait())
        endless = tasks.start(forever(), endless=True)
        leaving = asyncio.create_task(tasks.__aexit__(None, None, None))
        await asyncio.wait((endless,))
        assert endless.cancelled()
        assert not leaving.done()
        goes_on.set()
        await leaving
    assert ends.result() is True


async def test_being_cancelled_while_leaving_cancels_all() -> None:
    tasks = Tasks()
    await tasks.__aenter__()
    stuck = tasks.start(forever())
    leaving = asyncio.create_task(tasks.__aexit__(None, None, None))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait((leaving, stuck))
    assert stuck.cancelled()
    assert leaving.cancelled()


async def test_a_failure_ends_the_others_and_is_raised_at_the_end_only() -> None:
    async def fail() -> None:
        raise ToldError

    tasks = Tasks()
    await tasks.__aenter__()
    other = tasks.start(forever())
    tasks.start(fail())
    await asyncio.wait((other,))
    assert other.cancelled()
    with pytest.raises(ExceptionGroup) as caught:
        await tasks.__aexit__(None, None, None)
    assert [type(error) for error in caught.value.exceptions] == [ToldError]


async def test_completing_outlives_the_caller() -> None:
    done: list[str] = []
    goes_on = asyncio.Event()

    async def work() -> None:
        await goes_on.wait()
        done.append("done")

    async with Tasks() as tasks:
        caller = asyncio.create_task(tasks.complete(work()))
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait((caller,))
        assert caller.cancelled()
        goes_on.set()
    assert done == ["done"]


async def test_what_completing_work_raises_is_the_callers_alone() -> None:
    async def fail() -> int:
        raise ToldError

    async def answer() -> int:
        return 4

    async with Tasks() as tasks:
        with pytest.raises(ToldError):
            await tasks.complete(fail())
        assert await tasks.complete(answer()) == 4


@pytest.mark.parametrize("entered", [False, True])
async def test_nothing_starts_outside(entered: bool) -> None:
    tasks = Tasks()
    if entered:
        async with tasks:
            pass
    work: Any = forever()
    with pytest.raises(RuntimeError, match="not been entered, or have been left"):
        tasks.start(work)
    assert work.cr_frame is None  # closed: no warning of it never having been awaited


async def test_nothing_endless_starts_while_leaving() -> None:
    goes_on = asyncio.Event()
    refused: list[RuntimeError] = []

    async def late() -> None:
        await goes_on.wait()
        try:
            tasks.start(forever(), endless=True)
        except RuntimeError as error:
            refused.append(error)

    tasks = Tasks()
    async with asyncio.timeout(5):
        async with tasks:
            tasks.start(late())
            asyncio.get_running_loop().call_soon(goes_on.set)
    assert len(refused) == 1
