"""State shared by the gateways of a fleet: entries with expiry times, locks, claims and quotas."""

from acteon.state.adapter import PrimitiveDispatchState, dispatch_state
from acteon.state.coalesce import Trips
from acteon.state.dispatch import (
    DONE,
    PENDING,
    UNKNOWN,
    Began,
    Begin,
    Claimed,
    DispatchState,
    Ending,
    LocalDispatchState,
    Quota,
    Settle,
    read_claim,
)
from acteon.state.errors import (
    StateBackendError,
    StateConnectionError,
    StateError,
    StateSerializationError,
    StateTimeoutError,
)
from acteon.state.keys import StateKey, escape, lock_name
from acteon.state.locks import StoreLocks
from acteon.state.store import Locks, StateBackend, StatePlugin, StateStore, Taken

__all__ = [
    "DONE",
    "PENDING",
    "UNKNOWN",
    "Began",
    "Begin",
    "Claimed",
    "DispatchState",
    "Ending",
    "LocalDispatchState",
    "Locks",
    "PrimitiveDispatchState",
    "Quota",
    "Settle",
    "StateBackend",
    "StateBackendError",
    "StateConnectionError",
    "StateError",
    "StateKey",
    "StatePlugin",
    "StateSerializationError",
    "StateStore",
    "StateTimeoutError",
    "StoreLocks",
    "Taken",
    "Trips",
    "dispatch_state",
    "escape",
    "lock_name",
    "read_claim",
]
