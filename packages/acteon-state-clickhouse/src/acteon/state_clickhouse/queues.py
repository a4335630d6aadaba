"""Who is next within this process: contending with oneself over the network would be a waste."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

from attrs import define, field

from acteon.state import StateBackendError

PATIENCE: Final = timedelta(seconds=5)
"""How long one's turn in a queue is waited for: with a server that is away it might never come."""


@define(eq=False)
class _Queue:
    lock: asyncio.Lock = field(factory=asyncio.Lock)
    users: int = 0


@define(eq=False)
class Queues:
    """A queue for each name that somebody wants to be alone on."""

    _queues: dict[str, _Queue] = field(factory=dict[str, _Queue], init=False)

    @asynccontextmanager
    async def alone(self, names: Iterable[str]) -> AsyncGenerator[None]:
        """Be alone on all of `names` in this process, first come first served.

        Raises:
            StateBackendError: Others were there for too long.
        """
        async with AsyncExitStack() as stack:
            # In one order everywhere: nobody waits in a ring.
            for name in sorted(set(names)):
                await stack.enter_async_context(self._one(name))
            yield

    @asynccontextmanager
    async def _one(self, name: str) -> AsyncGenerator[None]:
        queue = self._queues.setdefault(name, _Queue())
        queue.users += 1
        try:
            try:
                async with asyncio.timeout(PATIENCE.total_seconds()):
                    await queue.lock.acquire()
            except TimeoutError:
                raise StateBackendError(
                    f"clickhouse: an entry was kept busy for {PATIENCE.total_seconds():g} s"
                ) from None
            try:
                yield
            finally:
                queue.lock.release()
        finally:
            queue.users -= 1
            if not queue.users:
                del self._queues[name]
