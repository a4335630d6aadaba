"""Calling providers: attempts, back-off, limits and dead letters."""

from acteon.executor.execution import AttemptObserver, Certainty, Execution, Progress
from acteon.executor.executor import Executor
from acteon.executor.letters import DeadLetter, DeadLetterSink, MemoryDeadLetters
from acteon.executor.settings import Backoff, ExecutorSettings

__all__ = [
    "AttemptObserver",
    "Backoff",
    "Certainty",
    "DeadLetter",
    "DeadLetterSink",
    "Execution",
    "Executor",
    "ExecutorSettings",
    "MemoryDeadLetters",
    "Progress",
]
