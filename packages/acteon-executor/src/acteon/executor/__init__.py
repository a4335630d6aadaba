"""Calling providers: attempts, back-off, limits, circuits and dead letters."""

from acteon.executor.calls import CallSummary
from acteon.executor.circuit import Circuit, CircuitState
from acteon.executor.errors import CircuitOpenError, ProviderBusyError
from acteon.executor.execution import AttemptObserver, Certainty, Execution, Progress
from acteon.executor.executor import Executor
from acteon.executor.letters import DeadLetter, DeadLetterSink, MemoryDeadLetters
from acteon.executor.line import Line
from acteon.executor.settings import Backoff, ExecutorSettings

__all__ = [
    "AttemptObserver",
    "Backoff",
    "CallSummary",
    "Certainty",
    "Circuit",
    "CircuitOpenError",
    "CircuitState",
    "DeadLetter",
    "DeadLetterSink",
    "Execution",
    "Executor",
    "ExecutorSettings",
    "Line",
    "MemoryDeadLetters",
    "Progress",
    "ProviderBusyError",
]
