"""Health, readiness and metrics."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from acteon.audit import AuditSettings, AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.executor import MemoryDeadLetters
from acteon.server.testing import OpenApi

A: dict[str, Any] = {
    "id": "a1",
    "namespace": "secret-namespace",
    "tenant": "secret-tenant",
    "provider": "email",
    "action_type": "secret-type",
    "payload": {},
}


async def test_a_server_with_all_it_needs_is_ready(open_api: OpenApi) -> None:
    async with open_api() as api:
        answer = await api.get("/ready")
    assert answer.status == 200
    assert answer.json()["status"] == "ready"
    assert set(answer.json()["checks"].values()) == {"ok"}


async def test_a_server_that_is_stopping_is_not_ready_but_alive(open_api: OpenApi) -> None:
    async with open_api() as api:
        await api.gateway.drain()
        answer = await api.get("/ready")
        assert (await api.get("/health")).status == 200
        refused = await api.post("/v1/dispatch", A)
        batch = await api.post("/v1/dispatch/batch", [A])
    assert answer.status == 503
    said = answer.json()
    assert said["code"] == "NOT_READY"
    assert said["retryable"] is True
    assert said["error"].startswith("not ready: draining: ")
    assert said["checks"]["state"] == "ok"
    assert refused.status == batch.status == 503
    assert refused.json()["code"] == "SHUTTING_DOWN"


async def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_prometheus_gets_what_was_counted(open_api: OpenApi) -> None:
    trail = AuditTrail(MemoryAuditStore(), AuditSettings(mode="sync"))
    rules = (
        "  - {name: away, condition: {field: action.payload.away, eq: 1},"
        " action: {type: reroute, target_provider: ghost}}\n"
    )
    async with open_api(rules, audit=trail, dead_letters=MemoryDeadLetters()) as api:
        await api.post("/v1/dispatch", A)
        await api.post("/v1/dispatch", {**A, "payload": {"away": 1}})
        answer = await api.get("/metrics/prometheus")
    assert answer.status == 200
    assert (answer.header("content-type") or "").startswith("text/plain")
    text = answer.body.decode()
    found = await samples(text)
    none: frozenset[tuple[str, str]] = frozenset()
    assert found["acteon_dispatched_total", none] == 2
    assert found["acteon_outcomes_total", frozenset({("outcome", "executed")})] == 1
    assert found["acteon_outcomes_total", frozenset({("outcome", "throttled")})] == 0
    errors = frozenset({("code", "PROVIDER_NOT_FOUND")})
    assert found["acteon_dispatch_errors_total", errors] == 1
    assert found["acteon_dispatch_duration_seconds_count", none] == 2
    assert found["acteon_dispatch_duration_seconds_bucket", frozenset({("le", "+Inf")})] == 2
    calls = [
        value for (name, _), value in found.items() if name == "acteon_provider_attempts_total"
    ]
    assert calls == [1]
    assert found["acteon_provider_duration_seconds_count", frozenset({("provider", "email")})] == 1
    assert found["acteon_audit_queue_records", none] == 0
    assert found["acteon_audit_dropped_total", none] == 0
    assert found["acteon_dead_letters", none] == 0
    assert any(name == "acteon_build_info" for name, _ in found)
    assert "secret" not in text


async def test_every_documented_family_has_its_name(open_api: OpenApi) -> None:
    async with open_api() as api:
        text = (await api.get("/metrics/prometheus")).body.decode()
    types = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert types >= {
        "acteon_dispatched_total",
        "acteon_outcomes_total",
        "acteon_dispatch_errors_total",
        "acteon_dispatch_duration_seconds",
        "acteon_provider_attempts_total",
        "acteon_provider_duration_seconds",
        "acteon_rule_errors_total",
    }
