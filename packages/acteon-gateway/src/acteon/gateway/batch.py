"""Several actions at once: decided in their order, delivered side by side."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import Context, copy_context
from typing import Any, Final, Generic, TypeVar

from attrs import define, field

from acteon.core import Action
from acteon.gateway.errors import GatewayError, UnforeseenError
from acteon.gateway.places import Place

log = logging.getLogger(__name__)

R = TypeVar("R")

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
    _arrange(items, ordered=ordered)
    async with asyncio.TaskGroup() as group:
        _Batch(run, at_once, items, group).start()
    return [item.result for item in items]


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
    """The items of a batch on their way, each as a task of its own.

    Attributes:
        run: Runs one.
        at_once: How many run at one time at the most.
        items: All of them, in order.
        group: Whose tasks they are.
    """

    run: Callable[[Action, Place | None], Awaitable[R]]
    at_once: int
    items: list[_Item[R]]
    group: asyncio.TaskGroup
    _context: Context = field(factory=copy_context, init=False)
    _new: "Iterator[_Item[R]]" = field(init=False)
    _freed: "deque[_Item[R]]" = field(factory=deque["_Item[R]"], init=False)
    """Items whose turn has passed, and that may start now."""
    _running: int = field(default=0, init=False)
    _starting: bool = field(default=False, init=False)
    _caller: "asyncio.Task[Any]" = field(init=False)
    _cancellations: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        caller = asyncio.current_task()
        assert caller is not None
        self._caller, self._cancellations = caller, caller.cancelling()

    def start(self) -> None:
        """Start as many as may run at one time; each that ends starts others."""
        self._new = iter(self.items)
        self._go_on()

    def _go_on(self) -> None:
        if self._starting:
            return  # Where tasks are eager, one may end within the call that creates it.
        self._starting = True
        try:
            while self._running < self.at_once and (item := self._next()) is not None:
                self._running += 1
                # Nothing that one leaves in its context is for those that come after it.
                self.group.create_task(self._run(item), context=self._context.copy())
        finally:
            self._starting = False

    async def _run(self, item: _Item[R]) -> None:
        try:
            item.result = await _as_value(self.run, item.action, item.place)
        finally:
            item.place.pass_on()
            self._running -= 1
            if item.later is not None:
                self._free(item.later)
            if not self._is_over():
                self._go_on()

    def _is_over(self) -> bool:
        """Return whether the whole batch is cancelled: one by itself may be by its provider."""
        return self._caller.cancelling() > self._cancellations

    def _next(self) -> _Item[R] | None:
        """Return the item to run next; None if that is for those to say that run."""
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


def _arrange(items: "list[_Item[Any]]", *, ordered: bool) -> None:
    """Put `items` in their places, and tell them which of them must not run at the same time."""
    batch = object()
    loop = asyncio.get_running_loop()
    anywhere = Place(batch)
    last_of_id: dict[_Name, _Item[Any]] = {}
    last_of_key: dict[_Name, _Item[Any]] = {}
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
