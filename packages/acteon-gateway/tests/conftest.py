from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from acteon.audit import AuditSettings, AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.core import ManualClock
from acteon.executor import ExecutorSettings, MemoryDeadLetters
from acteon.gateway import Gateway, GatewaySettings
from acteon.gateway.testing import OpenGateway, ScriptedProvider
from acteon.provider import ProviderRegistry
from acteon.state import StateBackend
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


@pytest.fixture
def state(clock: ManualClock) -> StateBackend:
    """Give a backend that several gateways of a test can share."""
    return memory_backend(clock)


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
