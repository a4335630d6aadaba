"""Tasks that run as long as something is open."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from attrs import define, field


@define(eq=False)
class Background:
    """Runs endless coroutines while it is open, and cancels them when it is left.

    A task group held open over a `yield` or between two calls would, when a child fails, cancel
    whoever happens to run then; here it lives in a task of its own.
    """

    _owner: "asyncio.Task[None] | None" = field(default=None, init=False)
    _group: asyncio.TaskGroup = field(factory=asyncio.TaskGroup, init=False)
    _opened: asyncio.Event = field(factory=asyncio.Event, init=False)
    _closing: asyncio.Event = field(factory=asyncio.Event, init=False)

    async def __aenter__(self) -> Self:
        self._owner = asyncio.create_task(self._own())
        await self._opened.wait()
        return self

    async def _own(self) -> None:
        async with self._group:
            self._opened.set()
            await self._closing.wait()
            for task in self._tasks:
                task.cancel()

    _tasks: list["asyncio.Task[Any]"] = field(factory=list["asyncio.Task[Any]"], init=False)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until this is left."""
        self._tasks.append(self._group.create_task(work))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        if self._owner is not None:
            await self._owner
