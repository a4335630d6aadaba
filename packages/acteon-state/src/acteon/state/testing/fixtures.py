"""The fixtures that all conformance classes share."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import timedelta
from functools import wraps
from time import monotonic
from typing import Any, Final, TypeVar
from uuid import uuid4

import pytest

from acteon.state.adapter import dispatch_state
from acteon.state.dispatch import DispatchState
from acteon.state.keys import StateKey
from acteon.state.store import Locks, StateBackend, StatePlugin, StateStore

T = TypeVar("T")

PassTime = Callable[[timedelta], Awaitable[None]]

HOUR = timedelta(hours=1)

STATE_KIT: Final = "1"
"""The version of this kit. A higher number means that it asks for something that the one before
did not: what passed that one may fail this one. Closer tests of the same keep the number.
"""


class BackendFixtures:
    """Give a fixture `backend` and subclass the conformance classes with it.

    The tests are plain coroutines under anyio's plugin: a fixture `anyio_backend` that returns
    `"asyncio"` belongs into the `conftest.py`. Keys and names are new for each test, so that
    all tests may share one server.
    """

    @pytest.fixture
    async def backend(self) -> StateBackend:
        """Give the open backend to test; every subclass overrides this."""
        raise NotImplementedError("a fixture `backend` is wanted")

    @pytest.fixture
    def plugin(self) -> type[StatePlugin] | None:
        """Give the plugin that opens the backend; None if it says of no kit."""
        return None

    @pytest.fixture
    def store(self, backend: StateBackend) -> StateStore:
        """Give the store to test."""
        return backend.store

    @pytest.fixture
    def locks(self, backend: StateBackend) -> Locks:
        """Give the locks to test."""
        return backend.locks

    @pytest.fixture
    def dispatch(self, backend: StateBackend) -> DispatchState:
        """Give what begins and settles dispatches: the backend's own, or the adapter."""
        return dispatch_state(backend)

    @pytest.fixture
    def moment(self) -> timedelta:
        """Give the unit of the times that tests wait for: more than a few calls take."""
        return timedelta(milliseconds=400)

    @pytest.fixture
    def pass_time(self) -> PassTime:
        """Give what lets time pass for the backend; where that can be done without waiting, do."""

        async def wait(step: timedelta) -> None:
            # A little more: a server may keep whole milliseconds, and another clock than ours.
            await asyncio.sleep(step.total_seconds() + 0.02)

        return wait

    @pytest.fixture
    def key(self) -> StateKey:
        """Give a key of this test alone."""
        return StateKey("test", uuid4().hex, "dedup", "1")

    @pytest.fixture
    def name(self) -> str:
        """Give the name of a lock of this test alone."""
        return f"dispatch:test:{uuid4().hex}:1"


def on_time(test: Callable[..., Awaitable[None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Have `test` tried again, with longer moments, where the machine was late.

    That is for tests by which something is still there after a moment: on a machine that stands
    still for a moment more it may be rightly gone. `test` takes the fixtures `pass_time` and
    `moment`, leaves nothing behind that lasts longer than three moments, and fails at once
    where no time was lost.
    """

    @wraps(test)
    async def tried(
        self: object, *, pass_time: PassTime, moment: timedelta, **fixtures: Any
    ) -> None:
        async def is_over(moment: timedelta) -> bool:
            """Return whether the test has passed; if not, it was not in time."""
            passed = timedelta(0)

            async def counted(step: timedelta) -> None:
                nonlocal passed
                passed += step
                await pass_time(step)

            began = monotonic()
            try:
                await test(self, pass_time=counted, moment=moment, **fixtures)
            except AssertionError:
                if timedelta(seconds=monotonic() - began) - passed < moment:
                    raise
                return False
            return True

        for longer in (1, 4):
            if await is_over(longer * moment):
                return
            await pass_time(3 * longer * moment)
        await test(self, pass_time=pass_time, moment=16 * moment, **fixtures)

    return tried


async def together(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run `calls` at the same time and return what they give, in their order."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call) for call in calls]
    return [task.result() for task in tasks]
