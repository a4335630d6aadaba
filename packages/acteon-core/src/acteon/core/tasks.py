"""Tasks that have a parent, although no one task lives as long as they may."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from attrs import define, field, frozen

T = TypeVar("T")


@define(eq=False)
class Tasks:
    """A task group that may be entered in one task (a fixture, a lifespan) and left in another.

    A task group held open over a `yield` would, when a child fails, cancel whoever happens to run
    then; this one lives in a task of its own. Leaving it waits for its tasks, cancelling those
    that are endless; cancelled meanwhile, it cancels all.
    """

    _group: asyncio.TaskGroup | None = field(default=None, init=False)
    _runner: asyncio.Task[None] | None = field(default=None, init=False)
    _leaving: asyncio.Event = field(factory=asyncio.Event, init=False)
    _endless: set[asyncio.Task[Any]] = field(factory=set[asyncio.Task[Any]], init=False)

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
        for task in self._endless:
            task.cancel()
        runner = self._runner
        if runner is None:
            return
        try:
            await asyncio.wait((runner,))
        finally:
            runner.cancel()
        runner.result()

    def start(self, work: Coroutine[Any, Any, T], *, endless: bool = False) -> asyncio.Task[T]:
        """Run `work` beside the others.

        A failure of it ends the others, and is raised where these tasks are left, in a group.

        Args:
            work: What is run.
            endless: Whether it is cancelled when these tasks are left, instead of waited for.

        Raises:
            RuntimeError: These tasks have not been entered, or have been left.
        """
        if self._group is None or (endless and self._leaving.is_set()):
            work.close()
            raise RuntimeError("these tasks have not been entered, or have been left")
        task = self._group.create_task(work)
        if endless:
            self._endless.add(task)
            task.add_done_callback(self._endless.discard)
        return task

    async def complete(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` gives, or raise what it raises.

        It runs to its end even if the caller is cancelled.
        """
        outcome = await asyncio.shield(self.start(_outcome(work)))
        if isinstance(outcome, _Failure):
            raise outcome.error
        return outcome

    async def _run(self, ready: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as self._group:
                ready.set()
                await self._leaving.wait()
        finally:
            self._group = None


@frozen
class _Failure:
    error: Exception


async def _outcome(work: Coroutine[Any, Any, T]) -> T | _Failure:
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - the caller's, whether or not still there
        return _Failure(error)
