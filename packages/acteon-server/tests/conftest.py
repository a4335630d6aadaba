import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from acteon.audit import AuditPlugin, AuditQuery, AuditRecord, walk
from acteon.audit.testing import make_record
from acteon.core import AUDIT, SYSTEM_CLOCK, Clock, load_plugin
from acteon.executor import ExecutorSettings
from acteon.gateway import Gateway, Plugin
from acteon.gateway.testing import ScriptedProvider
from acteon.provider import ProviderRegistry
from acteon.rules_yaml import YamlRuleFrontend
from acteon.server.auth.authenticator import Authenticator
from acteon.server.auth.book import AccountBook
from acteon.server.auth.sessions import Sessions
from acteon.server.auth.signin import SignIn
from acteon.server.config import Asgi, ServerSection
from acteon.server.http import create_app
from acteon.server.http.identity import Authenticate, Limit, LimitActions, anonymous
from acteon.server.http.providers import Reload
from acteon.server.testing import Api, OpenApi, RunningServer
from acteon.state import StateBackend
from acteon.state_memory import memory_backend
from servers import clickhouse, elasticsearch, postgres
from servers.process import Server

AUDIT_SERVERS: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "clickhouse": clickhouse.running,
    "elasticsearch": elasticsearch.running,
    "postgres": postgres.running,
}

_numbers = count(1)


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
        limit_actions: LimitActions | None = None,
        sign_in: SignIn | None = None,
        reload_providers: Reload | None = None,
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
            running.app = create_app(
                gateway,
                server,
                authenticate=authenticate,
                limit=limit,
                limit_actions=limit_actions,
                sign_in=sign_in,
                reload_providers=reload_providers,
            )
            yield Api(gateway, running.url)

    running = server
    return open_one


@pytest.fixture
def auth_file(tmp_path: Path) -> Path:
    """Give a file of users and keys, which a test may change.

    `alice` has the password `admin-pass` and may do everything; of the keys, `op-key` may do
    everything, `viewer-key` see everything, and `scoped-key` do what is about one tenant.
    """
    file = tmp_path / "auth.toml"
    shutil.copy(Path(__file__).parent / "auth.toml", file)
    return file


@pytest.fixture
def open_auth(open_api: OpenApi, auth_file: Path) -> OpenApi:
    """Give what serves a gateway as `open_api` does, to those in the file `auth_file` alone."""

    @asynccontextmanager
    async def open_one(
        rules: str = "",
        *,
        clock: Clock = SYSTEM_CLOCK,
        state: StateBackend | None = None,
        **changes: Any,
    ) -> AsyncGenerator[Api]:
        backend = state or memory_backend(clock)
        book = await AccountBook.open(auth_file, bytes(range(32)), clock)
        authenticate = Authenticator(book, Sessions(backend.store), clock)
        sign_in = evolve(SignIn.of(book, backend.store), clock=clock)
        members: dict[str, Any] = {"authenticate": authenticate, "sign_in": sign_in, **changes}
        async with open_api(rules, state=backend, clock=clock, **members) as api:
            yield api

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


@pytest.fixture(scope="session", params=AUDIT_SERVERS)
def audit_server(request: pytest.FixtureRequest) -> Iterator[tuple[str, Server]]:
    """Give a server of each kind that keeps an audit trail, and the name of its backend."""
    with AUDIT_SERVERS[request.param]() as server:
        yield request.param, server


@pytest.fixture
async def audit(audit_server: tuple[str, Server]) -> Plugin:
    """Give the audit backend on that server, with a table of the test's own that is there."""
    backend, server = audit_server
    settings: dict[str, Any] = {"url": server.url, "prefix": f"test{next(_numbers)}"}
    plugin = load_plugin(AUDIT, backend, AuditPlugin)
    async with plugin.open(plugin.Config(**settings)):
        # Making it may take longer than what comes; where time is short an outage is noticed soon.
        limit = {} if os.environ.get("ACTEON_TEST_FULL") else {"command_timeout_seconds": 1.0}
        return Plugin(backend, {**settings, **limit})


@pytest.fixture
def kept(
    audit_server: tuple[str, Server], audit: Plugin
) -> Callable[[], Awaitable[list[AuditRecord]]]:
    """Give what tells the records of tenant `acme` as another process finds them."""
    backend, _ = audit_server

    async def tell() -> list[AuditRecord]:
        plugin = load_plugin(AUDIT, backend, AuditPlugin)
        settings: Any = audit.settings
        config = plugin.Config(url=settings["url"], prefix=settings["prefix"])
        async with plugin.open(config) as store:
            # A search sees what its own process has written at once, and all before it.
            await store.write([make_record(tenant="last")])
            return [record async for record in walk(store, AuditQuery(tenant="acme"))]

    return tell


@pytest.fixture(params=["auth off", "auth on"])
def open_either(request: pytest.FixtureRequest, open_api: OpenApi, open_auth: OpenApi) -> OpenApi:
    """Give what serves a gateway, with and without authentication; requests have a good key."""
    if request.param == "auth off":
        return open_api

    @asynccontextmanager
    async def open_one(*arguments: Any, **changes: Any) -> AsyncGenerator[Api]:
        async with open_auth(*arguments, **changes) as api:
            yield evolve(api, headers={"x-api-key": "op-key"})

    return open_one
