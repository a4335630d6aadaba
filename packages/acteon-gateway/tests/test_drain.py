"""The end: nothing new is taken, what is under way ends, everything is written."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from attrs import define, evolve, field

from acteon.audit import AuditSettings, AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.core import Executed, ManualClock
from acteon.gateway import DrainingError
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action
from acteon.state import (
    Began,
    Begin,
    DispatchState,
    Settle,
    StateBackend,
    StateError,
    dispatch_state,
    lock_name,
)


async def test_what_is_under_way_ends_and_nothing_new_is_taken(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.gate.clear()
    async with open_gateway() as gateway, asyncio.TaskGroup() as group:
        running = group.create_task(gateway.dispatch(make_action()))
        await email.called()
        draining = group.create_task(gateway.drain())
        await asyncio.sleep(0)
        with pytest.raises(DrainingError):
            await gateway.dispatch(make_action())
        with pytest.raises(DrainingError):
            await gateway.dispatch_batch([make_action()])
        assert not draining.done()
        assert (await gateway.check_ready())["draining"] is not None
        email.gate.set()

    assert isinstance(running.result(), Executed)


async def test_a_batch_that_is_under_way_is_finished(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.gate.clear()
    actions = [make_action(id="a") for _ in range(3)]
    async with open_gateway() as gateway, asyncio.TaskGroup() as group:
        running = group.create_task(gateway.dispatch_batch(actions))
        await email.called()
        draining = group.create_task(gateway.drain())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not draining.done()
        email.gate.set()

    assert len(running.result()) == 3
    assert len(email.calls) == 3


async def test_every_record_is_written_before_the_end(
    open_gateway: OpenGateway, clock: ManualClock
) -> None:
    store = MemoryAuditStore()
    trail = AuditTrail(store, AuditSettings(flush_delay=timedelta(hours=1)), clock=clock)
    async with trail, open_gateway(audit=trail) as gateway:
        await gateway.dispatch_batch([make_action(id=f"a{number}") for number in range(30)])
        await gateway.drain()
        assert await store.latest("a29") is not None


@define(eq=False)
class HeldUp(DispatchState):
    """A state that begins at once, and settles when it may."""

    near: DispatchState
    gate: asyncio.Event = field(factory=asyncio.Event)

    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        return await self.near.begin(batch)

    async def settle(self, batch: Sequence[Settle]) -> Sequence[bool | StateError]:
        await self.gate.wait()
        return await self.near.settle(batch)


async def test_every_lock_is_given_back_before_the_end(
    open_gateway: OpenGateway, state: StateBackend
) -> None:
    held_up = HeldUp(dispatch_state(state))
    async with (
        open_gateway(state=evolve(state, dispatch=held_up)) as gateway,
        asyncio.TaskGroup() as group,
    ):
        assert isinstance(await gateway.dispatch(make_action(id="a1")), Executed)
        draining = group.create_task(gateway.drain())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not draining.done()
        held_up.gate.set()
        await draining
        lock = lock_name("notifications", "t1", "a1")
        assert await state.locks.try_acquire(lock, "another", timedelta(seconds=1)) is None


async def test_a_gateway_that_is_well_says_so(open_gateway: OpenGateway) -> None:
    async with open_gateway() as gateway:
        assert set((await gateway.check_ready()).values()) == {None}
