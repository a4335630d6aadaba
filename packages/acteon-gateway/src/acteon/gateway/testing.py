"""What tests of gateways need: a provider that does as it is told, and short ways to say things."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Protocol

from attrs import define, field

from acteon.core import Action, ProviderResponse
from acteon.gateway.gateway import Gateway
from acteon.gateway.settings import GatewaySettings

LIMIT = 10.0
"""Seconds after which whatever a test waits for counts as never coming."""

Answer = ProviderResponse | Exception


@define(eq=False)
class ScriptedProvider:
    """A provider that keeps what it was called with and answers as it was told.

    Attributes:
        idempotent: What it says of itself.
        answers: The next answers, in order; when they are used up, success with `{"ok": true}`.
        calls: The actions it was called with.
        gate: While it is closed (not set), calls wait in front of it.
        waiting: How many calls wait there.
        most_at_once: The greatest number of calls that were under way at one time.
        unhealthy: What its health check raises.
    """

    idempotent: bool = False
    answers: deque[Answer] = field(factory=deque[Answer])
    calls: list[Action] = field(factory=list[Action])
    gate: asyncio.Event = field(factory=asyncio.Event)
    waiting: int = 0
    most_at_once: int = 0
    unhealthy: Exception | None = None
    _changed: asyncio.Condition = field(factory=asyncio.Condition, init=False)

    def __attrs_post_init__(self) -> None:
        self.gate.set()

    async def execute(self, action: Action) -> ProviderResponse:
        self.calls.append(action)
        await self._count(1)
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
        answer = self.answers.popleft() if self.answers else ProviderResponse(body={"ok": True})
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _count(self, step: int) -> None:
        async with self._changed:
            self.waiting += step
            self.most_at_once = max(self.most_at_once, self.waiting)
            self._changed.notify_all()

    async def called(self, times: int = 1) -> None:
        """Return when it has been called so many times.

        Raises:
            TimeoutError: It was not.
        """
        async with asyncio.timeout(LIMIT), self._changed:
            await self._changed.wait_for(lambda: len(self.calls) >= times)

    async def health_check(self) -> None:
        if self.unhealthy is not None:
            raise self.unhealthy


class OpenGateway(Protocol):
    """Opens a gateway for a test; what is not named is as the test's fixture has it."""

    def __call__(
        self,
        rules: str = "",
        *,
        settings: GatewaySettings = ...,
        **changes: Any,
    ) -> AbstractAsyncContextManager[Gateway]: ...


def make_action(**changes: Any) -> Action:
    """Return an action to provider `email`, with `changes`."""
    members: dict[str, Any] = {
        "namespace": "notifications",
        "tenant": "t1",
        "provider": "email",
        "action_type": "send_email",
        "payload": {"to": "u@example.com"},
    }
    return Action(**{**members, **changes})


async def until(
    condition: Callable[[], bool], clock: "Stepping | None" = None, step: timedelta = timedelta(0)
) -> None:
    """Give others their turn until `condition` holds, moving `clock` on by `step` each time.

    Raises:
        TimeoutError: It did not come to hold.
    """
    async with asyncio.timeout(LIMIT):
        while not condition():
            if clock is None:
                await asyncio.sleep(0)
            else:
                await clock.advance(step)


class Stepping(Protocol):
    """A clock that is moved by hand."""

    async def advance(self, step: timedelta) -> None:
        """Move it on by `step`."""
        ...
