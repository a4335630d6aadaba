import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve

from acteon.audit import AuditSettings, AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.core import ManualClock
from acteon.executor import ExecutorSettings, MemoryDeadLetters
from acteon.gateway import Gateway, GatewaySettings
from acteon.gateway.testing import OpenGateway, ScriptedProvider
from acteon.provider import ProviderRegistry
from acteon.state import (
    Began,
    Begin,
    DispatchState,
    Settle,
    StateBackend,
    StateError,
    dispatch_state,
)
from acteon.state_memory import memory_backend


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def email() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def sms() -> ScriptedProvider:
    return ScriptedProvider()


@define(eq=False)
class Distant(DispatchState):
    """A state as if it were far away: every call waits for its turn, and trips are shared."""

    near: DispatchState

    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        await asyncio.sleep(0)
        began = await self.near.begin(batch)
        await asyncio.sleep(0)
        return began

    async def settle(self, batch: Sequence[Settle]) -> Sequence[bool | StateError]:
        await asyncio.sleep(0)
        settled = await self.near.settle(batch)
        await asyncio.sleep(0)
        return settled


@pytest.fixture(params=["near", "distant"])
def state(clock: ManualClock, request: pytest.FixtureRequest) -> StateBackend:
    """Give a backend that several gateways of a test can share."""
    backend = memory_backend(clock)
    if request.param == "near":
        return backend
    return evolve(backend, dispatch=Distant(dispatch_state(backend)))


@pytest.fixture
def open_gateway(
    tmp_path: Path,
    clock: ManualClock,
    email: ScriptedProvider,
    sms: ScriptedProvider,
    state: StateBackend,
) -> OpenGateway:
    """Give what opens gateways with providers `email` and `sms`, audit and dead letters."""

    @asynccontextmanager
    async def open_one(
        rules: str = "", *, settings: GatewaySettings | None = None, **changes: Any
    ) -> AsyncGenerator[Gateway]:
        async with AsyncExitStack() as stack:
            if rules:
                directory = tmp_path / "rules"
                directory.mkdir(exist_ok=True)
                (directory / "rules.yaml").write_text(rules)
                changes["rules_directory"] = directory
            if "audit" not in changes:
                changes["audit"] = await stack.enter_async_context(
                    AuditTrail(MemoryAuditStore(), AuditSettings(mode="sync"), clock=clock)
                )
            members: dict[str, Any] = {
                "state": state,
                "providers": ProviderRegistry.of({"email": email, "sms": sms}),
                "executor": ExecutorSettings(max_retries=0),
                "dead_letters": MemoryDeadLetters(),
                "settings": settings or GatewaySettings(),
                "clock": clock,
            }
            yield await stack.enter_async_context(Gateway(**{**members, **changes}))

    return open_one
