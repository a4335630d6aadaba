"""One counter of the state store, asked for many requests at once."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from attrs import define, field, frozen

from acteon.state import StateError, StateKey, StateStore


@frozen
class Counted:
    """Whether a request was counted.

    Attributes:
        admitted: Whether it was.
        count: How many are counted, this one included.
    """

    admitted: bool
    count: int


@define(eq=False)
class _Request:
    """A request that waits for others.

    Attributes:
        limit: The most that may be counted with it.
        amount: How many it is.
        woken: Set when it is answered, or is the one to ask for all that wait.
        answer: How it went.
    """

    limit: int
    amount: int
    woken: asyncio.Future[None]
    answer: Counted | StateError | None = None

    def end(self, answer: Counted | StateError) -> None:
        """Answer it."""
        self.answer = answer
        self.wake()

    def wake(self) -> bool:
        """Let its task go on; return False if that is going on, or has been cancelled."""
        if self.woken.done():
            return False
        self.woken.set_result(None)
        return True


@define(eq=False)
class SharedCounter:
    """Counts requests in one entry of the store.

    What comes while the store is asked waits until that is over, and then shares one operation
    that counts all that have room.

    Attributes:
        store: Where it is counted.
        key: The entry.
        lasts: How long that lasts once something was counted.
        count: So many at least are counted; it only grows.
    """

    store: StateStore
    key: StateKey
    lasts: timedelta
    count: int = 0
    _asking: bool = field(default=False, init=False)
    """Whether somebody asks the store, or has been woken to."""
    _waiting: list[_Request] = field(factory=list[_Request], init=False)

    async def take(self, limit: int, amount: int) -> Counted:
        """Count `amount` more unless that makes more than `limit`: all of them or none.

        Cancelled, it may have counted them, or not.

        Raises:
            StateError: The store failed.
        """
        if self._asking:
            return await self._share(limit, amount)
        self._asking = True
        try:
            taken = await self.store.take(self.key, limit, self.lasts, amount)
        finally:
            self._pass_on()
        self.count = max(self.count, taken.count)
        return Counted(taken.admitted, taken.count)

    async def _share(self, limit: int, amount: int) -> Counted:
        request = _Request(limit, amount, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        try:
            await request.woken
        except asyncio.CancelledError:
            self._waiting = [each for each in self._waiting if each is not request]
            if request.answer is None and not request.woken.cancelled():
                self._pass_on()  # It was to ask for the others.
            raise
        if request.answer is None:
            try:
                await self._ask(tuple(self._waiting))
            finally:
                self._waiting = [
                    each for each in self._waiting if each.answer is None and each is not request
                ]
                self._pass_on()
        answer = request.answer
        assert answer is not None, "who asks for all asks for itself"
        if isinstance(answer, StateError):
            raise answer
        return answer

    async def _ask(self, requests: Sequence[_Request]) -> None:
        """Answer `requests`: count those that have room, in their order."""
        while requests:
            fitting, total, limit = self._fitting(requests)
            if not fitting:
                return
            try:
                taken = await self.store.take(self.key, limit, self.lasts, total)
            except StateError as error:
                for request in fitting:
                    request.end(error)
                return
            self.count = max(self.count, taken.count)
            if taken.admitted:
                count = taken.count - total
                for request in fitting:
                    count += request.amount
                    request.end(Counted(True, count))
                return
            # Another node has counted meanwhile. How many is known now: those that still have
            # room ask again.
            requests = fitting

    def _fitting(self, requests: Sequence[_Request]) -> tuple[list[_Request], int, int]:
        """Refuse those of `requests` that have no room, going by what is known.

        Returns:
            The others; how many they are in all; and the most that may be counted with them.
        """
        fitting: list[_Request] = []
        total = 0
        for request in requests:
            if self.count + total + request.amount > request.limit:
                request.end(Counted(False, self.count + total))
            else:
                total += request.amount
                fitting.append(request)
        behind, limits = total, list[int]()
        for request in fitting:
            behind -= request.amount
            limits.append(request.limit + behind)
        return fitting, total, min(limits, default=0)

    def _pass_on(self) -> None:
        """Let the first one that waits ask for all of them."""
        self._asking = any(request.wake() for request in self._waiting)
