import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from acteon.executor import ExecutorSettings
from acteon.gateway import Gateway
from acteon.gateway.testing import ScriptedProvider
from acteon.provider import ProviderRegistry
from acteon.rules_yaml import YamlRuleFrontend
from acteon.server.config import Asgi, ServerSection
from acteon.server.http import create_app
from acteon.server.http.identity import Authenticate, Limit, anonymous
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
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the audit backend `ledger`; give the folder that other processes need to find it."""
    place = Path(__file__).parent / "ledger"
    monkeypatch.syspath_prepend(place)  # pyright: ignore[reportUnknownMemberType]
    return place


@pytest.fixture
def email() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def open_api(server: RunningServer, email: ScriptedProvider) -> OpenApi:
    """Give what serves a gateway with provider `email`, without rules, audit or dead letters."""

    @asynccontextmanager
    async def open_one(
        rules: str = "",
        *,
        server: ServerSection | None = None,
        authenticate: Authenticate = anonymous,
        limit: Limit | None = None,
        **changes: Any,
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
            running.app = create_app(gateway, server, authenticate=authenticate, limit=limit)
            yield Api(gateway, running.url)

    running = server
    return open_one


@pytest.fixture
def quickstart(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Give what starts the quickstart of this checkout, on free ports, in the folder `cwd`.

    That folder has rules of its own, which nobody asked for.
    """
    program = Path(__file__).parents[3] / "examples" / "quickstart" / "quickstart.py"
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "other.yaml").write_text("rules: [")
    started: list[subprocess.Popen[str]] = []

    def start(
        *arguments: str, program: Path = program, cwd: Path = tmp_path
    ) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, program, "--port", "0", *arguments],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            if process.poll() is None:
                process.terminate()
