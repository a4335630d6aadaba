from datetime import timedelta

import attrs

from acteon.core import STATE, load_plugin
from acteon.state import LocalDispatchState, StateKey, StatePlugin, dispatch_state
from acteon.state_memory import MemoryDispatch, MemoryStatePlugin

KEY = StateKey("test", "t", "state", "1")


def test_it_is_found_by_its_name() -> None:
    assert load_plugin(STATE, "memory", StatePlugin) is MemoryStatePlugin


def test_it_has_no_keys_and_is_not_shared() -> None:
    assert attrs.fields(MemoryStatePlugin.Config) == ()
    assert not MemoryStatePlugin.shared


async def test_each_opening_starts_empty_and_runs_on_the_clock_of_the_machine() -> None:
    async with MemoryStatePlugin.open(MemoryStatePlugin.Config()) as backend:
        await backend.store.set(KEY, "mine", ttl=timedelta(hours=1))
        assert await backend.store.get(KEY) == "mine"
        assert isinstance(dispatch_state(backend), MemoryDispatch)
        assert isinstance(backend.dispatch, LocalDispatchState)
    async with MemoryStatePlugin.open(MemoryStatePlugin.Config()) as backend:
        assert await backend.store.get(KEY) is None
