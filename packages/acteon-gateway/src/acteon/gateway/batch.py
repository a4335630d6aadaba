"""Several actions at once: decided in their order, delivered side by side."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TypeVar

from acteon.core import Action
from acteon.gateway.errors import GatewayError, UnforeseenError
from acteon.gateway.places import Place

log = logging.getLogger(__name__)

R = TypeVar("R")


async def run_in_order(
    actions: Sequence[Action],
    run: Callable[[Action, Place | None], Awaitable[R]],
    *,
    at_once: int,
    ordered: bool,
) -> list[R | GatewayError]:
    """Run all of `actions`; results, or the errors in their place, are in the same order.

    They start in order, and what they take from quotas they take in order. One that shares its
    id or its deduplication key with an earlier one starts when that one has ended; those after
    it do not wait for it.

    Args:
        actions: They.
        run: Runs one, in its place.
        at_once: How many run at one time at the most.
        ordered: Whether their order must be kept where one of them asks the store first, which
            it need not be where none does.
    """
    if len(actions) == 1:
        return [await _as_value(run, actions[0], None)]
    loop = asyncio.get_running_loop()
    batch = object()
    last_of: dict[Hashable, asyncio.Task[R | GatewayError]] = {}
    permits = asyncio.Semaphore(at_once)

    async def one(
        action: Action, place: Place, earlier: set[asyncio.Task[R | GatewayError]]
    ) -> R | GatewayError:
        try:
            if earlier:
                place.pass_on()
                await asyncio.wait(earlier)
            async with permits:
                return await _as_value(run, action, place)
        finally:
            place.pass_on()

    tasks: list[asyncio.Task[R | GatewayError]] = []
    before: asyncio.Future[None] | None = None
    async with asyncio.TaskGroup() as group:
        for action in actions:
            keys = _shared_keys(action)
            earlier = {last_of[key] for key in keys if key in last_of}
            place = Place(batch, before, loop.create_future() if ordered else None)
            before = place.passed
            task = group.create_task(one(action, place, earlier))
            tasks.append(task)
            last_of.update(dict.fromkeys(keys, task))
    return [task.result() for task in tasks]


async def _as_value(
    run: Callable[[Action, Place | None], Awaitable[R]], action: Action, place: Place | None
) -> R | GatewayError:
    try:
        return await run(action, place)
    except GatewayError as error:
        return error
    except Exception:
        # It must not cancel the deliveries of the others.
        log.exception("a dispatch failed in a way nobody foresaw")
        return UnforeseenError()


def _shared_keys(action: Action) -> tuple[Hashable, ...]:
    """Return what no two actions of one batch may have in common while both run."""
    scope = (action.namespace, action.tenant)
    key = action.id if action.dedup_key is None else action.dedup_key
    return ("id", *scope, action.id), ("dedup", *scope, key)
