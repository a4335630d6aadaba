"""Calls to Redis that share connections, and the trips on them."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from attrs import define, field
from redis.exceptions import NoScriptError

from acteon.core import Outage, Tasks
from acteon.state import StateConnectionError, StateError
from acteon.state_redis.clients import Arguments, Client
from acteon.state_redis.errors import DRIVER_ERRORS, lost, translated
from acteon.state_redis.scripts import Script

log = logging.getLogger(__name__)

MOST: Final = 128
"""How many calls one trip takes at the most."""
ATTEMPTS: Final = 3
"""How often a call is sent at the most: the connection may be gone, and then the script."""


@define(eq=False)
class _Call:
    """A call that has not been answered.

    Attributes:
        arguments: What is sent.
        script: The script that they run by its name, if it is one.
        harmless: Whether it may be made twice.
        answer: Takes the answer.
    """

    arguments: Arguments
    script: Script | None
    harmless: bool
    answer: asyncio.Future[Any]


@define(eq=False)
class _Lane:
    """The calls that wait for one server, and how many trips to it are under way."""

    name: str
    waiting: deque[_Call] = field(factory=deque[_Call])
    trips: int = 0

    def next_group(self) -> list[_Call]:
        """Take the next ones out; those whose callers have gone are not sent at all."""
        group: list[_Call] = []
        while self.waiting and len(group) < MOST:
            call = self.waiting.popleft()
            if not call.answer.done():
                group.append(call)
        return group


class Calls:
    """Makes calls to Redis; those made at the same time share a connection and a trip.

    A call that has been sent is never cancelled, whoever stops waiting for it: only the
    connection's time limit ends it, so that a connection is never left with half an answer.
    Leaving waits for what has been sent.

    Args:
        client: Takes the calls; it stays its owner's.
        place: What the server is called in errors and in the log.
        connections: How many trips to one server are under way at the most.
        patience: How long a call may take in all.
    """

    def __init__(
        self, client: Client, *, place: str, connections: int, patience: timedelta
    ) -> None:
        self.place = place
        self._client = client
        self._connections = connections
        self._patience = patience.total_seconds()
        self._lanes: dict[str, _Lane] = {}
        self._away: set[str] = set()  # lanes that fail
        self._outage = Outage(log, "state store", place)
        self._looking = False
        self._tasks = Tasks()
        self._closing = False

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing = True
        await self._tasks.__aexit__(kind, error, traceback)

    async def command(self, name: str, *arguments: bytes, harmless: bool = False) -> Any:
        """Make the call `name`, whose first argument is a key, and return its answer.

        Args:
            name: The command.
            arguments: Its arguments.
            harmless: Whether it may be made twice, if the answer to the first is lost.

        Raises:
            StateError: It failed; a connection error leaves open whether it was made.
        """
        return await self._made((name, *arguments), arguments[0], None, harmless)

    async def run(
        self,
        script: Script,
        keys: Sequence[bytes],
        arguments: Sequence[bytes],
        *,
        harmless: bool = False,
    ) -> Any:
        """Run `script`, whose `keys` are in one slot, and return its answer; see `command`."""
        call: Arguments = ("EVALSHA", script.sha, len(keys), *keys, *arguments)
        return await self._made(call, keys[0] if keys else b"", script, harmless)

    async def _made(
        self, arguments: Arguments, key: bytes, script: Script | None, harmless: bool
    ) -> Any:
        if self._closing:
            raise StateConnectionError(f"{self.place}: the connections are closed")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        lane = self._lane(key)
        lane.waiting.append(_Call(arguments, script, harmless, answer))
        if lane.trips < self._connections:
            lane.trips += 1
            self._tasks.start(self._serve(lane))
        try:
            async with asyncio.timeout(self._patience):
                return await answer
        except TimeoutError:
            raise StateConnectionError(f"{self.place} does not answer in time") from None

    def _lane(self, key: bytes) -> _Lane:
        name = self._client.server_of(key)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(name)
        return lane

    async def _serve(self, lane: _Lane) -> None:
        try:
            while group := lane.next_group():
                await self._trip(lane, group)
        finally:
            lane.trips -= 1

    async def _trip(self, lane: _Lane, group: list[_Call]) -> None:
        """Answer all of `group`."""
        failure: StateError | None = None
        waiting = group
        begun = monotonic()
        for attempt in range(1, ATTEMPTS + 1):
            answers = await self._sent([call.arguments for call in waiting])
            again: list[_Call] = []
            for call, answer in zip(waiting, answers, strict=True):
                if attempt < ATTEMPTS and self._worth_another(call, answer, attempt):
                    again.append(call)
                elif isinstance(answer, Exception):
                    error = translated(answer, self.place)
                    if isinstance(error, StateConnectionError):
                        failure = error
                    _fail(call.answer, error)
                elif not call.answer.done():
                    call.answer.set_result(answer)
            waiting = again
            if not waiting:
                break
        self._note(lane, failure, begun)
        if failure is not None and not self._looking and not self._closing:
            self._looking = True
            self._tasks.start(self._look_around(lane.name))

    def _worth_another(self, call: _Call, answer: Any, attempt: int) -> bool:
        if isinstance(answer, NoScriptError) and call.script is not None:
            # The server has not seen it yet, or has forgotten it; with its text it learns it.
            call.arguments = ("EVAL", call.script.text, *call.arguments[2:])
            return True
        return isinstance(answer, Exception) and lost(answer) and call.harmless and attempt == 1

    async def _sent(self, calls: Sequence[Arguments]) -> Sequence[Any]:
        """Send `calls` in one trip; return answer or error of each."""
        try:
            return await self._client.send(calls)
        except DRIVER_ERRORS as error:
            return [error] * len(calls)
        except Exception as error:
            log.exception("the redis client is broken")
            return [error] * len(calls)

    def _note(self, lane: _Lane, failure: StateError | None, begun: float) -> None:
        """Tell when the first server goes, and when the last one is back."""
        if failure is None:
            self._back(lambda name: name in ("", lane.name), begun)
        elif self._outage.failed(failure, begun):
            self._away.add(lane.name)

    async def _look_around(self, failed: str) -> None:
        """Learn which servers a Cluster has now."""
        begun = monotonic()
        try:
            servers = await self._client.look_around(failed)
            if self._away:
                self._back(lambda name: name not in servers, begun)
        except DRIVER_ERRORS as error:
            log.debug("no redis server tells the layout", extra={"acteon.error": str(error)})
        finally:
            self._looking = False

    def _back(self, is_back: Callable[[str], bool], begun: float) -> None:
        self._away = {name for name in self._away if not is_back(name)}
        if not self._away:
            self._outage.answered(begun)


def _fail(answer: asyncio.Future[Any], error: StateError) -> None:
    if not answer.done():
        answer.set_exception(error)
