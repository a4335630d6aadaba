"""State and locks in the memory of one process."""

from acteon.state_memory.dispatch import MemoryDispatch
from acteon.state_memory.plugin import MemoryStateConfig, MemoryStatePlugin, memory_backend
from acteon.state_memory.store import MemoryLocks, MemoryStateStore
from acteon.state_memory.table import Table

__all__ = [
    "MemoryDispatch",
    "MemoryLocks",
    "MemoryStateConfig",
    "MemoryStatePlugin",
    "MemoryStateStore",
    "Table",
    "memory_backend",
]
