"""Several actions at once: decided in their order, delivered side by side."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, Generic, TypeVar

from attrs import define, field

from acteon.core import Action
from acteon.gateway.errors import GatewayError, UnforeseenError
from acteon.gateway.places import Place

log = logging.getLogger(__name__)

R = TypeVar("R")

TURN: Final = 50
"""How many items a worker may run in one go: others than this batch want their turn, too."""
_NOT_RUN: Final = UnforeseenError()


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
    items: list[_Item[R]] = [_Item(action) for action in actions]
    batch = _Batch(run, at_once, _arranged(items, ordered=ordered))
    async with asyncio.TaskGroup() as group:
        batch.start(group)
    return [item.result for item in batch.items]


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


_Name = tuple[str, str, str]


@define(eq=False)
class _Item(Generic[R]):
    """One action of a batch.

    Attributes:
        action: It.
        earlier: How many earlier ones have to end before it starts.
        later: Those that wait for its end.
        passed: Whether its turn came while it had to wait.
        place: Where it stands.
        result: What became of it.
    """

    action: Action
    earlier: int = 0
    later: "list[_Item[R]] | None" = None
    passed: bool = False
    place: Place = field(init=False)
    result: R | GatewayError = field(default=_NOT_RUN, init=False)


@define(eq=False)
class _Batch(Generic[R]):
    """The items of a batch, and the workers that run them.

    Items that never wait for anything are run by one worker, one after the other; whenever one
    has to wait, another worker is ready to go on with the next.

    Attributes:
        run: Runs one.
        at_once: How many workers there are at the most.
        items: All of them, in order.
    """

    run: Callable[[Action, Place | None], Awaitable[R]]
    at_once: int
    items: list[_Item[R]]
    _new: "Iterator[_Item[R]]" = field(init=False)
    _freed: "deque[_Item[R]]" = field(factory=deque["_Item[R]"], init=False)
    """Items whose turn has passed, and that may start now."""
    _workers: int = field(default=0, init=False)
    _spare: bool = field(default=False, init=False)
    """Whether a worker is there that has not begun."""

    def start(self, group: asyncio.TaskGroup) -> None:
        """Let workers run all items, as tasks of `group`."""
        self._new = iter(self.items)
        self._hire(group)

    def _hire(self, group: asyncio.TaskGroup) -> None:
        if not self._spare and self._workers < self.at_once:
            self._workers += 1
            self._spare = True
            group.create_task(self._work(group))

    async def _work(self, group: asyncio.TaskGroup) -> None:
        self._spare = False
        done = 0
        while (item := self._next()) is not None:
            self._hire(group)
            try:
                item.result = await _as_value(self.run, item.action, item.place)
            finally:
                item.place.pass_on()
            if item.later is not None:
                self._free(item.later)
            done += 1
            if done % TURN == 0:
                await asyncio.sleep(0)
        self._workers -= 1

    def _next(self) -> _Item[R] | None:
        """Return the item to run next; None if whoever runs earlier ones is going to go on."""
        if self._freed:
            return self._freed.popleft()
        for item in self._new:
            if not item.earlier:
                return item
            item.passed = True
            item.place.pass_on()
        return None

    def _free(self, later: list[_Item[R]]) -> None:
        for item in later:
            item.earlier -= 1
            if item.passed and not item.earlier:
                self._freed.append(item)


def _arranged(items: "list[_Item[R]]", *, ordered: bool) -> "list[_Item[R]]":
    """Return `items` in their places, each knowing those that must not run at the same time."""
    batch = object()
    loop = asyncio.get_running_loop()
    anywhere = Place(batch)
    last_of_id: dict[_Name, _Item[R]] = {}
    last_of_key: dict[_Name, _Item[R]] = {}
    before: asyncio.Future[None] | None = None
    for item in items:
        item.place = anywhere
        if ordered:
            item.place = Place(batch, before, loop.create_future())
            before = item.place.passed
        action = item.action
        namespace, tenant, id = action.namespace, action.tenant, action.id
        key = id if action.dedup_key is None else action.dedup_key
        same_id = _succeed(last_of_id, (namespace, tenant, id), item)
        same_key = _succeed(last_of_key, (namespace, tenant, key), item)
        if same_id is not None:
            _follow(same_id, item)
        if same_key is not None and same_key is not same_id:
            _follow(same_key, item)
    return items


def _succeed(last: "dict[_Name, _Item[R]]", name: _Name, item: _Item[R]) -> _Item[R] | None:
    """Make `item` the last one of that name; return who was it before."""
    before = last.get(name)
    last[name] = item
    return before


def _follow(earlier: _Item[R], later: _Item[R]) -> None:
    later.earlier += 1
    if earlier.later is None:
        earlier.later = []
    earlier.later.append(later)
