"""The backend `memory`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import ClassVar

from attrs import frozen

from acteon.core import SYSTEM_CLOCK, Clock
from acteon.state import StateBackend, StatePlugin
from acteon.state_memory.dispatch import MemoryDispatch
from acteon.state_memory.store import MemoryLocks, MemoryStateStore
from acteon.state_memory.table import Table


@frozen
class MemoryStateConfig:
    """The keys of `[state]` with `backend = "memory"`: there are none."""


class MemoryStatePlugin(StatePlugin):
    """Opens an empty backend, which is forgotten when it is closed."""

    Config = MemoryStateConfig
    kit = "1"
    shared: ClassVar[bool] = False

    @classmethod
    @asynccontextmanager
    async def open(cls, config: MemoryStateConfig) -> AsyncGenerator[StateBackend]:
        yield memory_backend()


def memory_backend(clock: Clock = SYSTEM_CLOCK) -> StateBackend:
    """Return a new, empty backend; `clock` decides when its entries expire."""
    table = Table(clock)
    return StateBackend(MemoryStateStore(table), MemoryLocks(table), MemoryDispatch(table))
