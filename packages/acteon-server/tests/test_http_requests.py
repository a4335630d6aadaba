"""What requests may look like, and what every answer has."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest

from acteon.audit import AuditPage, AuditQuery, AuditStorageError, AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.core import Caller
from acteon.gateway import GatewaySettings
from acteon.gateway.testing import ScriptedProvider, until
from acteon.server.config import ServerSection
from acteon.server.http import RequestError, create_app
from acteon.server.http.bodies import content_type
from acteon.server.testing import Api, OpenApi, RunningServer, exchange, parse_answer, request

A: dict[str, Any] = {
    "id": "a1",
    "namespace": "n",
    "tenant": "t1",
    "provider": "email",
    "action_type": "x",
    "payload": {},
}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("APPLICATION/JSON", 200),
        ("application/json;charset=utf-8", 200),
        ("application/json;", 200),
        ("application/problem+json", 200),
        ("application/a.b-c_d+json; x=1", 200),
        ("application/json ; charset=utf-8", 415),
        ("application/jsonx", 415),
        ("application/xml", 415),
        ("text/json", 415),
        ("image/svg+json", 415),
        ("application", 415),
        ("", 415),
    ],
)
async def test_only_json_is_taken(open_api: OpenApi, kind: str, status: int) -> None:
    async with open_api() as api:
        assert (await api.send("POST", "/v1/dispatch", A, content_type=kind)).status == status


def test_the_first_content_type_counts() -> None:
    headers = [(b"host", b"x"), (b"content-type", b"a/b"), (b"content-type", b"c/d")]
    assert content_type({"headers": headers}) == b"a/b"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healt%68", 404),
        ("/v1/./rules", 404),
        ("/v1/rules/", 404),
        ("/v1/audit/", 404),
        ("/v1/audit/a/b", 404),
        ("/v1/audit/a%2Fb", 404),
        ("/swagger-ui/..%2Findex.html", 404),
        ("/swagger-ui/%00", 404),
        ("/", 404),
    ],
)
async def test_paths_match_as_they_were_sent(open_api: OpenApi, path: str, status: int) -> None:
    async with open_api() as api:
        assert (await api.get(path)).status == status


@pytest.mark.parametrize(
    ("segment", "name"),
    [
        ("", ""),
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("%zz", "%zz"),
        ("a+b", "a+b"),
        ("%C3%A9", "é"),
    ],
)
async def test_parameters_are_decoded_once(open_api: OpenApi, segment: str, name: str) -> None:
    async with open_api() as api:
        answer = await api.send("PUT", f"/v1/rules/{segment}/enabled", {"enabled": True})
    assert answer.json()["error"] == f"rule not found: {name}"


async def test_a_parameter_that_is_no_text_is_refused(open_api: OpenApi) -> None:
    async with open_api() as api:
        answer = await api.send("PUT", "/v1/rules/%ff/enabled", {"enabled": True})
    assert answer.status == 400
    assert answer.json()["error"] == "Invalid URL: Invalid UTF-8 in `name`"


async def test_a_target_with_a_host_is_taken(open_api: OpenApi) -> None:
    async with open_api() as api:
        sent = b"GET http://there/health?x=1 HTTP/1.1\r\nhost: there\r\nconnection: close\r\n\r\n"
        assert (await exchange(api.url, sent)).status == 200


async def test_http_1_0_is_spoken(open_api: OpenApi) -> None:
    async with open_api() as api:
        answer = await exchange(api.url, b"GET /health HTTP/1.0\r\nhost: x\r\n\r\n")
    assert answer.status == 200


async def test_connections_are_kept(open_api: OpenApi) -> None:
    async with open_api() as api:
        one = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
        two = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        answer = await exchange(api.url, one + two)
    length = int(answer.header("content-length") or 0)
    assert parse_answer(answer.body[length:]).status == 200


async def test_an_upgrade_is_not_made(open_api: OpenApi) -> None:
    async with open_api() as api:
        upgrade = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13"}
        key = {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**upgrade, **key}.items())
        sent = f"GET /health HTTP/1.1\r\nhost: x\r\n{lines}\r\n".encode()
        _, _, place = api.url.partition("://")
        host, _, port = place.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        first = await reader.readline()
        writer.close()
    assert b" 101 " not in first


async def test_answers_do_not_say_what_serves_them(open_api: OpenApi) -> None:
    async with open_api() as api:
        answer = await api.get("/health")
    assert answer.header("server") is None
    assert answer.header("date") is not None


async def test_a_client_that_leaves_does_not_stop_its_dispatch(
    open_api: OpenApi, email: ScriptedProvider
) -> None:
    email.gate.clear()
    async with open_api() as api:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(api.post("/v1/dispatch", A))
            await email.called()
            asking.cancel()  # It hangs up.
        for _ in range(2):
            await api.get("/health")  # What is answered now comes after that was noticed.
        assert api.gateway.in_flight == 1
        email.gate.set()
        await until(lambda: api.gateway.in_flight == 0)
        assert api.gateway.metrics.executed == 1
        assert api.gateway.held == 0


class BrokenSink:
    """Dead letters whose store raises what nobody foresaw."""

    async def drain(self) -> None:
        raise LookupError("secret detail")

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True


async def test_what_nobody_foresaw_is_logged_once_and_not_told(
    open_api: OpenApi, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_api(dead_letters=BrokenSink()) as api:
        answer = await api.send("POST", "/v1/dlq/drain")
    assert answer.status == 500
    assert answer.json() == {
        "error": "internal error",
        "code": "INTERNAL",
        "message": "internal error",
        "retryable": False,
    }
    assert answer.header("access-control-allow-origin") == "*"
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.__dict__["acteon.path"] == "/v1/dlq/drain"


async def test_who_may_not_is_told_before_anything_else(
    open_api: OpenApi, server: RunningServer
) -> None:
    async def nobody(_scope: object) -> Caller:
        raise RequestError(403, "not you")

    async with open_api() as api:
        server.app = create_app(api.gateway, authenticate=nobody)
        for method, path in (
            ("POST", "/v1/dispatch"),
            ("GET", "/v1/dispatch"),
            ("GET", "/v1/rules"),
        ):
            assert (await api.send(method, path)).json()["error"] == "not you"
        assert (await api.get("/health")).status == 200
        assert (await api.get("/v1/nope")).status == 404


class TestDryRun:
    async def test_it_tells_and_does_nothing(
        self, open_api: OpenApi, email: ScriptedProvider
    ) -> None:
        async with open_api() as api:
            answer = await api.post("/v1/dispatch?dry_run=true", A)
            batch = await api.post("/v1/dispatch/batch?dry_run=true", [A, A])
            assert (await api.get("/metrics")).json()["dispatched"] == 0
        told = {
            "DryRun": {
                "verdict": "allow",
                "matched_rule": None,
                "would_be_provider": "email",
                "outcome": "executed",
                "retry_after": None,
            }
        }
        assert answer.json() == told
        assert batch.json() == [told, told]
        assert email.calls == []

    async def test_false_is_as_nothing(self, open_api: OpenApi) -> None:
        async with open_api() as api:
            assert "Executed" in (await api.post("/v1/dispatch?dry_run=false", A)).json()

    @pytest.mark.parametrize("query", ["dry_run=1", "dry_run", "dry_run=true&dry_run=true"])
    async def test_other_values_are_refused(self, open_api: OpenApi, query: str) -> None:
        async with open_api() as api:
            for path in ("/v1/dispatch", "/v1/dispatch/batch"):
                assert (await api.post(f"{path}?{query}", A)).status == 400


async def test_a_batch_may_be_limited(open_api: OpenApi) -> None:
    async with open_api(server=ServerSection(max_batch=2)) as api:
        assert (await api.post("/v1/dispatch/batch", [A, {**A, "id": "a2"}])).status == 200
        answer = await api.post("/v1/dispatch/batch", [A, A, A])
    assert answer.status == 400
    (said,) = answer.json()
    assert said["error"] == "batch size 3 exceeds maximum of 2"
    assert said["code"] == "INVALID_REQUEST"


async def test_a_body_is_not_wanted_for_draining(open_api: OpenApi) -> None:
    async with open_api() as api:
        answer = await api.send("POST", "/v1/dlq/drain", b"x" * 1000, content_type="text/plain")
    assert answer.status == 404


async def test_who_meets_a_delivery_under_way_is_told_when_to_come_back(
    open_api: OpenApi, email: ScriptedProvider
) -> None:
    email.gate.clear()
    rules = "  - {name: once, condition: {all: []}, action: {type: deduplicate, ttl_seconds: 60}}\n"
    first, second = ({**A, "id": name, "dedup_key": "k"} for name in ("a1", "a2"))
    settings = GatewaySettings(patience=timedelta(0))
    async with open_api(rules, settings=settings) as api, asyncio.TaskGroup() as group:
        delivering = group.create_task(api.post("/v1/dispatch", first))
        await email.called()
        refused = await api.post("/v1/dispatch", second)
        batch = await api.post("/v1/dispatch/batch", [second])
        email.gate.set()
        assert (await delivering).status == 200
    assert refused.status == 503
    assert int(refused.header("retry-after") or 0) >= 1
    assert (refused.json()["code"], refused.json()["retryable"]) == ("IN_PROGRESS", True)
    assert batch.status == 200
    assert batch.json()[0]["code"] == "IN_PROGRESS"


class AwayStore(MemoryAuditStore):
    """An audit store that cannot be reached."""

    async def query(self, query: AuditQuery) -> AuditPage:
        raise AuditStorageError("it is away")


async def test_an_audit_store_that_fails_is_an_error_and_not_ready(open_api: OpenApi) -> None:
    async with open_api(audit=AuditTrail(AwayStore())) as api:
        answer = await api.get("/v1/audit")
        ready = await api.get("/ready")
    assert answer.status == 500
    assert answer.json()["error"] == "storage error: it is away"
    assert (answer.json()["code"], answer.json()["retryable"]) == ("AUDIT_ERROR", True)
    assert ready.status == 503
    assert ready.json()["checks"]["audit"] == "storage error: it is away"
    assert ready.json()["checks"]["state"] == "ok"


class TestReload:
    async def test_without_a_type_any_body_is_ignored(self, open_api: OpenApi) -> None:
        async with open_api() as api:
            answer = await api.send("POST", "/v1/rules/reload", b"{", content_type=None)
        assert answer.status == 400
        assert answer.json()["error"] == "missing 'directory' field in request body"

    @pytest.mark.parametrize(
        ("body", "status"), [(b"", 400), (b"null", 422), (b'{"directory":5}', 422)]
    )
    async def test_a_body_must_be_right(self, open_api: OpenApi, body: bytes, status: int) -> None:
        async with open_api() as api:
            assert (await api.send("POST", "/v1/rules/reload", body)).status == status


class TestCors:
    MINE = "https://app.example.com"

    async def preflight(self, api: Api, origin: str) -> dict[str, str]:
        headers = {"origin": origin, "access-control-request-method": "POST"}
        answer = await request(api.url, "OPTIONS", "/v1/rules", headers=headers)
        assert (answer.status, answer.body) == (200, b"")
        return {name: value for name, value in answer.headers if name.startswith("access-")}

    async def test_listed_origins_get_in(self, open_api: OpenApi) -> None:
        async with open_api(server=ServerSection(cors_allowed_origins=(self.MINE,))) as api:
            assert await self.preflight(api, self.MINE) == {
                "access-control-allow-origin": self.MINE,
                "access-control-allow-methods": "*",
                "access-control-allow-headers": "*",
            }
            answer = await api.get("/v1/rules", origin=self.MINE)
        assert answer.header("access-control-allow-origin") == self.MINE
        assert "origin" in (answer.header("vary") or "")

    @pytest.mark.parametrize("listed", [(), (MINE,)])
    async def test_others_do_not(self, open_api: OpenApi, listed: tuple[str, ...]) -> None:
        async with open_api(server=ServerSection(cors_allowed_origins=listed)) as api:
            assert await self.preflight(api, "https://evil.example") == {}
            answer = await api.get("/v1/rules", origin="https://evil.example")
            assert answer.header("access-control-allow-origin") is None
            headers = {"origin": "https://evil.example"}
            drained = await request(api.url, "POST", "/v1/dlq/drain", headers=headers)
        assert drained.status == 403

    async def test_the_server_s_own_page_does(self, open_api: OpenApi) -> None:
        async with open_api(server=ServerSection(cors_allowed_origins=())) as api:
            headers = {**JSON, "origin": api.url}
            answer = await request(api.url, "POST", "/v1/rules/reload", b"{}", headers)
        assert answer.status == 400

    async def test_options_names_the_methods_of_a_path(self, open_api: OpenApi) -> None:
        async with open_api() as api:
            known = await api.send("OPTIONS", "/v1/rules")
            unknown = await api.send("OPTIONS", "/nope")
        assert known.header("allow") == "GET,HEAD"
        assert (unknown.status, unknown.header("allow")) == (200, None)
