"""One dispatch at a time for one action id; nothing is ever left held."""

import asyncio
from datetime import timedelta

import pytest

from acteon.core import Executed, Failed, ManualClock
from acteon.executor import Backoff, ExecutorSettings
from acteon.gateway import LockError
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action, until
from acteon.provider import ProviderConnectionError
from acteon.state import StateBackend, lock_name

SECOND = timedelta(seconds=1)
LOCK = lock_name("notifications", "t1", "a1")


async def test_dispatches_of_one_id_run_one_after_the_other(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.gate.clear()
    async with open_gateway() as gateway, asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(gateway.dispatch(make_action(id="a1")))
        await email.called()
        email.gate.set()

    assert len(email.calls) == 5
    assert email.most_at_once == 1


async def test_different_ids_run_side_by_side(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.gate.clear()
    async with open_gateway() as gateway, asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(gateway.dispatch(make_action()))
        await email.called(5)
        email.gate.set()

    assert email.most_at_once == 5


async def test_patience_with_another_of_the_same_process_ends(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    email.gate.clear()
    async with open_gateway() as gateway, asyncio.TaskGroup() as group:
        first = group.create_task(gateway.dispatch(make_action(id="a1")))
        await email.called()
        second = asyncio.create_task(gateway.dispatch(make_action(id="a1")))
        await clock.advance(5.1 * SECOND)
        with pytest.raises(LockError) as caught:
            await second
        email.gate.set()
        assert isinstance(await first, Executed)
        assert gateway.held == 0

    assert str(caught.value) == "lock acquisition failed: operation timed out after 5s"


async def test_patience_with_another_process_ends(
    open_gateway: OpenGateway, state: StateBackend, clock: ManualClock
) -> None:
    await state.locks.try_acquire(LOCK, "another", 60 * SECOND)
    async with open_gateway() as gateway:
        task = asyncio.create_task(gateway.dispatch(make_action(id="a1")))
        await clock.advance(4.9 * SECOND)
        assert not task.done()
        await clock.advance(0.2 * SECOND)
        with pytest.raises(LockError, match=r"timed out after 5s$"):
            await task
        assert gateway.held == 0


async def test_a_lock_that_another_process_gives_back_is_taken_soon(
    open_gateway: OpenGateway, state: StateBackend, clock: ManualClock
) -> None:
    await state.locks.try_acquire(LOCK, "another", 60 * SECOND)
    async with open_gateway() as gateway:
        task = asyncio.create_task(gateway.dispatch(make_action(id="a1")))
        await clock.advance(SECOND)
        await state.locks.release(LOCK, "another")
        await clock.advance(0.1 * SECOND)
        assert isinstance(await task, Executed)


async def test_leases_are_renewed_while_work_runs(
    open_gateway: OpenGateway, email: ScriptedProvider, state: StateBackend, clock: ManualClock
) -> None:
    email.gate.clear()
    async with open_gateway() as gateway, asyncio.TaskGroup() as group:
        group.create_task(gateway.dispatch(make_action(id="a1")))
        await email.called()
        for _ in range(10):
            await clock.advance(12 * SECOND)
            assert await state.locks.try_acquire(LOCK, "another", SECOND) is not None
        email.gate.set()

    assert await state.locks.try_acquire(LOCK, "another", SECOND) is None
    assert gateway.metrics.leases_lost == 0


async def test_a_lost_lease_is_counted_and_leaves_the_new_holder_alone(
    open_gateway: OpenGateway, email: ScriptedProvider, state: StateBackend, clock: ManualClock
) -> None:
    email.gate.clear()
    async with open_gateway() as gateway, asyncio.TaskGroup() as group:
        task = group.create_task(gateway.dispatch(make_action(id="a1")))
        await email.called()
        clock.move(31 * SECOND)  # All at once: the process was stopped for so long.
        assert await state.locks.try_acquire(LOCK, "another", 60 * SECOND) is None
        await until(lambda: gateway.metrics.leases_lost == 1)
        email.gate.set()
        assert isinstance(await task, Executed), "a computed outcome never becomes an error"

    assert await state.locks.release(LOCK, "another")


async def test_who_lost_its_lease_makes_no_further_attempt(
    open_gateway: OpenGateway, email: ScriptedProvider, state: StateBackend, clock: ManualClock
) -> None:
    email.answers.extend([ProviderConnectionError("away")] * 9)
    slow = ExecutorSettings(
        max_retries=5, backoff=Backoff(first_delay=40 * SECOND, max_delay=60 * SECOND, jitter=0)
    )
    async with open_gateway(executor=slow) as gateway, asyncio.TaskGroup() as group:
        await clock.advance(0 * SECOND)
        sleepers = clock.sleepers
        task = group.create_task(gateway.dispatch(make_action(id="a1")))
        await until(lambda: clock.sleepers == sleepers + 1)
        clock.move(31 * SECOND)  # All at once: the process was stopped for so long.
        assert await state.locks.try_acquire(LOCK, "another", 600 * SECOND) is None
        await clock.advance(60 * SECOND)

    assert isinstance(task.result(), Failed)
    assert len(email.calls) == 1


async def test_one_who_is_cancelled_while_waiting_holds_nothing(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.gate.clear()
    async with open_gateway() as gateway, asyncio.TaskGroup() as group:
        group.create_task(gateway.dispatch(make_action(id="a1")))
        await email.called()
        waiting = [asyncio.create_task(gateway.dispatch(make_action(id="a1"))) for _ in range(3)]
        await until(lambda: gateway.in_flight == 4)
        waiting[0].cancel()
        waiting[1].cancel()
        await asyncio.wait(waiting[:2])
        email.gate.set()
        assert isinstance(await waiting[2], Executed)
        await until(lambda: gateway.held == 0)

    assert len(email.calls) == 2


async def test_no_task_outlives_the_gateway(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    before = asyncio.all_tasks()
    async with open_gateway() as gateway:
        for _ in range(20):
            email.gate.clear()
            task = asyncio.create_task(gateway.dispatch(make_action()))
            await email.called()
            task.cancel()
            await asyncio.wait([task])
            email.calls.clear()
        assert gateway.held == 0

    assert asyncio.all_tasks() == before
    assert clock.sleepers == 0
