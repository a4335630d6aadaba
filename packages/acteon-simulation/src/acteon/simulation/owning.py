"""Contexts that one task may enter and another leave."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

from attrs import define, field

T = TypeVar("T")


@define(eq=False)
class Owner(Generic[T]):
    """Holds a context open in a task of its own.

    What has task groups inside is to be left by the task that entered it; fixtures of tests are
    often entered by one and left by another.

    Attributes:
        context: What is entered by `start` and left by `stop`; never twice.
    """

    context: AbstractAsyncContextManager[T]
    _leave: asyncio.Event = field(factory=asyncio.Event, init=False)
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)

    async def start(self) -> T:
        """Enter the context, and return what it gives."""
        entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._task = task = asyncio.create_task(self._own(entered))
        try:
            waited: set[asyncio.Future[Any]] = {task, entered}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        if not entered.done():
            entered.cancel()
            self._task = None
            await task
        return entered.result()

    async def stop(self) -> None:
        """Leave the context; does nothing if it is not entered."""
        task, self._task = self._task, None
        if task is not None:
            self._leave.set()
            await task

    async def _own(self, entered: "asyncio.Future[T]") -> None:
        async with self.context as value:
            if not entered.done():
                entered.set_result(value)
            await self._leave.wait()
