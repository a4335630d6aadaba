"""Two tenants on one server: whatever one asks, nothing of the other comes back, or changes."""

import json
import random
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from attrs import define, field

from acteon.audit import AuditQuery, AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.core import Action, ProviderResponse
from acteon.executor import MemoryDeadLetters
from acteon.provider import ProviderConnectionError, ProviderRegistry
from acteon.server.auth import Role
from acteon.server.config import Asgi
from acteon.server.testing import Answer, Api, OpenApi, RunningServer

REQUESTS = 5_000
TENANTS = ("red", "blue")
CANARY = "canary-{}-5ecre7"
"""Of each tenant, only in what nobody else can know: never in a name that others could guess."""
RULES = """
  - {name: once, priority: 1, continue: true,
     condition: {field: action.payload.once, exists: true},
     action: {type: deduplicate, ttl_seconds: 60, key: "{{payload.once}}"}}
  - {name: few, priority: 2, condition: {field: action.action_type, eq: few},
     action: {type: throttle, max_count: 2, window_seconds: 60}}
  - {name: elsewhere, priority: 3, condition: {field: action.action_type, eq: elsewhere},
     action: {type: reroute, target_provider: echo}}
  - {name: never, priority: 4, condition: {field: action.action_type, eq: never},
     action: {type: suppress}}
"""


@define(eq=False)
class Echo:
    """A provider that repeats what it was given, in answers and in errors."""

    idempotent = True
    calls: list[Action] = field(factory=list[Action])

    async def execute(self, action: Action) -> ProviderResponse:
        self.calls.append(action)
        said = {"payload": action.payload, "labels": dict(action.metadata)}
        if action.action_type == "failing":
            raise ProviderConnectionError(f"no: {json.dumps(said)}")
        return ProviderResponse(body=said, headers={"x-echo": json.dumps(said)})

    async def health_check(self) -> None:
        return


def accounts() -> str:
    """Return a file with a key of each role for each tenant: `red-operator` is one."""
    keys = "".join(
        f"""
[[api_keys]]
name = "{CANARY.format(tenant)}-{role.value}"
key_hash = "{sha256(f"{tenant}-{role.value}".encode()).hexdigest()}"
role = "{role.value}"
grants = [{{ tenants = ["{tenant}"], namespaces = ["*"], actions = ["*"] }}]
"""
        for tenant in TENANTS
        for role in Role
    )
    return f'[settings]\njwt_secret = "{"s" * 40}"\n{keys}'


@define(eq=False)
class People:
    """Those of both tenants, who ask whatever comes to their minds.

    Attributes:
        chance: Decides what.
        cursors: Of answers to anybody.
    """

    chance: random.Random
    cursors: list[str] = field(factory=lambda: ["AAAA"])

    def ask(self, tenant: str) -> tuple[str, str, Any, dict[str, str]]:
        """Return method, target, body and headers of the next request of somebody of `tenant`."""
        asked: list[Callable[[str], tuple[str, str, Any]]] = [
            self.dispatch,
            self.dispatch,
            self.batch,
            self.query,
            self.query,
            self.latest,
            self.replay_one,
            self.replay,
            self.evaluate,
            self.other,
        ]
        if tenant == "red":
            asked.append(self.erase)
        method, target, body = self.chance.choice(asked)(tenant)
        role = self.chance.choice(("operator", "operator", "admin", "viewer"))
        headers = {"x-api-key": f"{tenant}-{role}"}
        if self.chance.random() < 0.1:
            headers["x-tenant"] = headers["x-forwarded-for"] = self.tenant(tenant)
        return method, target, body, headers

    def tenant(self, own: str) -> str:
        """Return the tenant that is asked about, which need not be the own one."""
        return self.chance.choice((own, own, *TENANTS, "*", "", "green"))

    def action(self, own: str) -> Any:
        """Return an action, of whichever tenant; only its own ones have its canary."""
        tenant = self.tenant(own)
        canary = CANARY.format(own)
        kinds = ("plain", "few", "elsewhere", "never", "failing")
        action: dict[str, Any] = {
            "id": f"a{self.chance.randrange(50)}",
            "namespace": self.chance.choice(("shop", "mill")),
            "tenant": tenant,
            "provider": self.chance.choice(("echo", "echo", "ghost")),
            "action_type": self.chance.choice(kinds),
            "payload": {"to": canary, "deep": [{"also": canary}]},
            "metadata": {"label": canary},
        }
        if self.chance.random() < 0.3:
            action["payload"]["once"] = f"k{self.chance.randrange(9)}"
        if self.chance.random() < 0.1:
            action["dedup_key"] = f"k{self.chance.randrange(9)}"
        if self.chance.random() < 0.05:
            del action[self.chance.choice(list(action))]
        return action

    def dispatch(self, own: str) -> tuple[str, str, Any]:
        return "POST", "/v1/dispatch" + self.dry_run(), self.action(own)

    def batch(self, own: str) -> tuple[str, str, Any]:
        actions = [self.action(own) for _ in range(self.chance.randrange(4))]
        return "POST", "/v1/dispatch/batch" + self.dry_run(), actions

    def query(self, own: str) -> tuple[str, str, Any]:
        given = {
            "tenant": self.tenant(own),
            "namespace": "shop",
            "provider": "echo",
            "action_type": "plain",
            "caller_id": "",
            "limit": str(self.chance.choice((1, 5, 1000))),
            "offset": str(self.chance.randrange(20)),
            "cursor": self.chance.choice(self.cursors),
        }
        names = self.chance.sample(list(given), self.chance.randrange(4))
        asked = "&".join(f"{name}={quote(given[name])}" for name in names)
        return "GET", f"/v1/audit?{asked}", None

    def action_id(self) -> str:
        return f"a{self.chance.randrange(50)}"

    def latest(self, _own: str) -> tuple[str, str, Any]:
        return "GET", f"/v1/audit/{self.action_id()}", None

    def replay_one(self, _own: str) -> tuple[str, str, Any]:
        return "POST", f"/v1/audit/{self.action_id()}/replay" + self.dry_run(), None

    def filters(self, own: str) -> dict[str, Any]:
        body: dict[str, Any] = {"provider": "echo"}
        if self.chance.random() < 0.5:
            body["tenant"] = self.tenant(own)
        return body

    def replay(self, own: str) -> tuple[str, str, Any]:
        limit = self.chance.randrange(1, 4)
        return "POST", "/v1/audit/replay" + self.dry_run(), {**self.filters(own), "limit": limit}

    def erase(self, own: str) -> tuple[str, str, Any]:
        body = self.filters(own)
        if self.chance.random() < 0.5:
            # It may even know what it looks for.
            body |= {"path": "to", "value": CANARY.format(self.chance.choice(TENANTS))}
        return "POST", "/v1/audit/erase" + self.dry_run(), body

    def evaluate(self, own: str) -> tuple[str, str, Any]:
        return "POST", "/v1/rules/evaluate", {"action": self.action(own)}

    def other(self, _own: str) -> tuple[str, str, Any]:
        return self.chance.choice(
            (
                ("GET", "/v1/rules", None),
                ("GET", "/v1/rules?details=true", None),
                ("PUT", "/v1/rules/never/enabled", {"enabled": False}),
                ("POST", "/v1/rules/reload", {"directory": "/"}),
                ("GET", "/v1/dlq/stats", None),
                ("POST", "/v1/dlq/drain", None),
                ("GET", "/metrics", None),
                ("GET", "/metrics/prometheus", None),
                ("GET", "/ready", None),
                ("POST", "/v1/auth/login", {"username": "x", "password": "y"}),
                ("GET", "/v1/dispatch", None),
            )
        )

    def dry_run(self) -> str:
        return self.chance.choice(("", "", "?dry_run=true"))

    def heard(self, answer: Answer) -> None:
        """Remember cursors: people tell each other everything but their secrets."""
        if answer.body.startswith(b'{"records"') and len(self.cursors) < 200:
            cursor = answer.json().get("next_cursor")
            if cursor:
                self.cursors.append(cursor)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[RunningServer]:
    async with RunningServer(Asgi.UVICORN) as running:
        yield running


@pytest.fixture
def auth_file(tmp_path: Path) -> Path:
    file = tmp_path / "auth.toml"
    file.write_text(accounts())
    return file


async def asking(api: Api, people: People) -> None:
    """Have requests sent, and look into each answer for what it must not have."""
    for _ in range(REQUESTS):
        tenant = people.chance.choice(TENANTS)
        (other,) = set(TENANTS) - {tenant}
        method, target, body, headers = people.ask(tenant)
        answer = await api.send(
            method, target, body, **{name.replace("-", "_"): text for name, text in headers.items()}
        )
        people.heard(answer)
        said = b" ".join((answer.body, repr(answer.headers).encode()))
        asked = json.dumps(body)
        if CANARY.format(other) not in asked:
            assert CANARY.format(other).encode() not in said, (method, target, body)
        assert answer.status != 500 or b"internal" not in answer.body, answer.body


@pytest.mark.parametrize("seed", range(2))
async def test_nothing_of_one_tenant_is_told_to_or_changed_by_the_other(
    open_auth: OpenApi, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    caplog.set_level("CRITICAL")
    echo = Echo()
    trail = AuditTrail(MemoryAuditStore())
    async with open_auth(
        RULES,
        audit=trail,
        dead_letters=MemoryDeadLetters(max_letters=1000),
        providers=ProviderRegistry.of({"echo": echo}),
    ) as api:
        await asking(api, People(random.Random(seed)))
        page = await trail.query(AuditQuery(limit=1000))
        erased = await trail.query(AuditQuery(action_type="audit.erase", limit=1000))
        blue = await trail.query(AuditQuery(tenant="blue", limit=1000))
        assert all(rule.enabled for rule in api.gateway.rules)

    # It was worth asking.
    assert min(page.total, len(echo.calls), erased.total) > REQUESTS // 100
    assert {action.tenant for action in echo.calls} == set(TENANTS)
    for action in echo.calls:
        assert action.payload["to"] == CANARY.format(action.tenant)
    for record in (*page.records, *blue.records):
        if record.tenant in TENANTS and record.provider:
            assert record.caller_id.startswith(CANARY.format(record.tenant))
    assert all(record.action_payload is not None for record in blue.records if record.provider)
