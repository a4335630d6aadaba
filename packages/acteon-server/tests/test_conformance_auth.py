"""Who gets in, over sockets. Numbers are those of cases."""

from typing import Any

import pytest

from acteon.audit import AuditQuery, AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.core import SYSTEM_CLOCK
from acteon.server.config import RateLimitSection
from acteon.server.http.limiting import RequestLimits
from acteon.server.ratelimit import parse_limits
from acteon.server.testing import Answer, OpenApi
from acteon.state import StateKey
from acteon.state_memory import memory_backend

LOGIN, LOGOUT, RULES = "/v1/auth/login", "/v1/auth/logout", "/v1/rules"
ALICE = {"username": "alice", "password": "admin-pass"}
TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImp0aSI6IjAwMDAwMDAwLTAwMDAtNDAwMC04"
    "MDAwLTAwMDAwMDAwMDAwMSIsInJvbGUiOiJhZG1pbiIsImdyYW50cyI6W3sidGVuYW50cyI6WyIqIl0sIm5hbWVzcGFjZX"
    "MiOlsiKiJdLCJhY3Rpb25zIjpbIioiXX1dLCJleHAiOjQxMDI0NDQ4MDB9.-5SWY-o9ttQxlGl0dVidaMj-uDwNUNEvg7O"
    "p07kD7_I"
)
SESSION = StateKey("auth", "tokens", "token", "00000000-0000-4000-8000-000000000001")


def refused(answer: Answer) -> tuple[int, str]:
    """Return the status of `answer`, and what it says is wrong."""
    said: dict[str, Any] = answer.json()
    assert said["message"] == said["error"]
    assert said["code"]
    return answer.status, said["error"]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_7_unknown_paths_are_open(open_auth: OpenApi) -> None:
    async with open_auth() as api:
        answer = await api.get("/nope")
    assert (answer.status, answer.body) == (404, b"")


async def test_9_a_preflight_needs_no_credentials(open_auth: OpenApi) -> None:
    asked = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
    async with open_auth() as api:
        answer = await api.send("OPTIONS", "/v1/dispatch", **asked)
    assert (answer.status, answer.body) == (200, b"")
    for name in ("origin", "methods", "headers"):
        assert answer.header(f"access-control-allow-{name}") == "*"


async def test_86_87_88_nobody_signs_in_where_nobody_is_asked(open_api: OpenApi) -> None:
    async with open_api() as api:
        off = (404, "authentication is not enabled")
        assert refused(await api.post(LOGIN, {"username": "a", "password": "b"})) == off
        untyped = await api.send("POST", LOGIN, b"{}", content_type=None)
        assert refused(untyped)[0] == 415
        assert refused(await api.post(LOGOUT)) == off


@pytest.mark.parametrize(
    ("number", "headers", "error"),
    [
        (89, {}, "missing authentication credentials"),
        (90, {"x-api-key": "wrong"}, "invalid API key"),
        (90, {"x-api-key": ""}, "invalid API key"),
        (93, {**bearer("junk"), "x-api-key": "op-key"}, "invalid token: InvalidToken"),
        (101, bearer(TOKEN[:-5] + "AAAAA"), "invalid token: InvalidSignature"),
        (0, {"authorization": "Basic eA=="}, "missing authentication credentials"),
        (0, {"authorization": "Bearer   "}, "missing authentication credentials"),
        (0, {"authorization": "Bearer"}, "missing authentication credentials"),
        (0, {"authorization": "Bearer öp-key"}, "missing authentication credentials"),
        (0, {"x-api-key": "öp-key"}, "missing authentication credentials"),
        (0, {"x-api-key": "OP-KEY"}, "invalid API key"),
        # Only a hash is in the file, and it is no key.
        (
            0,
            {"x-api-key": "7007eeb3a4e88de3167e9466573e1881916bb7a86e4d89c56c50eb0c82df0e2b"},
            "invalid API key",
        ),
    ],
)
async def test_who_is_unknown_is_told_why(
    open_auth: OpenApi, number: int, headers: dict[str, str], error: str
) -> None:
    async with open_auth() as api:
        answer = await api.get(RULES, **headers)
    assert refused(answer) == (401, error), number
    assert answer.header("www-authenticate") == "Bearer"
    assert answer.header("content-type") == "application/json"


@pytest.mark.parametrize(
    ("number", "headers"),
    [
        (91, {"x-api-key": "op-key"}),
        (92, {"authorization": "Basic eA==", "x-api-key": "op-key"}),
        (0, {"authorization": "Bearer  ", "x-api-key": "op-key"}),
        (1, {"authorization": "Bearer op-key"}),
        (1, {"authorization": "bEARER op-key"}),
        (1, {"authorization": "Bearer op-key", "x-api-key": "wrong"}),
    ],
)
async def test_who_has_a_key_gets_in(
    open_auth: OpenApi, number: int, headers: dict[str, str]
) -> None:
    async with open_auth() as api:
        answer = await api.get(RULES, **headers)
    assert (answer.status, answer.json()) == (200, []), number


async def test_94_97_98_99_a_token_is_good_until_its_user_logs_out(open_auth: OpenApi) -> None:
    async with open_auth() as api:
        issued = (await api.post(LOGIN, ALICE)).json()
        assert issued["token"].count(".") == 2
        assert issued["expires_in"] == 600
        headers = bearer(issued["token"])
        assert (await api.get(RULES, **headers)).status == 200
        left = await api.send("POST", LOGOUT, **headers)
        assert (left.status, left.json()) == (200, {"status": "logged_out"})
        revoked = (401, "token has been revoked")
        assert refused(await api.get(RULES, **headers)) == revoked
        assert refused(await api.send("POST", LOGOUT, **headers)) == revoked


async def test_95_a_wrong_password_and_a_wrong_name_look_alike(open_auth: OpenApi) -> None:
    async with open_auth() as api:
        wrong = await api.post(LOGIN, {"username": "alice", "password": "wrong"})
        unknown = await api.post(LOGIN, {"username": "bob", "password": "x"})
    assert refused(wrong) == refused(unknown) == (401, "invalid credentials")
    assert wrong.body == unknown.body


@pytest.mark.parametrize(
    "body",
    [
        {"username": "alice"},
        {"username": "alice", "password": None},
        {"username": ["alice"], "password": "admin-pass"},
        {"username": "alice", "password": "p" * 1025},
        {"username": "a" * 1025, "password": "p"},
        b'{"username": "bob", "username": "alice", "password": "admin-pass"}',
    ],
)
async def test_96_what_asks_for_no_token_is_told_so(open_auth: OpenApi, body: Any) -> None:
    async with open_auth() as api:
        assert (await api.post(LOGIN, body)).status == 422


async def test_strangers_cannot_send_much_to_sign_in(open_auth: OpenApi) -> None:
    async with open_auth() as api:
        assert (await api.post(LOGIN, b" " * (32 * 1024 + 1))).status == 413
        longest = {"username": "\U0001f511" * 1024, "password": "\U0001f511" * 1024}
        assert (await api.post(LOGIN, longest)).status == 401


async def test_100_a_session_is_what_the_store_says(open_auth: OpenApi) -> None:
    async with open_auth() as api:
        revoked = (401, "token has been revoked")
        assert refused(await api.get(RULES, **bearer(TOKEN))) == revoked
        await api.gateway.state.store.set(SESSION, "1", ttl=None)
        assert (await api.get(RULES, **bearer(TOKEN))).json() == []


async def test_102_who_has_a_key_cannot_log_out(open_auth: OpenApi) -> None:
    async with open_auth() as api:
        for headers in ({"x-api-key": "op-key"}, bearer("op-key")):
            answer = await api.send("POST", LOGOUT, **headers)
            assert refused(answer) == (401, "missing Bearer token")


async def test_115_methods_are_for_those_who_are_known(open_auth: OpenApi) -> None:
    async with open_auth() as api:
        assert (await api.get("/v1/dispatch")).status == 401
        answer = await api.get("/v1/dispatch", **{"x-api-key": "op-key"})
    assert (answer.status, answer.body, answer.header("allow")) == (405, b"", "POST")


@pytest.mark.parametrize("path", ["/health", "/metrics", "/swagger-ui/", "/api-doc/openapi.json"])
async def test_116_some_things_are_for_everybody(open_auth: OpenApi, path: str) -> None:
    async with open_auth() as api:
        assert (await api.get(path)).status == 200


async def test_122_who_is_unknown_is_not_counted(open_auth: OpenApi) -> None:
    state = memory_backend()
    file = "[callers.anonymous]\nrequests_per_window = 1\n[callers.default]\nrequests_per_window=1"
    limits = RequestLimits.of(
        RateLimitSection(), parse_limits(file), state.store, clock=SYSTEM_CLOCK
    )
    async with open_auth(state=state, limit=limits.request) as api:
        for _ in range(5):
            answer = await api.get(RULES)
            assert answer.status == 401
            assert answer.header("x-ratelimit-limit") is None
        # One was left, for somebody who is known.
        statuses = [(await api.get(RULES, **{"x-api-key": "op-key"})).status for _ in range(2)]
    assert statuses == [200, 429]


async def test_it_is_recorded_who_logs_in_and_out(open_auth: OpenApi) -> None:
    trail = AuditTrail(MemoryAuditStore())
    async with open_auth(audit=trail) as api:
        await api.post(LOGIN, {"username": "alice", "password": "wrong"})
        token = (await api.post(LOGIN, ALICE)).json()["token"]
        await api.send("POST", LOGOUT, **bearer(token))
        records = (await trail.query(AuditQuery())).records
    told = [(one.action_type, one.caller_id, one.auth_method, one.outcome) for one in records]
    assert told == [
        ("auth.logout", "alice", "jwt", "executed"),
        ("auth.login", "alice", "password", "executed"),
    ]
    assert token not in repr(records)
