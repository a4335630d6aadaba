"""The API, request by request: what is answered to one request. Ids are case numbers."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import field, frozen

from acteon.provider import ProviderRegistry
from acteon.server.testing import Answer, OpenApi

A: dict[str, Any] = {
    "id": "a1",
    "namespace": "notifications",
    "tenant": "t1",
    "provider": "email",
    "action_type": "send_email",
    "payload": {"to": "u@example.com"},
    "created_at": "2025-01-01T00:00:00Z",
}
EXECUTED = {"Executed": {"status": "success", "body": {"ok": True}, "headers": {}}}

DISPATCH = "/v1/dispatch"
BATCH = "/v1/dispatch/batch"
RELOAD = "/v1/rules/reload"

NO_JSON = "Failed to parse the request body as JSON"
NO_SHAPE = "Failed to deserialize the JSON body into the target type"
NO_TYPE = "Expected request with `Content-Type"
NO_QUERY = "Failed to deserialize query string"

Check = Callable[[Answer], None]


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in A.items() if name not in names}


def rule(name: str, action: str, more: str = "", when: str = "action.tenant, eq: t1") -> str:
    return f"  - {{name: {name}, {more} condition: {{field: {when}}}, action: {action}}}\n"


SUPPRESS = "{type: suppress}"
DEDUPLICATE = "{type: deduplicate, ttl_seconds: 300}"
TO_GHOST = "{type: reroute, target_provider: ghost}"
TO_EMAIL = "{type: reroute, target_provider: email}"


@frozen
class Case:
    """One request and what is wanted of the answer.

    Attributes:
        status: The status.
        body: What is sent, as `Api.send` takes it.
        says: What the body says as JSON.
        error: What `error` in the body begins with.
        empty: Whether there is no body.
        headers: Headers of the answer, in lower case.
        check: Looks at the answer.
        kind: The content type of what is sent.
        rules: The rules in force.
        changes: What else is different about the gateway.
    """

    id: str
    method: str
    target: str
    status: int
    body: Any = field(default=None, kw_only=True)
    says: Any = field(default=None, kw_only=True)
    error: str = field(default="", kw_only=True)
    empty: bool = field(default=False, kw_only=True)
    headers: dict[str, str] = field(factory=dict[str, str], kw_only=True)
    check: Check | None = field(default=None, kw_only=True)
    kind: str | None = field(default="application/json", kw_only=True)
    rules: str = field(default="", kw_only=True)
    changes: dict[str, Any] = field(factory=dict[str, Any], kw_only=True)


COUNTERS = (
    "dispatched",
    "executed",
    "deduplicated",
    "suppressed",
    "rerouted",
    "throttled",
    "failed",
)


def alive(answer: Answer) -> None:
    body = answer.json()
    assert body["status"] == "ok"
    assert body["metrics"] == dict.fromkeys(COUNTERS, 0)


def has_a_length(answer: Answer) -> None:
    assert int(answer.header("content-length") or 0) > 0


def is_a_page(answer: Answer) -> None:
    assert (answer.header("content-type") or "").startswith("text/html")
    assert "swagger" in answer.body.decode()


def lets_all_in(answer: Answer) -> None:
    assert answer.header("access-control-allow-origin") == "*"
    assert answer.header("access-control-expose-headers") == "*"
    assert "origin" in (answer.header("vary") or "")


def allows_all(answer: Answer) -> None:
    for name in ("origin", "methods", "headers"):
        assert answer.header(f"access-control-allow-{name}") == "*"
    assert answer.header("allow") == "POST"


def tells_no_time(answer: Answer) -> None:
    assert answer.header("retry-after") is None


def names_the_missing(answer: Answer) -> None:
    assert "`namespace`" in answer.json()["error"]


def is_typed(answer: Answer) -> None:
    assert answer.header("content-type") == "application/json"
    body = answer.json()
    assert isinstance(body["error"], str)
    assert body["message"] == body["error"]
    assert isinstance(body["code"], str)
    assert isinstance(body["retryable"], bool)


def is_complete(answer: Answer) -> None:
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) >= {
        "/health",
        "/metrics",
        DISPATCH,
        BATCH,
        "/v1/rules",
        RELOAD,
        "/v1/rules/{name}/enabled",
        "/v1/audit",
        "/v1/audit/{action_id}",
        "/v1/dlq/stats",
        "/v1/dlq/drain",
    }


PADDED = str(A).replace("'", '"').encode().ljust(2 * 1024 * 1024)
NESTED = {**A, "payload": None}
for _ in range(200):
    NESTED["payload"] = [NESTED["payload"]]

NO_PROVIDERS = {"providers": ProviderRegistry()}

LISTED = rule("a", SUPPRESS, "priority: 10, description: the second,") + rule(
    "b", SUPPRESS, "priority: 5,"
)

CASES = [
    Case("1", "GET", "/health", 200, check=alive),
    Case("2", "HEAD", "/health", 200, empty=True, check=has_a_length),
    Case("3", "GET", "/metrics", 200, says=dict.fromkeys(COUNTERS, 0)),
    Case("4", "POST", "/health", 405, empty=True, headers={"allow": "GET,HEAD"}),
    Case("5", "GET", "/health/", 404, empty=True),
    Case("6", "GET", "/nope", 404, empty=True, headers={"access-control-allow-origin": "*"}),
    Case("8", "OPTIONS", DISPATCH, 200, empty=True, check=allows_all),
    Case("10", "POST", DISPATCH, 200, body=A, says=EXECUTED),
    Case(
        "12",
        "POST",
        DISPATCH,
        200,
        body=A,
        changes=NO_PROVIDERS,
        says={
            "Failed": {
                "code": "PROVIDER_NOT_FOUND",
                "message": "provider not found: email",
                "retryable": False,
                "attempts": 0,
            }
        },
    ),
    Case("13", "POST", DISPATCH, 415, body=A, kind=None, error=NO_TYPE),
    Case("14", "POST", DISPATCH, 415, body=A, kind="text/json", error=NO_TYPE),
    Case(
        "15", "POST", DISPATCH, 200, body=A, kind="application/json; charset=utf-8", says=EXECUTED
    ),
    Case("16", "POST", DISPATCH, 200, body=A, kind="application/vnd.acme+json", says=EXECUTED),
    Case("17", "POST", DISPATCH, 400, body=b"{", error=NO_JSON),
    Case("18", "POST", DISPATCH, 400, body=b"", error=NO_JSON),
    Case("19", "POST", DISPATCH, 400, body=PADDED.strip() + b" x", error=NO_JSON),
    Case("20", "POST", DISPATCH, 422, body={}, error=NO_SHAPE, check=names_the_missing),
    Case("21", "POST", DISPATCH, 422, body=without("payload"), error=NO_SHAPE),
    Case("22", "POST", DISPATCH, 200, body={**A, "payload": None}, says=EXECUTED),
    Case("23", "POST", DISPATCH, 200, body=without("metadata", "dedup_key"), says=EXECUTED),
    Case("24", "POST", DISPATCH, 422, body={**A, "metadata": {"k": 1}}, error=NO_SHAPE),
    Case("25", "POST", DISPATCH, 422, body={**A, "metadata": None}, error=NO_SHAPE),
    Case("26", "POST", DISPATCH, 200, body={**A, "foo": 1}, says=EXECUTED),
    Case("27", "POST", DISPATCH, 422, body={**A, "created_at": "2025-01-01"}, error=NO_SHAPE),
    Case(
        "28",
        "POST",
        DISPATCH,
        200,
        body={**A, "created_at": "2025-01-01 02:00:00+02:00"},
        says=EXECUTED,
    ),
    Case("29", "POST", DISPATCH, 422, body={**A, "created_at": 1735689600}, error=NO_SHAPE),
    Case("30", "POST", DISPATCH, 422, body={**A, "tenant": 5}, error=NO_SHAPE),
    Case("31", "POST", DISPATCH, 422, body=b'{"id":"a0",' + PADDED.strip()[1:], error=NO_SHAPE),
    Case("32", "POST", DISPATCH, 400, body={**A, "payload": float("nan")}, error=NO_JSON),
    Case(
        "33",
        "POST",
        DISPATCH,
        413,
        body=PADDED + b" ",
        error="Failed to buffer the request body",
    ),
    Case("34", "POST", DISPATCH, 200, body=PADDED, says=EXECUTED),
    Case("35", "POST", DISPATCH, 400, body=NESTED, error=NO_JSON),
    Case("36", "GET", DISPATCH, 405, empty=True, headers={"allow": "POST"}),
    Case(
        "37",
        "POST",
        DISPATCH,
        200,
        body=A,
        rules=rule("block", SUPPRESS),
        says={"Suppressed": {"rule": "block"}},
    ),
    Case(
        "38",
        "POST",
        DISPATCH,
        200,
        body=A,
        rules=rule("no", "{type: deny}").replace("name: no", 'name: "no"'),
        says={"Suppressed": {"rule": "no"}},
    ),
    Case(
        "39",
        "POST",
        DISPATCH,
        200,
        body=A,
        rules=rule("few", "{type: throttle, max_count: 0, window_seconds: 60}"),
        says={"Throttled": {"retry_after": {"secs": 60, "nanos": 0}}},
        check=tells_no_time,
    ),
    Case(
        "40",
        "POST",
        DISPATCH,
        200,
        body={**A, "provider": "sms"},
        rules=rule("other", TO_EMAIL),
        says={
            "Rerouted": {
                "original_provider": "sms",
                "new_provider": "email",
                "response": EXECUTED["Executed"],
            }
        },
    ),
    Case(
        "41",
        "POST",
        DISPATCH,
        500,
        body=A,
        rules=rule("away", TO_GHOST),
        error="provider not found: ghost",
    ),
    Case(
        "45",
        "POST",
        BATCH,
        200,
        body=[A, {**A, "id": "a2"}],
        says=[EXECUTED, EXECUTED],
    ),
    Case("46", "POST", BATCH, 200, body=[], says=[]),
    Case("47", "POST", BATCH, 422, body=A, error=NO_SHAPE),
    Case(
        "50",
        "POST",
        BATCH,
        200,
        body=[{**A, "dedup_key": "k"}, {**A, "id": "a2", "dedup_key": "k"}],
        rules=rule("once", DEDUPLICATE),
        says=[EXECUTED, "Deduplicated"],
    ),
    Case(
        "51",
        "GET",
        "/v1/rules",
        200,
        rules=LISTED,
        says=[
            {"name": "b", "priority": 5, "enabled": True, "description": None},
            {"name": "a", "priority": 10, "enabled": True, "description": "the second"},
        ],
    ),
    Case("52", "GET", "/v1/rules", 200, says=[]),
    Case(
        "55",
        "PUT",
        "/v1/rules/ghost/enabled",
        404,
        body={"enabled": True},
        error="rule not found: ghost",
    ),
    Case("56", "PUT", "/v1/rules/r/enabled", 422, body={}, error=NO_SHAPE),
    Case("57", "PUT", "/v1/rules/r/enabled", 422, body={"enabled": "yes"}, error=NO_SHAPE),
    Case(
        "58",
        "PUT",
        "/v1/rules/a%2Fb/enabled",
        200,
        body={"enabled": False},
        rules=rule("a/b", SUPPRESS),
        says={"name": "a/b", "enabled": False, "status": "disabled"},
    ),
    Case(
        "60",
        "POST",
        RELOAD,
        400,
        kind=None,
        error="missing 'directory' field in request body",
    ),
    Case(
        "61",
        "POST",
        RELOAD,
        400,
        body={"directory": None},
        error="missing 'directory' field in request body",
    ),
    Case(
        "62",
        "POST",
        RELOAD,
        400,
        body={"directory": "does-not-exist"},
        error="directory not found: does-not-exist",
    ),
    Case("63", "POST", RELOAD, 415, body=b"", kind="text/plain", error=NO_TYPE),
    Case("66", "GET", "/v1/audit", 404, error="audit is not enabled"),
    Case("67", "GET", "/v1/audit?limit=x", 400, error=NO_QUERY),
    Case("68", "GET", "/v1/audit/a1", 404, error="audit is not enabled"),
    Case("81", "GET", "/v1/dlq/stats", 200, says={"enabled": False, "count": 0}),
    Case("82", "POST", "/v1/dlq/drain", 404, error="dead-letter queue is not enabled"),
    Case("87", "POST", "/v1/auth/login", 415, body=b"{}", kind=None, error=NO_TYPE),
    Case("124", "GET", "/swagger-ui", 303, headers={"location": "/swagger-ui/"}),
    Case("125", "GET", "/swagger-ui/", 200, check=is_a_page),
    Case("126", "GET", "/swagger-ui/none.js", 404, empty=True),
    Case("127", "GET", "/api-doc/openapi.json", 200, check=is_complete),
    Case("128", "GET", "/v1/rules", 200, says=[], check=lets_all_in),
    Case("B7", "POST", DISPATCH, 415, body=A, kind=None, error=NO_TYPE, check=is_typed),
    Case("B9", "POST", DISPATCH, 500, body=A, rules=rule("away", TO_GHOST), check=is_typed),
    Case("B16", "POST", DISPATCH, 200, body=without("id", "created_at"), says=EXECUTED),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_each_request_is_answered_as_documented(open_either: OpenApi, case: Case) -> None:
    async with open_either(case.rules, **case.changes) as api:
        answer = await api.send(case.method, case.target, case.body, content_type=case.kind)
        assert answer.status == case.status, answer
        if case.says is not None:
            assert answer.json() == case.says
        if case.error:
            assert answer.json()["error"].startswith(case.error)
        if case.empty:
            assert answer.body == b""
        for name, value in case.headers.items():
            assert answer.header(name) == value
        if case.check is not None:
            case.check(answer)
