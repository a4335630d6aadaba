from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from acteon.executor import ExecutorSettings
from acteon.gateway import Gateway
from acteon.gateway.testing import ScriptedProvider
from acteon.provider import ProviderRegistry
from acteon.rules_yaml import YamlRuleFrontend
from acteon.server.config import Asgi, ServerSection
from acteon.server.http import create_app
from acteon.server.testing import Api, OpenApi, RunningServer
from acteon.state_memory import memory_backend


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", params=[Asgi.UVICORN, Asgi.HYPERCORN], ids=lambda asgi: asgi.value)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[RunningServer]:
    """Give a server of each kind; tests take turns with it."""
    async with RunningServer(request.param) as running:
        yield running


@pytest.fixture
def email() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def open_api(server: RunningServer, email: ScriptedProvider) -> OpenApi:
    """Give what serves a gateway with provider `email`, without rules, audit or dead letters."""

    @asynccontextmanager
    async def open_one(
        rules: str = "", *, server: ServerSection | None = None, **changes: Any
    ) -> AsyncGenerator[Api]:
        members: dict[str, Any] = {
            "state": memory_backend(),
            "providers": ProviderRegistry.of({"email": email}),
            "executor": ExecutorSettings(max_retries=0),
        }
        if rules:
            members["initial_rules"] = YamlRuleFrontend().parse(f"rules:\n{rules}").rules
        async with AsyncExitStack() as stack:
            trail = changes.get("audit")
            if trail is not None:
                await stack.enter_async_context(trail)
            gateway = await stack.enter_async_context(Gateway(**{**members, **changes}))
            running.app = create_app(gateway, server)
            yield Api(gateway, running.url)

    running = server
    return open_one
