"""Several actions at once: decided in their order, delivered side by side."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TypeVar

from acteon.core import Action
from acteon.gateway.errors import GatewayError

R = TypeVar("R")


async def run_in_order(
    actions: Sequence[Action],
    run: Callable[[Action], Awaitable[R]],
    *,
    at_once: int,
) -> list[R | GatewayError]:
    """Run all of `actions`; results, or the errors in their place, are in the same order.

    They start in order, so that what they take from quotas they take in order. One that shares
    its id or its deduplication key with an earlier one starts when that one has ended.

    Args:
        actions: They.
        run: Runs one.
        at_once: How many run at one time at the most.
    """
    if len(actions) == 1:
        return [await _as_value(run, actions[0])]
    last_of: dict[Hashable, asyncio.Task[R | GatewayError]] = {}
    permits = asyncio.Semaphore(at_once)

    async def one(action: Action, earlier: set[asyncio.Task[R | GatewayError]]) -> R | GatewayError:
        try:
            if earlier:
                await asyncio.wait(earlier)
            return await _as_value(run, action)
        finally:
            permits.release()

    tasks: list[asyncio.Task[R | GatewayError]] = []
    async with asyncio.TaskGroup() as group:
        for action in actions:
            await permits.acquire()
            keys = _shared_keys(action)
            earlier = {last_of[key] for key in keys if key in last_of}
            task = group.create_task(one(action, earlier))
            tasks.append(task)
            last_of.update(dict.fromkeys(keys, task))
    return [task.result() for task in tasks]


async def _as_value(run: Callable[[Action], Awaitable[R]], action: Action) -> R | GatewayError:
    try:
        return await run(action)
    except GatewayError as error:
        return error


def _shared_keys(action: Action) -> tuple[Hashable, ...]:
    """Return what no two actions of one batch may have in common while both run."""
    scope = (action.namespace, action.tenant)
    key = action.id if action.dedup_key is None else action.dedup_key
    return ("id", *scope, action.id), ("dedup", *scope, key)
