import asyncio
from collections.abc import Awaitable, Generator

import pytest

from acteon.core import Unfinished, run_eagerly


async def _in_two_parts(gate: asyncio.Future[int], seen: list[str]) -> int:
    seen.append("begun")
    try:
        return await gate + 1
    finally:
        seen.append("ended")


async def test_what_never_waits_is_done_at_once() -> None:
    async def answer() -> int:
        return 5

    assert run_eagerly(answer()) == 5


async def test_what_it_raises_before_it_waits_comes_out_at_once() -> None:
    async def fail() -> int:
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        run_eagerly(fail())


async def test_the_rest_is_what_comes_after_the_first_wait() -> None:
    gate = asyncio.get_running_loop().create_future()
    seen: list[str] = []
    rest = run_eagerly(_in_two_parts(gate, seen))
    assert isinstance(rest, Unfinished)
    assert seen == ["begun"]
    asyncio.get_running_loop().call_soon(gate.set_result, 5)
    assert await rest == 6
    assert seen == ["begun", "ended"]


async def test_it_waits_as_often_as_it_has_to() -> None:
    async def wait_often() -> list[int]:
        found: list[int] = []
        for number in range(5):
            found.append(await asyncio.sleep(0, number))
            await asyncio.sleep(0)
        return found

    rest = run_eagerly(wait_often())
    assert isinstance(rest, Unfinished)
    assert await rest == [0, 1, 2, 3, 4]


async def test_an_error_of_what_it_waits_for_reaches_it() -> None:
    async def mend(gate: asyncio.Future[int]) -> str:
        try:
            await gate
        except LookupError as error:
            await asyncio.sleep(0)
            return str(error)
        return "nothing"

    gate = asyncio.get_running_loop().create_future()
    rest = run_eagerly(mend(gate))
    assert isinstance(rest, Unfinished)
    gate.set_exception(LookupError("lost"))
    assert await rest == "lost"


async def test_a_time_limit_around_the_rest_cancels_it_from_within() -> None:
    gate = asyncio.get_running_loop().create_future()
    seen: list[str] = []
    rest = run_eagerly(_in_two_parts(gate, seen))
    assert isinstance(rest, Unfinished)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await rest
    assert seen == ["begun", "ended"]
    assert gate.cancelled()


async def test_who_awaits_the_rest_can_be_cancelled() -> None:
    gate = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def run() -> None:
        rest = run_eagerly(_in_two_parts(gate, seen))
        assert isinstance(rest, Unfinished)
        await rest

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()
    assert seen == ["begun", "ended"]


async def test_a_time_limit_within_belongs_to_the_task_that_began() -> None:
    async def limited() -> str:
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(60)
        except TimeoutError:
            return "over"
        return "slept"

    rest = run_eagerly(limited())
    assert isinstance(rest, Unfinished)
    assert await rest == "over"


async def test_who_is_closed_midway_cleans_up() -> None:
    gate = asyncio.get_running_loop().create_future()
    seen: list[str] = []
    rest = run_eagerly(_in_two_parts(gate, seen))
    assert isinstance(rest, Unfinished)
    steps = rest.__await__()
    next(steps)
    assert isinstance(steps, Generator)
    steps.close()
    assert seen == ["begun", "ended"]


async def test_any_awaitable_will_do() -> None:
    class Ready:
        def __await__(self) -> Generator[None, None, str]:
            return "ready"
            yield

    gate: Awaitable[str] = asyncio.get_running_loop().create_future()
    assert run_eagerly(Ready()) == "ready"
    rest = run_eagerly(gate)
    assert isinstance(rest, Unfinished)
    assert isinstance(gate, asyncio.Future)
    gate.set_result("later")
    assert await rest == "later"
