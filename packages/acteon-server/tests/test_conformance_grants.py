"""Who may do what, over sockets. Numbers are those of cases."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from acteon.audit import AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.executor import MemoryDeadLetters
from acteon.server.testing import Answer, Api, OpenApi

ACTION: dict[str, Any] = {
    "id": "a1",
    "namespace": "notifications",
    "tenant": "t1",
    "provider": "email",
    "action_type": "send_email",
    "payload": {"to": "u@example.com"},
    "created_at": "2025-01-01T00:00:00Z",
}
FOREIGN = {**ACTION, "id": "a2", "tenant": "t2"}
DISPATCH, BATCH = "/v1/dispatch", "/v1/dispatch/batch"
NO_DISPATCH = "insufficient permissions: dispatch requires admin or operator role"
NO_RULES = "insufficient permissions: rules management requires admin or operator role"
NO_GRANT = "forbidden: no grant covers tenant=t2, namespace=notifications, action=send_email"
MORE = """
[[api_keys]]
name = "two"
key_hash = "{two}"
role = "viewer"
grants = [
    {{ tenants = ["t1"], namespaces = ["*"], actions = ["*"] }},
    {{ tenants = ["t2"], namespaces = ["*"], actions = ["*"] }},
]

[[api_keys]]
name = "none"
key_hash = "{none}"
role = "viewer"
"""


@pytest.fixture
def auth_file(auth_file: Path) -> Path:
    hashes = {name: sha256(f"{name}-key".encode()).hexdigest() for name in ("two", "none")}
    auth_file.write_text(auth_file.read_text() + MORE.format(**hashes))
    return auth_file


@asynccontextmanager
async def audited(open_auth: OpenApi) -> AsyncGenerator[Api]:
    """Serve with an audit trail, which has a record of each of three tenants."""
    async with open_auth(audit=AuditTrail(MemoryAuditStore())) as api:
        for number in (1, 2, 3):
            action = {**ACTION, "id": f"a{number}", "tenant": f"t{number}"}
            assert (await post(api, DISPATCH, action, "op-key")).status == 200
        yield api


async def post(api: Api, target: str, body: Any, key: str) -> Answer:
    return await api.send("POST", target, body, x_api_key=key)


async def get(api: Api, target: str, key: str) -> Answer:
    return await api.get(target, **{"x-api-key": key})


def error(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json()["error"]


async def test_103_a_viewer_dispatches_nothing(open_auth: OpenApi) -> None:
    async with open_auth() as api:
        assert error(await post(api, DISPATCH, ACTION, "viewer-key")) == (403, NO_DISPATCH)


async def test_104_a_body_is_read_before_the_role_is_looked_at(open_auth: OpenApi) -> None:
    async with open_auth() as api:
        assert (await post(api, DISPATCH, {}, "viewer-key")).status == 422


async def test_105_who_sends_a_batch_is_refused_with_a_list(open_auth: OpenApi) -> None:
    async with open_auth() as api:
        answer = await post(api, BATCH, [ACTION], "viewer-key")
    assert answer.status == 403
    assert [one["error"] for one in answer.json()] == [NO_DISPATCH]


async def test_106_107_grants_say_for_whom(open_auth: OpenApi) -> None:
    async with open_auth() as api:
        assert "Executed" in (await post(api, DISPATCH, ACTION, "scoped-key")).json()
        assert error(await post(api, DISPATCH, FOREIGN, "scoped-key")) == (403, NO_GRANT)
        dry = await post(api, f"{DISPATCH}?dry_run=true", FOREIGN, "scoped-key")
        assert error(dry) == (403, NO_GRANT)


async def test_108_of_a_batch_with_one_that_is_forbidden_nothing_is_dispatched(
    open_auth: OpenApi,
) -> None:
    async with open_auth() as api:
        answer = await post(api, BATCH, [ACTION, FOREIGN], "scoped-key")
        assert answer.status == 403
        assert [one["error"] for one in answer.json()] == [NO_GRANT]
        assert api.gateway.counters["dispatched"] == 0


async def test_109_110_a_viewer_sees_rules_and_changes_none(open_auth: OpenApi) -> None:
    async with open_auth() as api:
        reload = await post(api, "/v1/rules/reload", {"directory": "."}, "viewer-key")
        assert error(reload) == (403, NO_RULES)
        toggle = await api.send(
            "PUT", "/v1/rules/r/enabled", {"enabled": False}, x_api_key="viewer-key"
        )
        assert error(toggle) == (403, NO_RULES)
        listed = await get(api, "/v1/rules", "viewer-key")
        assert (listed.status, listed.json()) == (200, [])


async def test_111_a_tenant_of_others_cannot_be_asked_for(open_auth: OpenApi) -> None:
    async with audited(open_auth) as api:
        answer = await get(api, "/v1/audit?tenant=t2", "scoped-key")
    assert error(answer) == (403, "no grant covers tenant=t2")


@pytest.mark.parametrize(
    ("key", "tenants"),
    [
        ("scoped-key", ["t1"]),
        ("two-key", ["t2", "t1"]),
        ("none-key", []),
        ("viewer-key", ["t3", "t2", "t1"]),
    ],
)
async def test_112_b3_b4_everybody_sees_what_is_granted(
    open_auth: OpenApi, key: str, tenants: list[str]
) -> None:
    async with audited(open_auth) as api:
        answer = (await get(api, "/v1/audit", key)).json()
    assert [record["tenant"] for record in answer["records"]] == tenants
    assert answer["total"] == len(tenants)


async def test_113_what_is_anothers_is_not_there(open_auth: OpenApi) -> None:
    async with audited(open_auth) as api:
        anothers = await get(api, "/v1/audit/a2", "scoped-key")
        unknown = await get(api, "/v1/audit/a9", "scoped-key")
        own = await get(api, "/v1/audit/a1", "scoped-key")
    assert error(anothers) == (404, "no audit record found for action: a2")
    assert error(unknown) == (404, "no audit record found for action: a9")
    assert own.json()["tenant"] == "t1"


async def test_an_id_that_two_tenants_use_hides_no_record(open_auth: OpenApi) -> None:
    async with audited(open_auth) as api:
        await post(api, DISPATCH, {**FOREIGN, "id": "a1"}, "op-key")
        own = await get(api, "/v1/audit/a1", "scoped-key")
    assert own.json()["tenant"] == "t1"


async def test_114_records_say_who_asked(open_auth: OpenApi) -> None:
    async with audited(open_auth) as api:
        record = (await get(api, "/v1/audit/a1", "op-key")).json()
    assert (record["caller_id"], record["auth_method"]) == ("op", "api_key")


async def test_b2_dead_letters_are_drained_by_who_may_do_everything(open_auth: OpenApi) -> None:
    async with open_auth(dead_letters=MemoryDeadLetters(max_letters=1)) as api:
        drain = "/v1/dlq/drain"
        viewer = await post(api, drain, None, "viewer-key")
        assert error(viewer)[0] == 403
        scoped = await post(api, drain, None, "scoped-key")
        assert "concerns all tenants" in error(scoped)[1]
        assert (await post(api, drain, None, "op-key")).status == 200
