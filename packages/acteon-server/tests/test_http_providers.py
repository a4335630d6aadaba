"""The endpoints on providers."""

from collections.abc import AsyncIterator

import pytest

from acteon.audit import AuditQuery, AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.core import ConfigError, ProviderResponse
from acteon.gateway.testing import ScriptedProvider, make_action
from acteon.provider import (
    CircuitBreaker,
    GroupConfig,
    GroupProvider,
    ProviderConnectionError,
    ProviderRegistry,
    RegisteredProvider,
)
from acteon.server.providing import Exchanged
from acteon.server.testing import Api, OpenApi


def away() -> ProviderConnectionError:
    return ProviderConnectionError("nobody there")


def asked(action_id: str) -> dict[str, object]:
    """Return what is sent for an action to `email`."""
    return make_action(id=action_id).as_json()


@pytest.fixture
def trail() -> AuditTrail:
    return AuditTrail(MemoryAuditStore())


@pytest.fixture
async def api(open_api: OpenApi, email: ScriptedProvider, trail: AuditTrail) -> AsyncIterator[Api]:
    breaker = CircuitBreaker(failure_threshold=2, fallback="sms")
    registry = ProviderRegistry.listing(
        [
            RegisteredProvider("email", email, type="acme", circuit_breaker=breaker),
            RegisteredProvider("sms", ScriptedProvider()),
            RegisteredProvider(
                "both", GroupProvider("both", GroupConfig(members=("email", "sms"))), type="group"
            ),
        ]
    )

    async def reload() -> Exchanged:
        raise ConfigError("acteon.toml: provider 'email': it is wrong")

    async with open_api(providers=registry, audit=trail, reload_providers=reload) as api:
        yield api


async def listed(api: Api) -> dict[str, dict[str, object]]:
    answer = await api.get("/v1/providers")
    assert answer.status == 200
    return {each["name"]: each for each in answer.json()["providers"]}


async def test_providers_are_listed_with_all_that_is_known_of_them(
    api: Api, email: ScriptedProvider
) -> None:
    email.answers.extend([away(), ProviderResponse()])
    for name in ("a", "b"):
        await api.send("POST", "/v1/dispatch", asked(name))
    found = await listed(api)

    assert list(found) == ["both", "email", "sms"]
    told = found["email"]
    assert told["type"] == "acme"
    assert told["limits"] == {
        "max_concurrent": 100,
        "timeout_seconds": 30.0,
        "max_retries": 0,
        "max_per_second": None,
    }
    assert told["circuit"] == {
        "state": "closed",
        "failures": 0,
        "opened": 0,
        "by_hand": False,
        "threshold": 2,
        "fallback": "sms",
    }
    calls = told["calls"]
    assert isinstance(calls, dict)
    assert (calls["attempts"], calls["successes"], calls["success_rate"]) == (2, 1, 0.5)
    assert calls["last_code"] == "CONNECTION"
    assert 0 <= calls["p50_ms"] <= calls["p95_ms"] <= calls["p99_ms"]
    assert found["both"]["members"] == ["email", "sms"]
    assert (found["both"]["limits"], found["both"]["circuit"], found["both"]["calls"]) == (
        None,
        None,
        None,
    )


async def test_an_open_circuit_sends_to_the_fallback_and_shows(
    api: Api, email: ScriptedProvider, trail: AuditTrail
) -> None:
    email.answers.extend([away(), away()])
    first, second, third = [
        (await api.send("POST", "/v1/dispatch", asked(name))).json() for name in ("a", "b", "c")
    ]

    assert first["Failed"]["code"] == "CONNECTION"
    # The call that opened it does not count as delivered: the fallback has it, too.
    assert second["Rerouted"]["new_provider"] == "sms"
    assert third["Rerouted"]["original_provider"] == "email"
    circuit = (await listed(api))["email"]["circuit"]
    assert isinstance(circuit, dict)
    assert (circuit["state"], circuit["opened"]) == ("open", 1)
    metrics = (await api.get("/metrics/prometheus")).body.decode()
    assert 'acteon_provider_circuit_open{provider="email"} 1.0' in metrics
    assert 'acteon_provider_circuit_open{provider="sms"} 0.0' in metrics
    await trail.flush()
    record = await trail.latest("c")
    assert record is not None
    assert b'"fallback":{"error":"circuit open: 2 calls failed in a row' in record.verdict_details
    assert record.outcome == "rerouted"


async def test_a_circuit_is_switched_by_hand_and_recorded(
    api: Api, email: ScriptedProvider, trail: AuditTrail
) -> None:
    answer = await api.send("PUT", "/v1/providers/email/circuit", {"state": "open"})
    assert answer.status == 200
    assert (answer.json()["circuit"]["state"], answer.json()["circuit"]["by_hand"]) == (
        "open",
        True,
    )
    rerouted = await api.send("POST", "/v1/dispatch", asked("x"))
    assert rerouted.json()["Rerouted"]["new_provider"] == "sms"
    assert not email.calls

    answer = await api.send("PUT", "/v1/providers/email/circuit", {"state": "closed"})
    assert answer.json()["circuit"]["state"] == "closed"
    executed = await api.send("POST", "/v1/dispatch", asked("y"))
    assert "Executed" in executed.json()
    await trail.flush()
    acts = (await trail.query(AuditQuery(action_type="providers.circuit"))).records
    assert [b'"state":"closed"' in each.outcome_details for each in acts] == [True, False]


@pytest.mark.parametrize(
    ("name", "body", "status", "told"),
    [
        ("nobody", {"state": "open"}, 404, "provider not found: nobody"),
        ("both", {"state": "open"}, 404, "is a group"),
        ("email", {"state": "ajar"}, 422, "state"),
        ("email", {}, 422, "state"),
    ],
)
async def test_what_cannot_be_switched_is_told(
    api: Api, name: str, body: object, status: int, told: str
) -> None:
    answer = await api.send("PUT", f"/v1/providers/{name}/circuit", body)
    assert answer.status == status
    assert told in answer.json()["error"]


async def test_all_are_asked_how_they_are(api: Api, email: ScriptedProvider) -> None:
    email.unhealthy = away()
    answer = await api.get("/v1/providers/health")
    assert answer.status == 200
    found = {each["provider"]: each for each in answer.json()["providers"]}

    assert (found["email"]["healthy"], found["email"]["error"]) == (
        False,
        "connection error: nobody there",
    )
    assert (found["sms"]["healthy"], found["sms"]["error"]) == (True, None)
    assert found["both"]["healthy"] is False
    assert "email: connection error: nobody there" in found["both"]["error"]


async def test_a_configuration_that_cannot_be_used_is_told(api: Api) -> None:
    answer = await api.send("POST", "/v1/providers/reload")
    assert answer.status == 400
    assert answer.json()["error"] == "acteon.toml: provider 'email': it is wrong"


async def test_a_dry_run_tells_who_would_be_called(api: Api) -> None:
    async def told() -> tuple[str, str]:
        answer = await api.send("POST", "/v1/dispatch?dry_run=true", asked("a"))
        found = answer.json()["DryRun"]
        return found["would_be_provider"], found["outcome"]

    assert await told() == ("email", "executed")
    await api.send("PUT", "/v1/providers/email/circuit", {"state": "open"})
    assert await told() == ("sms", "rerouted")
    await api.send("PUT", "/v1/providers/sms/circuit", {"state": "open"})
    assert await told() == ("email", "failed")
