"""Running a coroutine up to the first thing that it waits for, without leaving the caller's turn.

Many calls never wait for anything, and what one does for those that may is wasted on them.
"""

from collections.abc import Awaitable, Coroutine, Generator
from types import CoroutineType
from typing import Any, Generic, TypeGuard, TypeVar

from attrs import frozen

T = TypeVar("T")


@frozen(eq=False)
class Unfinished(Generic[T]):
    """A coroutine that waits for something; to be awaited at once, in the task that began it.

    Attributes:
        coroutine: It.
        waits_for: What it asked the event loop to wait for.
    """

    coroutine: Coroutine[Any, Any, T]
    waits_for: Any

    def __await__(self) -> Generator[Any, Any, T]:
        coroutine, waits_for = self.coroutine, self.waits_for
        # What `yield from` does (PEP 380), from its second step on.
        try:
            while True:
                try:
                    sent = yield waits_for
                except GeneratorExit:
                    coroutine.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the coroutine's to handle
                    waits_for = coroutine.throw(error)
                else:
                    waits_for = coroutine.send(sent)
        except StopIteration as end:
            value: T = end.value
            return value


def run_eagerly(awaitable: Awaitable[T]) -> T | Unfinished[T]:
    """Return what `awaitable` gives if it gives it without waiting, else the rest of it.

    Raises:
        BaseException: Whatever it raises before it waits for anything.
    """
    coroutine = awaitable if _is_coroutine(awaitable) else _awaited(awaitable)
    try:
        waits_for = coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    return Unfinished(coroutine, waits_for)


def _is_coroutine(awaitable: Awaitable[T]) -> TypeGuard[Coroutine[Any, Any, T]]:
    return isinstance(awaitable, CoroutineType)


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable
