"""The limits of callers and tenants, over sockets. Numbers are those of cases."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Scope

from acteon.audit import AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.core import Caller, ManualClock
from acteon.gateway.testing import ScriptedProvider
from acteon.server.auth import EVERYTHING, Grant, Principal, Role, UnauthorizedError
from acteon.server.config import OnLimitError, ServerSection
from acteon.server.http.identity import anonymous
from acteon.server.http.limiting import RequestLimits
from acteon.server.ratelimit import RateLimiter, parse_limits
from acteon.server.testing import Answer, Api, OpenApi, started
from acteon.state import StateBackend, StateKey
from acteon.state_memory import memory_backend

A: dict[str, Any] = {
    "id": "a1",
    "namespace": "notifications",
    "tenant": "t1",
    "provider": "email",
    "action_type": "send_email",
    "payload": {"to": "u@example.com"},
    "created_at": "2025-01-01T00:00:00Z",
}
DISPATCH = "/v1/dispatch"
BATCH = "/v1/dispatch/batch"
WINDOW = 1_700_000_040
ELAPSED = 20


def rl(number: int) -> str:
    """Return a file by which all together may send so many requests in a minute."""
    return f"[callers.anonymous]\nrequests_per_window = {number}\n"


def tl(number: int) -> str:
    """Return a file by which so many dispatches of each tenant are taken in a minute."""
    return f"[tenants]\nenabled = true\n[tenants.default]\nrequests_per_window = {number}\n"


KEYS = {
    "op": Principal(caller=Caller("op", "api_key"), role=Role.OPERATOR, grants=(EVERYTHING,)),
    "viewer": Principal(caller=Caller("viewer", "api_key"), role=Role.VIEWER, grants=(EVERYTHING,)),
    "scoped": Principal(
        caller=Caller("scoped", "api_key"),
        role=Role.OPERATOR,
        grants=(Grant(tenants={"t1"}, namespaces={"*"}, actions={"*"}),),
    ),
    "token-of-op": Principal(caller=Caller("op", "jwt"), role=Role.VIEWER, grants=(EVERYTHING,)),
}


async def by_key(scope: Scope) -> Principal:
    """Return whose key the request has."""
    key = dict(scope["headers"]).get(b"x-api-key", b"").decode()
    if key not in KEYS:
        raise UnauthorizedError("missing authentication credentials")
    return KEYS[key]


Limited = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.fromtimestamp(WINDOW + ELAPSED, UTC))


@pytest.fixture
def state(clock: ManualClock) -> StateBackend:
    return memory_backend(clock)


@pytest.fixture
def limited(open_api: OpenApi, state: StateBackend, clock: ManualClock) -> Limited:
    """Give what serves a gateway with the limits of a file."""

    @asynccontextmanager
    async def open_one(
        file: str,
        *,
        on_error: OnLimitError = OnLimitError.ALLOW,
        by_action: bool = False,
        auth: bool = False,
        server: ServerSection | None = None,
        **changes: Any,
    ) -> AsyncGenerator[Api]:
        limiter = RateLimiter(state.store, on_error, clock)
        limits = RequestLimits(parse_limits(file), limiter, by_action=by_action)
        async with open_api(
            state=state,
            authenticate=by_key if auth else anonymous,
            limit=limits.request,
            limit_actions=limits.actions,
            server=server or ServerSection(),
            **changes,
        ) as api:
            yield api

    return open_one


def standing(answer: Answer) -> tuple[str | None, ...]:
    """Return limit, remaining and reset, as the headers tell them."""
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    return tuple(answer.header(name) for name in names)


async def test_117_requests_are_counted_down_and_refused(limited: Limited) -> None:
    async with limited(rl(2)) as api:
        first, second, third = [await api.get("/v1/rules") for _ in range(3)]
    assert (first.status, standing(first)) == (200, ("2", "1", "40"))
    assert (second.status, standing(second)) == (200, ("2", "0", "40"))
    assert (third.status, standing(third)) == (429, ("2", "0", None))
    assert third.header("retry-after") == "40"
    assert third.json() == {
        "error": "rate limit exceeded",
        "code": "RATE_LIMITED",
        "message": "rate limit exceeded",
        "retryable": True,
        "retry_after": 40,
        "limit": 2,
    }
    assert third.header("access-control-expose-headers") == "*"


async def test_117_there_is_room_again_in_time(limited: Limited, clock: ManualClock) -> None:
    async with limited(rl(1)) as api:
        assert [(await api.get("/v1/rules")).status for _ in range(2)] == [200, 429]
        clock.move(timedelta(seconds=41))
        assert [(await api.get("/v1/rules")).status for _ in range(2)] == [200, 429]


async def test_118_what_is_rejected_counts(limited: Limited) -> None:
    async with limited(rl(1)) as api:
        rejected = await api.post(DISPATCH, {})
        assert (rejected.status, standing(rejected)) == (422, ("1", "0", "40"))
        assert (await api.get("/v1/rules")).status == 429


async def test_119_what_is_public_is_not_limited(limited: Limited) -> None:
    async with limited(rl(0)) as api:
        refused = await api.get("/v1/rules")
        assert (refused.status, refused.json()["retryable"]) == (429, False)
        for target in ("/health", "/ready", "/metrics", "/api-doc/openapi.json", "/nope"):
            answer = await api.get(target)
            assert answer.status == (404 if target == "/nope" else 200)
            assert standing(answer) == (None, None, None)
        preflight = await api.send("OPTIONS", "/v1/rules")
        assert (preflight.status, standing(preflight)) == (200, (None, None, None))


async def test_120_each_tenant_has_a_limit(limited: Limited, email: ScriptedProvider) -> None:
    async with limited(tl(1)) as api:
        first = await api.post(DISPATCH, A)
        second = await api.post(DISPATCH, {**A, "id": "a2"})
        other = await api.post(DISPATCH, {**A, "tenant": "t9"})
    assert [first.status, second.status, other.status] == [200, 429, 200]
    assert second.json() == {
        "error": "rate limit exceeded",
        "code": "RATE_LIMITED",
        "message": "rate limit exceeded",
        "retryable": True,
        "retry_after": 40,
    }
    assert second.header("retry-after") == "40"
    assert [standing(one) for one in (first, second, other)] == [
        ("100", remaining, "40") for remaining in ("99", "98", "97")
    ]
    assert [call.tenant for call in email.calls] == ["t1", "t9"]


async def test_what_is_sent_again_costs_its_tenants(
    limited: Limited, email: ScriptedProvider
) -> None:
    async with limited(tl(1), audit=AuditTrail(MemoryAuditStore())) as api:
        assert (await api.post(DISPATCH, A)).status == 200
        one = await api.post("/v1/audit/a1/replay")
        several = await api.post("/v1/audit/replay", {"tenant": "t1"})
        nothing = await api.post("/v1/audit/replay", {"tenant": "t9"})
    assert [one.status, several.status, nothing.status] == [429, 429, 200]
    assert len(email.calls) == 1


async def test_121_a_batch_costs_a_tenant_one(limited: Limited, email: ScriptedProvider) -> None:
    async with limited(tl(1)) as api:
        first = await api.post(BATCH, [{**A, "id": f"a{n}"} for n in range(5)])
        second = await api.post(BATCH, [A])
    assert (first.status, len(first.json())) == (200, 5)
    assert (second.status, second.json()["error"]) == (429, "rate limit exceeded")
    assert len(email.calls) == 5


async def test_122_who_is_not_known_is_not_counted(limited: Limited, state: StateBackend) -> None:
    async with limited("[callers.default]\nrequests_per_window = 1", auth=True) as api:
        for _ in range(5):
            answer = await api.get("/v1/rules")
            assert (answer.status, standing(answer)) == (401, (None, None, None))
        assert (await api.get("/v1/rules", **{"x-api-key": "op"})).status == 200
    assert await state.store.get(counter("caller:_anonymous")) is None
    assert await state.store.get(counter("caller:op")) == "1"


def counter(bucket: str) -> StateKey:
    return StateKey("_system", "_ratelimit", "rate_limit", f"{bucket}:{WINDOW}")


async def test_123_what_cannot_be_counted_is_let_through(
    limited: Limited, state: StateBackend
) -> None:
    await state.store.set(counter("caller:_anonymous"), "no count", ttl=None)
    async with limited(rl(5)) as api:
        answer = await api.get("/v1/rules")
    assert (answer.status, standing(answer)) == (200, ("5", "5", "60"))


async def test_123_or_refused_if_that_is_configured(limited: Limited, state: StateBackend) -> None:
    await state.store.set(counter("caller:_anonymous"), "no count", ttl=None)
    async with limited(rl(5), on_error=OnLimitError.DENY) as api:
        answer = await api.get("/v1/rules")
    assert (answer.status, standing(answer)) == (429, ("5", "0", None))
    assert (answer.json()["retry_after"], answer.header("retry-after")) == (60, "60")


def test_b10_a_window_of_no_time_keeps_the_server_from_starting(tmp_path: Path) -> None:
    (tmp_path / "acteon.toml").write_text("[server]\nport = 0\n[rate_limit]\nenabled = true\n")
    (tmp_path / "ratelimit.toml").write_text("[callers.default]\nwindow_seconds = 0\n")
    ended = started(tmp_path, [], {})
    assert ended.status == 1
    assert ended.told[-1] == (
        "error: failed to parse rate limit config: ratelimit.toml: [callers] "
        "default.window_seconds: must be between 1 and 31536000 seconds, not 0"
    )


ANSWERS: list[tuple[int, str, str, Any, str]] = [
    (200, "GET", "/v1/rules", None, "op"),
    (200, "HEAD", "/v1/rules", None, "op"),
    (400, "POST", DISPATCH, b"{", "op"),
    (403, "POST", DISPATCH, A, "viewer"),
    (403, "POST", DISPATCH, {**A, "tenant": "t2"}, "scoped"),
    (404, "GET", "/v1/audit", None, "op"),
    (405, "DELETE", "/v1/rules", None, "op"),
    (405, "GET", DISPATCH, None, "op"),
    (413, "POST", DISPATCH, b" " * 2_097_153, "op"),
    (415, "POST", DISPATCH, None, "op"),
    (422, "POST", DISPATCH, {}, "op"),
]


@pytest.mark.parametrize(("status", "method", "target", "body", "key"), ANSWERS)
async def test_every_answer_tells_how_its_caller_stands(
    limited: Limited, status: int, method: str, target: str, body: Any, key: str
) -> None:
    async with limited("", auth=True) as api:
        answer = await api.send(method, target, body, x_api_key=key)
    assert (answer.status, standing(answer)) == (status, ("1000", "999", "40"))


async def test_a_user_and_a_key_of_one_name_are_counted_together(limited: Limited) -> None:
    file = "[callers.overrides.op]\nrequests_per_window = 2"
    async with limited(file, auth=True) as api:
        keys = ("op", "token-of-op", "op", "scoped")
        answers = [await api.get("/v1/rules", **{"x-api-key": key}) for key in keys]
    assert [one.status for one in answers] == [200, 200, 429, 200]


async def test_who_may_not_dispatch_costs_no_tenant(
    limited: Limited, email: ScriptedProvider
) -> None:
    async with limited(tl(1), auth=True, server=ServerSection(max_batch=2)) as api:
        refused = [
            await api.send("POST", DISPATCH, A, x_api_key="viewer"),
            await api.send("POST", BATCH, [A, {**A, "tenant": "t2"}], x_api_key="scoped"),
            await api.send("POST", BATCH, [A, A, A], x_api_key="op"),
        ]
        assert [one.status for one in refused] == [403, 403, 400]
        assert not email.calls
        assert (await api.send("POST", BATCH, [A], x_api_key="op")).status == 200


async def test_tenants_are_counted_in_the_order_of_a_batch(
    limited: Limited, state: StateBackend, email: ScriptedProvider
) -> None:
    async with limited(tl(1)) as api:
        assert (await api.post(DISPATCH, {**A, "tenant": "t2"})).status == 200
        email.calls.clear()
        batch = [{**A, "tenant": tenant} for tenant in ("t1", "t1", "t2", "t3")]
        assert (await api.post(BATCH, batch)).status == 429
    assert not email.calls
    counts = [await state.store.get(counter(f"tenant:{name}")) for name in ("t1", "t2", "t3")]
    assert counts == ["1", "1", None]


async def test_trying_costs_as_much_as_doing(limited: Limited, email: ScriptedProvider) -> None:
    async with limited(tl(1)) as api:
        statuses = [(await api.post(f"{DISPATCH}?dry_run=true", A)).status for _ in range(2)]
    assert statuses == [200, 429]
    assert not email.calls


def batch_of(tenants: str) -> list[dict[str, Any]]:
    return [{**A, "id": f"a{n}", "tenant": tenant} for n, tenant in enumerate(tenants)]


async def test_a_batch_can_cost_as_much_as_it_has_actions(
    limited: Limited, state: StateBackend, email: ScriptedProvider
) -> None:
    async with limited(rl(10), by_action=True) as api:
        first = await api.post(BATCH, batch_of("xxxx"))
        second = await api.post(BATCH, batch_of("xxxxx"))
        third = await api.post(BATCH, batch_of("xxxxxx"))
        empty = await api.post(BATCH, [])
    assert (first.status, standing(first)) == (200, ("10", "6", "40"))
    assert (second.status, standing(second)) == (200, ("10", "1", "40"))
    assert (third.status, standing(third)) == (429, ("10", "0", None))
    assert (third.json()["limit"], third.json()["retryable"]) == (10, True)
    assert (empty.status, len(email.calls)) == (429, 9)
    assert await state.store.get(counter("caller:_anonymous")) == "10"


async def test_tenants_then_pay_for_their_own_actions(
    limited: Limited, state: StateBackend
) -> None:
    async with limited(tl(3), by_action=True) as api:
        statuses = [(await api.post(BATCH, batch_of(text))).status for text in ("xyxx", "yy", "yz")]
    assert statuses == [200, 200, 429]
    counts = [await state.store.get(counter(f"tenant:{name}")) for name in "xyz"]
    assert counts == ["3", "3", None]


@pytest.mark.parametrize("file", [rl(3), tl(3)], ids=["caller", "tenant"])
async def test_what_never_fits_is_not_to_be_tried_again(
    limited: Limited, file: str, email: ScriptedProvider
) -> None:
    async with limited(file, by_action=True) as api:
        answer = await api.post(BATCH, batch_of("xxxx"))
        assert (answer.status, answer.json()["retryable"]) == (429, False)
        assert not email.calls


@pytest.mark.parametrize("file", [rl(0), tl(0)], ids=["caller", "tenant"])
async def test_refused_requests_dispatch_nothing(
    limited: Limited, file: str, email: ScriptedProvider
) -> None:
    async with limited(file) as api:
        assert (await api.post(DISPATCH, A)).status == 429
        assert (await api.post(BATCH, [A])).status == 429
        assert (await api.get("/metrics")).json()["dispatched"] == 0
    assert not email.calls
