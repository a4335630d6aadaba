"""That the state store fails is told once, by the gateway or its backend; so is its end."""

import logging
from collections.abc import Sequence
from datetime import timedelta

import pytest
from attrs import define, evolve, frozen

from acteon.core import ManualClock
from acteon.gateway import GatewayError
from acteon.gateway.testing import OpenGateway, make_action
from acteon.state import (
    Began,
    Begin,
    DispatchState,
    Settle,
    StateBackend,
    StateBackendError,
    StateConnectionError,
    StateError,
    StateKey,
    StateSerializationError,
    dispatch_state,
)
from acteon.state_memory import memory_backend
from acteon.state_memory.store import MemoryStateStore

SECOND = timedelta(seconds=1)
ONCE = """\
rules:
  - {name: once, condition: {all: []}, action: {type: deduplicate, ttl_seconds: 60}}
"""


@define(eq=False)
class Line:
    """A line to a server that can be cut, or take no more writes."""

    cut: StateError | None = None
    full: StateError | None = None


@frozen(eq=False, slots=False)
class FarStore(MemoryStateStore):
    line: Line

    async def get(self, key: StateKey) -> str | None:
        if self.line.cut is not None:
            raise self.line.cut
        return await super().get(key)


@define(eq=False)
class Far(DispatchState):
    near: DispatchState
    line: Line

    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        self._check()
        return await self.near.begin(batch)

    async def settle(self, batch: Sequence[Settle]) -> Sequence[bool | StateError]:
        self._check()
        return await self.near.settle(batch)

    def _check(self) -> None:
        failure = self.line.cut or self.line.full
        if failure is not None:
            raise failure


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def state(clock: ManualClock, line: Line) -> StateBackend:
    near = memory_backend(clock)
    assert isinstance(near.store, MemoryStateStore)
    store = FarStore(near.store.table, line)
    return evolve(near, store=store, dispatch=Far(dispatch_state(near), line))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]


FAILS = "the state store fails: dispatches that need it end with an error until it works again"
WORKS = "the state store works again"


async def test_of_a_server_that_is_away_its_backend_tells_and_nobody_else(
    open_gateway: OpenGateway, clock: ManualClock, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with open_gateway(ONCE) as gateway:
        caplog.clear()
        line.cut = StateConnectionError("nobody answers at 127.0.0.1:1")
        for _ in range(5):
            with pytest.raises(GatewayError):
                await gateway.dispatch(make_action(dedup_key="k"))
        for _ in range(5):
            await clock.advance(SECOND)
        away = told(caplog)
        line.cut = None
        await clock.advance(5 * SECOND)
        back = told(caplog)
        await gateway.dispatch(make_action(dedup_key="k"))
        failed = gateway.metrics.errors["LOCK_FAILED"]
    assert away == back == told(caplog) == []
    assert failed == 5, "each is counted all the same"


async def test_a_store_that_takes_no_writes_works_again_when_it_does(
    open_gateway: OpenGateway, clock: ManualClock, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with open_gateway(ONCE) as gateway:
        caplog.clear()
        line.full = StateBackendError("the server is out of memory")
        with pytest.raises(GatewayError):
            await gateway.dispatch(make_action(dedup_key="k"))
        await clock.advance(3 * SECOND)
        full = told(caplog)
        line.full = None
        await clock.advance(3 * SECOND)  # What could not be given back is given back.
        await gateway.dispatch(make_action(dedup_key="k"))
    assert full == [FAILS], "that it can be read means nothing"
    assert told(caplog) == [FAILS, WORKS]


async def test_an_entry_that_is_none_is_no_outage(
    open_gateway: OpenGateway, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_gateway(ONCE) as gateway:
        line.full = StateSerializationError("expected a claim, found something else")
        with pytest.raises(GatewayError):
            await gateway.dispatch(make_action(dedup_key="k"))
    assert FAILS not in told(caplog)
    assert "a dispatch reached no outcome" in told(caplog)
