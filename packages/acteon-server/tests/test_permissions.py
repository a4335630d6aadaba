"""Every endpoint, asked by everybody: each role, with each kind of grants."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import Enum
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from starlette.types import Scope as AsgiScope

from acteon.audit import Act, AuditQuery, AuditTrail
from acteon.audit.testing import make_record
from acteon.audit_memory import MemoryAuditStore
from acteon.core import Caller
from acteon.executor import DeadLetter, MemoryDeadLetters
from acteon.gateway.testing import make_action
from acteon.server.auth import (
    EVERYTHING,
    PERMISSIONS,
    Grant,
    Permission,
    Principal,
    Role,
    UnauthorizedError,
)
from acteon.server.config import Asgi
from acteon.server.http.routes import RawRoute
from acteon.server.testing import Api, OpenApi, RunningServer

ACTION = {
    "id": "a1",
    "namespace": "shop",
    "tenant": "t1",
    "provider": "email",
    "action_type": "send_email",
    "payload": {"to": "ann@example.com"},
    "created_at": "2025-01-01T00:00:00Z",
}
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
RULE = '- name: r\n  condition: {field: action.tenant, eq: "nobody"}\n  action: {type: deny}\n'


class Needs(Enum):
    """Which grants an endpoint wants, beside the role."""

    NOTHING = "nothing"
    THE_TENANT = "the tenant that it is about: otherwise refused"
    TO_SEE = "the tenant that it is about: otherwise there is nothing"
    TO_SEE_ONE = "the tenant that it is about: otherwise not found"
    EVERYTHING = "all tenants"


@frozen(kw_only=True)
class Endpoint:
    """What an endpoint asks of its callers.

    Attributes:
        target: A request that succeeds for those who may do it.
        ok: The status of its answer.
    """

    permission: Permission
    needs: Needs
    target: str
    body: Any = None
    ok: int = 200


ENDPOINTS: dict[tuple[str, str], list[Endpoint]] = {
    ("POST", "/v1/dispatch"): [
        Endpoint(permission=Permission.DISPATCH, needs=Needs.THE_TENANT, target=target, body=ACTION)
        for target in ("/v1/dispatch", "/v1/dispatch?dry_run=true")
    ],
    ("POST", "/v1/dispatch/batch"): [
        Endpoint(
            permission=Permission.DISPATCH, needs=Needs.THE_TENANT, target=target, body=[ACTION]
        )
        for target in ("/v1/dispatch/batch", "/v1/dispatch/batch?dry_run=true")
    ],
    ("GET", "/v1/rules"): [
        Endpoint(permission=Permission.READ_RULES, needs=Needs.NOTHING, target="/v1/rules"),
        Endpoint(
            permission=Permission.READ_RULES,
            needs=Needs.EVERYTHING,
            target="/v1/rules?details=true",
        ),
    ],
    ("POST", "/v1/rules/reload"): [
        Endpoint(
            permission=Permission.MANAGE_RULES, needs=Needs.EVERYTHING, target="/v1/rules/reload"
        ),
        Endpoint(
            permission=Permission.MANAGE_RULES,
            needs=Needs.EVERYTHING,
            target="/v1/rules/reload",
            body={"directory": "."},
        ),
    ],
    ("POST", "/v1/rules/evaluate"): [
        Endpoint(
            permission=Permission.EVALUATE_RULES,
            needs=Needs.EVERYTHING,
            target="/v1/rules/evaluate",
            body={"action": ACTION},
        )
    ],
    ("PUT", "/v1/rules/{name}/enabled"): [
        Endpoint(
            permission=Permission.MANAGE_RULES,
            needs=Needs.EVERYTHING,
            target="/v1/rules/r/enabled",
            body={"enabled": False},
        )
    ],
    ("GET", "/v1/providers"): [
        Endpoint(permission=Permission.READ_PROVIDERS, needs=Needs.NOTHING, target="/v1/providers")
    ],
    ("GET", "/v1/providers/health"): [
        Endpoint(
            permission=Permission.READ_PROVIDERS,
            needs=Needs.NOTHING,
            target="/v1/providers/health",
        )
    ],
    # This server has no file of its providers.
    ("POST", "/v1/providers/reload"): [
        Endpoint(
            permission=Permission.MANAGE_PROVIDERS,
            needs=Needs.EVERYTHING,
            target="/v1/providers/reload",
            ok=404,
        )
    ],
    ("PUT", "/v1/providers/{name}/circuit"): [
        Endpoint(
            permission=Permission.MANAGE_PROVIDERS,
            needs=Needs.EVERYTHING,
            target="/v1/providers/email/circuit",
            body={"state": "open"},
        )
    ],
    ("GET", "/v1/audit"): [
        Endpoint(permission=Permission.READ_AUDIT, needs=Needs.TO_SEE, target="/v1/audit"),
        Endpoint(
            permission=Permission.READ_AUDIT, needs=Needs.THE_TENANT, target="/v1/audit?tenant=t1"
        ),
    ],
    ("POST", "/v1/audit/replay"): [
        Endpoint(
            permission=Permission.REPLAY,
            needs=Needs.TO_SEE,
            target="/v1/audit/replay",
            body={"provider": "email"},
        ),
        Endpoint(
            permission=Permission.REPLAY,
            needs=Needs.THE_TENANT,
            target="/v1/audit/replay?dry_run=true",
            body={"tenant": "t1"},
        ),
    ],
    ("GET", "/v1/audit/replay"): [
        Endpoint(
            permission=Permission.READ_AUDIT, needs=Needs.TO_SEE_ONE, target="/v1/audit/replay"
        )
    ],
    ("POST", "/v1/audit/erase"): [
        Endpoint(
            permission=Permission.ERASE,
            needs=Needs.TO_SEE,
            target="/v1/audit/erase",
            body={"provider": "email"},
        ),
        Endpoint(
            permission=Permission.ERASE,
            needs=Needs.THE_TENANT,
            target="/v1/audit/erase",
            body={"tenant": "t1"},
        ),
    ],
    ("GET", "/v1/audit/erase"): [
        Endpoint(permission=Permission.READ_AUDIT, needs=Needs.TO_SEE_ONE, target="/v1/audit/erase")
    ],
    ("POST", "/v1/audit/{action_id}/replay"): [
        Endpoint(
            permission=Permission.REPLAY, needs=Needs.TO_SEE_ONE, target="/v1/audit/erase/replay"
        )
    ],
    ("GET", "/v1/audit/{action_id}"): [
        Endpoint(permission=Permission.READ_AUDIT, needs=Needs.TO_SEE_ONE, target="/v1/audit/seen")
    ],
    ("GET", "/v1/dlq/stats"): [
        Endpoint(
            permission=Permission.READ_DEAD_LETTERS, needs=Needs.NOTHING, target="/v1/dlq/stats"
        )
    ],
    ("POST", "/v1/dlq/drain"): [
        Endpoint(
            permission=Permission.DRAIN_DEAD_LETTERS,
            needs=Needs.EVERYTHING,
            target="/v1/dlq/drain",
        )
    ],
    # This server knows its callers by other means than tokens.
    ("POST", "/v1/auth/logout"): [
        Endpoint(
            permission=Permission.LOG_OUT, needs=Needs.NOTHING, target="/v1/auth/logout", ok=404
        )
    ],
}
"""What answers each method of each route that is not for everybody."""

PUBLIC = {
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
    ("GET", "/metrics/prometheus"),
    ("GET", "/api-doc/openapi.json"),
    ("GET", "/swagger-ui"),
    ("GET", "/swagger-ui/"),
    ("GET", "/swagger-ui/{file}"),
    ("POST", "/v1/auth/login"),
}

ALL = frozenset({"*"})
GRANTS: dict[str, tuple[Grant, ...]] = {
    "all": (EVERYTHING,),
    "own": (Grant(tenants={"t1"}, namespaces=ALL, actions=ALL),),
    "other": (Grant(tenants={"t2"}, namespaces=ALL, actions=ALL),),
    # None of them has all three.
    "crossed": (
        Grant(tenants={"t1"}, namespaces={"mill"}, actions=ALL),
        Grant(tenants={"t2"}, namespaces={"shop"}, actions=ALL),
    ),
    "none": (),
}
"""Of what is asked, the first two cover all."""
CALLERS = [f"{role.value}-{grants}" for role, grants in product(Role, GRANTS)]


async def told_by_header(scope: AsgiScope) -> Principal:
    """Return who a header says, such as `viewer-own`."""
    for name, value in scope["headers"]:
        if name == b"x-caller":
            role, _, grants = value.decode().partition("-")
            return Principal(
                caller=Caller(value.decode(), "api_key"), role=Role(role), grants=GRANTS[grants]
            )
    raise UnauthorizedError("missing authentication credentials")


def expected(endpoint: Endpoint, caller: str) -> tuple[int, bool]:
    """Return the status of the answer to `caller`, and whether it tells of anything."""
    role, _, grants = caller.partition("-")
    if endpoint.permission not in PERMISSIONS[Role(role)]:
        return 403, False
    covered = grants in ("all", "own")
    match endpoint.needs:
        case Needs.EVERYTHING:
            return (endpoint.ok, True) if grants == "all" else (403, False)
        case Needs.THE_TENANT:
            # Part of the tenant is seen: but nothing of it.
            seen = grants == "crossed" and "tenant" in (endpoint.body or endpoint.target)
            if seen and endpoint.permission is not Permission.DISPATCH:
                return (endpoint.ok, False)
            return (endpoint.ok, True) if covered else (403, False)
        case Needs.TO_SEE:
            return endpoint.ok, covered
        case Needs.TO_SEE_ONE:
            return (endpoint.ok, True) if covered else (404, False)
        case Needs.NOTHING:
            return endpoint.ok, True


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[RunningServer]:
    """Give one server: what speaks HTTP has no part in this."""
    async with RunningServer(Asgi.UVICORN) as running:
        yield running


@pytest.fixture
async def api(open_api: OpenApi, folder: Path) -> AsyncIterator[Api]:
    """Give a gateway with a rule, a dead letter, and records of one tenant."""
    (folder / "rules.yaml").write_text(f"rules:\n{RULE}")
    trail = AuditTrail(MemoryAuditStore())
    letters = MemoryDeadLetters(max_letters=10)
    await letters.push(
        DeadLetter(
            action=make_action(tenant="t1"),
            error="boom",
            code="CONNECTION",
            attempts=1,
            timestamp=NOON,
        )
    )
    async with open_api(
        RULE,
        authenticate=told_by_header,
        audit=trail,
        dead_letters=letters,
        rules_directory=folder,
    ) as api:
        for action_id in ("seen", "replay", "erase"):
            await trail.record(
                make_record(
                    action_id=action_id,
                    namespace="shop",
                    tenant="t1",
                    provider="email",
                    action_type="send_email",
                    action_payload=b'{"to":"ann@example.com"}',
                    metadata=b"{}",
                )
            )
        yield api


async def test_each_route_has_its_rule(server: RunningServer, api: Api) -> None:
    assert server.app is not None
    protected, public = set[tuple[str, str]](), set[tuple[str, str]]()
    for route in server.app.routes:
        assert isinstance(route, RawRoute)
        found = public if route.entrance is None else protected
        found.update((method, route.path) for method in route.methods)

    assert protected == set(ENDPOINTS)
    assert public == PUBLIC
    assert api.url


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(
    "asked",
    [one for several in ENDPOINTS.items() for one in ((several[0], each) for each in several[1])],
    ids=lambda asked: f"{asked[0][0]} {asked[1].target}",
)
async def test_everybody_may_do_what_role_and_grants_allow(
    api: Api, asked: tuple[tuple[str, str], Endpoint], caller: str
) -> None:
    (method, _), endpoint = asked
    status, tells = expected(endpoint, caller)

    answer = await api.send(method, endpoint.target, endpoint.body, x_caller=caller)

    assert answer.status == status, answer.body
    if not tells:
        # Nothing of what is there, and nothing happened.
        assert b"ann@example.com" not in answer.body
        assert api.gateway.counters["dispatched"] == 0
        assert all(rule.enabled for rule in api.gateway.rules)
        assert len(api.gateway.dead_letters or ()) == 1
        records = (await api.gateway.trail.query(AuditQuery(tenant="t1"))).records
        assert all(record.action_payload for record in records if record.provider)


@pytest.mark.parametrize("asked", ENDPOINTS, ids=" ".join)
async def test_nobody_gets_in_unknown(api: Api, asked: tuple[str, str]) -> None:
    for endpoint in ENDPOINTS[asked]:
        answer = await api.send(asked[0], endpoint.target, endpoint.body)
        assert answer.status == 401
        assert answer.json()["error"] == "missing authentication credentials"


async def test_administrative_acts_are_recorded(api: Api) -> None:
    told: dict[str, dict[str, Any]] = {}
    for method, target, body in (
        ("POST", "/v1/rules/reload", None),
        ("PUT", "/v1/rules/r/enabled", {"enabled": False}),
        ("POST", "/v1/audit/replay", {"tenant": "t1"}),
        ("POST", "/v1/audit/erase", {"tenant": "t1"}),
        ("POST", "/v1/dlq/drain", None),
    ):
        await api.send(method, target, body, x_caller="admin-all")
    for record in (await api.gateway.trail.query(AuditQuery(provider=""))).records:
        told[record.action_type] = json.loads(record.to_json())

    elsewhere = {"auth.login", "auth.logout", "providers.reload", "providers.circuit"}
    assert set(told) == {act.value for act in Act} - elsewhere
    for one in told.values():
        assert (one["caller_id"], one["auth_method"]) == ("admin-all", "api_key")
        assert one["verdict_details"] == {"verdict": "allow", "caller_address": "127.0.0.1"}
        assert one["outcome"] == "executed"
    assert told["rules.switch"]["outcome_details"] == {"rule": "r", "enabled": False}
    assert told["audit.replay"]["outcome_details"] == {
        "filters": {"tenant": "t1"},
        "limit": 100,
        "replayed": 3,
        "failed": 0,
        "skipped": 0,
    }
    assert told["audit.replay"]["tenant"] == told["audit.erase"]["tenant"] == "t1"
    assert told["dead_letters.drain"]["outcome_details"] == {"count": 1}
    assert told["rules.reload"]["outcome_details"]["loaded"] == 1


async def test_an_act_that_fails_is_recorded(api: Api) -> None:
    await api.send("PUT", "/v1/rules/ghost/enabled", {"enabled": False}, x_caller="admin-all")
    (record,) = (await api.gateway.trail.query(AuditQuery(outcome="failed"))).records
    assert json.loads(record.outcome_details) == {
        "rule": "ghost",
        "enabled": False,
        "error": "RuleNotFoundError",
    }


async def test_a_tenant_sees_what_was_done_on_its_behalf(api: Api) -> None:
    body = {"provider": "email"}
    for target in ("/v1/audit/replay", "/v1/audit/erase", "/v1/audit/seen/replay"):
        await api.send("POST", target, body, x_caller="operator-own")
    seen = await api.send("GET", "/v1/audit?provider=", x_caller="viewer-own")
    assert [one["action_type"] for one in seen.json()["records"]] == [
        "audit.erase",
        "audit.replay",
    ]
    assert (await api.send("GET", "/v1/audit", x_caller="viewer-other")).json()["total"] == 0


async def test_each_dispatch_tells_who_asked_and_from_where(api: Api) -> None:
    await api.send("POST", "/v1/dispatch", ACTION, x_caller="operator-own")
    record = await api.gateway.trail.latest("a1")
    assert record is not None
    assert (record.caller_id, record.auth_method) == ("operator-own", "api_key")
    assert json.loads(record.verdict_details)["caller_address"] == "127.0.0.1"
