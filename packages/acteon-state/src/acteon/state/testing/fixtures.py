"""The fixtures that all conformance classes share."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from acteon.state.adapter import dispatch_state
from acteon.state.dispatch import DispatchState
from acteon.state.keys import StateKey
from acteon.state.store import Locks, StateBackend, StateStore

T = TypeVar("T")

PassTime = Callable[[timedelta], Awaitable[None]]

HOUR = timedelta(hours=1)


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


async def together(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run `calls` at the same time and return what they give, in their order."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call) for call in calls]
    return [task.result() for task in tasks]
