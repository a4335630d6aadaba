"""Secrets that a real server is given on every way in: none of them is found on any way out."""

import asyncio
import base64
import json
import os
import re
import secrets
import sysconfig
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from aiohttp import web
from attrs import define, field
from clickhouse_driver import Client  # pyright: ignore[reportMissingTypeStubs]

from acteon.provider.testing import Receiver
from acteon.server.testing import Answer, request
from servers.process import Server

pytestmark = pytest.mark.timeout(120)

PROGRAM = Path(sysconfig.get_path("scripts"), "acteon-server")
QUOTING = Path(__file__).parent / "quoting"
REDACTED = ("names", "nested", "case", "path", "label")
"""Canaries that the audit trail redacts; what else is sent to a server, it does not keep."""
ANSWERED = (*REDACTED, "header", "basic")
"""Canaries that a receiver is sent, and may quote in its answer."""
CONFIGURED = ("header", "basic", "signing", "plugin", "store")
RULES = """
rules:
  - name: compares
    condition:
      all:
        - {field: action.action_type, eq: compares}
        - {field: action.payload.token, gt: 1}
    action: {type: deny}
"""
CONFIG = """
[server]
port = 0
[executor]
max_retries = 0
[rules]
directory = "rules"
[audit]
enabled = true
mode = "sync"
{audit}
[audit.redact]
enabled = true
fields = ["token", "auth.pin"]
metadata = true
texts = true
[[providers]]
name = "hook"
type = "webhook"
url = "{hook}"
headers = {{ X-Api-Key = "{header}" }}
secret = "{signing}"
allow_networks = ["127.0.0.0/8"]
[[providers]]
name = "quoting"
type = "quoting"
token = "{plugin}"
"""


@define(eq=False)
class Canaries:
    """Texts that are nowhere else, each by the name of the place that it is put into."""

    _made: dict[str, str] = field(factory=dict[str, str])

    def __getitem__(self, place: str) -> str:
        return self._made.setdefault(place, f"canary{secrets.token_hex(8)}")

    def in_text(self, text: str) -> set[str]:
        """Return the places whose canaries `text` has, as they are or in Base64."""
        return {
            place
            for place, canary in self._made.items()
            if canary in text or any(form in text for form in _in_base64(canary))
        }


def _in_base64(canary: str) -> list[str]:
    """Return what is the same however the canary lies among the octets that are encoded."""
    return [base64.b64encode(b"x" * offset + canary.encode()).decode()[4:-4] for offset in range(3)]


@define(eq=False)
class Running:
    """A server, and all that it says.

    Attributes:
        url: Where it listens.
        said: The lines on stdout and stderr.
        answers: What was asked for, and what was answered.
    """

    canaries: Canaries
    url: str = ""
    said: list[str] = field(factory=list[str])
    answers: list[tuple[str, Answer]] = field(factory=list[tuple[str, Answer]])
    _listens: asyncio.Event = field(factory=asyncio.Event)

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Read a stream to its end."""
        async for line in stream:
            self.said.append(line.decode())
            if "listening" in self.said[-1]:
                self.url = re.findall(r"http://[\w.:]+", self.said[-1])[0]
                self._listens.set()
        self._listens.set()

    async def listens(self) -> None:
        """Return when it does."""
        async with asyncio.timeout(20):
            await self._listens.wait()
        assert self.url, self.said

    async def ask(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        own: tuple[str, ...] = (),
    ) -> Answer:
        """Ask for something; the answer may have those canaries that are the asker's `own`."""
        octets = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        more = dict(headers or {})
        if body is not None:
            more["content-type"] = "application/json"
        found = await request(self.url, method, target, octets, more)
        leaked = self.canaries.in_text(f"{found.headers} {found.body.decode()}") - set(own)
        assert not leaked, f"{method} {target.split('?')[0]}: {found}"
        return found


def environment() -> dict[str, str]:
    """Return the environment of processes that log all they can."""
    return {
        **{name: value for name, value in os.environ.items() if "ACTEON" not in name},
        "PYTHONPATH": str(QUOTING),
        "ACTEON_LOG": "trace",
        "ACTEON_LOG_FORMAT": "json",
    }


async def run(folder: Path, *arguments: str) -> str:
    """Run a command to its end; return all that it says."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *arguments, cwd=folder, env=environment(), stdout=PIPE, stderr=STDOUT
    )
    async with asyncio.timeout(30):
        said, _ = await process.communicate()
    return said.decode()


@asynccontextmanager
async def serving(folder: Path, canaries: Canaries) -> AsyncGenerator[Running]:
    """Run a server that logs all it can, with the configuration in `folder`."""
    running = Running(canaries)
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        cwd=folder,
        env=environment(),
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.TaskGroup() as group:
        group.create_task(running.read(process.stdout))
        group.create_task(running.read(process.stderr))
        try:
            await running.listens()
            yield running
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    """Refuse a delivery with all that came, in the reason, a header, and the body."""
    came = f"{dict(request.headers)!r} {(await request.read()).decode()}"
    status = 503 if b"later" in await request.read() else 422
    return web.Response(status=status, reason=came, text=came, headers={"X-Came": came})


def action(canaries: Canaries, **changes: Any) -> dict[str, Any]:
    """Return an action with a secret wherever one is redacted."""
    return {
        "namespace": "shop",
        "tenant": "acme",
        "provider": "quoting",
        "action_type": "greet",
        "payload": {
            "to": "ann@example.com",
            "token": canaries["names"],
            "users": [{"deep": [[{"token": [canaries["nested"]]}]]}, {"ToKeN": canaries["case"]}],
            "Auth": [{"PIN": {"now": canaries["path"]}}],
        },
        "metadata": {"Token": canaries["label"], "team": "growth"},
        **changes,
    }


async def walk(running: Running, canaries: Canaries) -> None:
    """Ask for everything that there is, with secrets on every way in."""
    ask = running.ask
    unkept = {
        "authorization": f"Bearer {canaries['bearer']}",
        "cookie": f"session={canaries['cookie']}",
        "x-api-key": canaries["key"],
        "x-custom": canaries["custom"],
        "traceparent": canaries["trace"],
        "x-request-id": canaries["request"],
    }
    for number, (provider, kind) in enumerate(
        [
            *(("hook", "greet"), ("hook", "later"), ("quoting", "greet")),
            *(("quoting", "unforeseen"), ("quoting", "compares"), ("ghost", "greet")),
        ]
    ):
        one = action(canaries, id=f"a{number}", provider=provider, action_type=kind)
        query = f"?token={canaries['query']}"
        # What a receiver answers is for the one who asked, whatever it quotes.
        await ask("POST", f"/v1/dispatch{query}", one, unkept, own=ANSWERED)
        await ask("POST", "/v1/dispatch?dry_run=true", one, own=REDACTED)
        await ask("POST", "/v1/dispatch/batch", [{**one, "id": f"b{number}"}], own=ANSWERED)
        await ask("POST", "/v1/rules/evaluate", {**one, "include_disabled": True}, own=REDACTED)

    torn = f'{{"payload": {{"token": "{canaries["torn"]}"'.encode()
    wrong = json.dumps({"payload": {"token": canaries["wrong"]}, "tenant": [canaries["wrong"]]})
    for target in ("dispatch", "dispatch/batch", "rules/evaluate", "audit/replay", "audit/erase"):
        for body in (torn, wrong.encode(), f'"{canaries["wrong"]}"'.encode(), torn + b"\xff"):
            refused = await ask("POST", f"/v1/{target}", body, unkept, own=("torn", "wrong"))
            assert 400 <= refused.status < 500
    for target in (f"/v1/audit?limit={canaries['query']}", f"/v1/audit/{canaries['query']}"):
        assert (await ask("GET", target, None, unkept, own=("query",))).status in (400, 404)

    # From here on nobody asks with a secret: whatever is found is a leak.
    for target in ("/v1/audit", "/v1/audit/a2", "/v1/rules", "/health", "/ready", "/metrics"):
        assert (await ask("GET", target)).status == 200
    assert (await ask("GET", "/metrics/prometheus")).status == 200
    assert (await ask("POST", "/v1/rules/reload")).status == 200
    assert (await ask("POST", "/v1/audit/a2/replay")).status == 409
    replayed = await ask("POST", "/v1/audit/replay", {"tenant": "acme"})
    # Beside the dispatches, the replay that was refused is of this tenant, too.
    assert replayed.json()["skipped"] == replayed.json()["total"] == 13
    erased = {"tenant": "acme", "path": "to", "value": canaries["erased"]}
    await ask("POST", "/v1/audit/erase", {**erased, "dry_run": True})
    assert (await ask("POST", "/v1/audit/erase", erased)).status == 200
    told = (await ask("GET", "/v1/audit?limit=1000")).body.decode()
    assert told.count("[REDACTED]") > 4 * 12, "errors quoted what they were sent"


def configure(folder: Path, canaries: Canaries, hook: str, audit: str) -> None:
    (folder / "rules").mkdir()
    (folder / "rules" / "rules.yaml").write_text(RULES)
    values = {place: canaries[place] for place in CONFIGURED}
    config = CONFIG.format(hook=hook, audit=audit, **values)
    (folder / "acteon.toml").write_text(config)


def assert_silent(running: Running, canaries: Canaries) -> None:
    """Check that logs have no secret, and that there is something in them."""
    logged = "".join(running.said)
    assert len(running.said) > 10
    leaks = [(canaries.in_text(line), line) for line in running.said if canaries.in_text(line)]
    assert not canaries.in_text(logged), leaks


def with_credentials(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}").geturl()


async def rows(backend: str, server: Server, prefix: str) -> str:
    """Return all that the store's own client finds in it, as one text."""
    match backend:
        case "postgres":
            async with await psycopg.AsyncConnection.connect(server.url) as connection:
                cursor = await connection.execute(f"SELECT a::text FROM {prefix}_audit a".encode())
                return "\n".join(row[0] for row in await cursor.fetchall())
        case "clickhouse":
            client: Any = Client(host=server.host, port=server.port)
            try:
                return repr(client.execute(f"SELECT * FROM {prefix}_audit"))
            finally:
                client.disconnect()
        case _:
            target = f"/{prefix}_audit*/_search?size=1000"
            return (await request(server.url, "GET", target)).body.decode()


async def test_secrets_are_in_no_log_answer_or_record_in_memory(tmp_path: Path) -> None:
    canaries = Canaries()
    async with Receiver(default=echo) as receiver:
        hook = with_credentials(receiver.url, "acteon", canaries["basic"])
        configure(tmp_path, canaries, hook, 'backend = "memory"')
        async with serving(tmp_path, canaries) as running:
            await walk(running, canaries)
        sent = "".join(f"{each.raw_headers} {each.body.decode()}" for each in receiver.requests)
    assert canaries.in_text(sent) >= {*REDACTED, "header", "basic"}, "the receiver has them all"
    assert_silent(running, canaries)


AWAY = [
    ("state", "redis", "redis://:{}@127.0.0.1:1"),
    ("state", "postgres", "postgres://acteon:{}@127.0.0.1:1/acteon"),
    ("state", "clickhouse", "clickhouse://acteon:{}@127.0.0.1:1/acteon"),
    ("audit", "postgres", "postgres://acteon:{}@127.0.0.1:1/acteon"),
    ("audit", "clickhouse", "clickhouse://acteon:{}@127.0.0.1:1/acteon"),
    ("audit", "elasticsearch", "http://acteon:{}@127.0.0.1:1"),
]


@pytest.mark.parametrize(("section", "backend", "url"), AWAY)
async def test_a_store_that_is_away_is_told_without_its_password(
    section: str, backend: str, url: str, tmp_path: Path
) -> None:
    canaries = Canaries()
    more = "enabled = true" if section == "audit" else ""
    if (section, backend) == ("state", "clickhouse"):
        more = "allow_weak_locks = true"
    text = f'[{section}]\nbackend = "{backend}"\nurl = "{url.format(canaries["store"])}"\n{more}\n'
    (tmp_path / "acteon.toml").write_text(text)
    said = await run(tmp_path, "migrate")
    assert "127.0.0.1:1" in said
    assert not canaries.in_text(said)


@pytest.mark.server
async def test_secrets_are_in_no_row_of_a_store(
    audit_server: tuple[str, Server], tmp_path: Path
) -> None:
    backend, server = audit_server
    canaries = Canaries()
    prefix = f"canary{secrets.token_hex(4)}"
    url = server.url
    if backend == "postgres":
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            # Names and passwords that no parameter can stand for; both are our own.
            role = f"CREATE ROLE {prefix} LOGIN PASSWORD '{canaries['store']}' IN ROLE acteon"
            await connection.execute(role.encode())
    if backend != "clickhouse":  # Which asks its only user for no password, and takes none.
        url = with_credentials(url, prefix, canaries["store"])
    audit = f'backend = "{backend}"\nurl = "{url}"\nprefix = "{prefix}"'
    async with Receiver(default=echo) as receiver:
        configure(tmp_path, canaries, receiver.url, audit)
        async with serving(tmp_path, canaries) as running:
            await walk(running, canaries)
            server.stop()
            try:
                await running.ask("POST", "/v1/dispatch", action(canaries), own=REDACTED)
                for target in ("/v1/audit", "/v1/audit/a2", "/ready", "/metrics"):
                    await running.ask("GET", target)
                await running.ask("POST", "/v1/audit/replay", {"tenant": "acme"})
                await running.ask("POST", "/v1/audit/erase", {"tenant": "acme"})
            finally:
                server.start()
        exported = await run(tmp_path, "audit", "export", "--tenant", "acme")
    assert exported.count("\n") > 12
    assert not canaries.in_text(exported)
    kept = await rows(backend, server, prefix)
    assert "ann@example.com" in kept
    assert "[REDACTED]" in kept
    assert not canaries.in_text(kept)
    assert_silent(running, canaries)
