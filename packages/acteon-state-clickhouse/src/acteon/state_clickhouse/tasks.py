"""Tasks that have a parent, although no one task lives as long as they may."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from attrs import define, field

T = TypeVar("T")


@define(eq=False)
class Tasks:
    """A task group that may be entered in one task and left in another; its tasks must not fail.

    Leaving it waits for the tasks, and cancels them only when that is cancelled.
    """

    _group: asyncio.TaskGroup | None = field(default=None, init=False)
    _runner: asyncio.Task[None] | None = field(default=None, init=False)
    _leaving: asyncio.Event = field(factory=asyncio.Event, init=False)

    async def __aenter__(self) -> Self:
        ready = asyncio.Event()
        self._runner = asyncio.get_running_loop().create_task(self._run(ready))
        await ready.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leaving.set()
        if self._runner is not None:
            try:
                await asyncio.wait((self._runner,))
            finally:
                self._runner.cancel()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` beside the others."""
        if self._group is None:
            work.close()
            raise RuntimeError("these tasks have not been entered, or are left")
        return self._group.create_task(work)

    async def _run(self, ready: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as self._group:
                ready.set()
                await self._leaving.wait()
        finally:
            self._group = None
