"""What callers and the audit trail are told when a fallback delivers."""

import asyncio
import json
from typing import Any

import pytest

from acteon.audit import AuditSettings, AuditTrail, Redaction
from acteon.audit.testing import PlainAuditStore
from acteon.core import Failed, ManualClock, ProviderResponse, Rerouted
from acteon.executor import MemoryDeadLetters
from acteon.gateway import GatewaySettings, OnUnknown
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action
from acteon.provider import (
    CircuitBreaker,
    ProviderConnectionError,
    ProviderRegistry,
    RegisteredProvider,
)

DEDUP = """\
rules:
  - {name: once, condition: {all: []}, action: {type: deduplicate, ttl_seconds: 300}}
"""
REROUTE = """\
rules:
  - {name: r, condition: {all: []}, action: {type: reroute, target_provider: email}}
"""


def away(text: str = "refused") -> ProviderConnectionError:
    return ProviderConnectionError(text)


def lost() -> ProviderConnectionError:
    return ProviderConnectionError("reset", delivery="unknown")


@pytest.fixture
def providers(email: ScriptedProvider, sms: ScriptedProvider) -> ProviderRegistry:
    """Give `email`, whose circuit opens at the first failure, and its fallback `sms`."""
    template: dict[str, Any] = {"text": "to {{ payload.to }}"}
    breaker = CircuitBreaker(failure_threshold=1, fallback="sms", template=template)
    return ProviderRegistry.listing(
        [
            RegisteredProvider("email", email, circuit_breaker=breaker),
            RegisteredProvider("sms", sms),
        ]
    )


async def test_the_outcome_says_who_delivered_and_the_record_says_why(
    open_gateway: OpenGateway,
    providers: ProviderRegistry,
    email: ScriptedProvider,
    sms: ScriptedProvider,
) -> None:
    email.answers.append(away())
    async with open_gateway(providers=providers) as gateway:
        outcomes = [await gateway.dispatch(make_action(id=f"a{number}")) for number in (1, 2)]
        records = [await gateway.trail.latest(f"a{number}") for number in (1, 2)]
        metrics = gateway.counters
    assert outcomes == [Rerouted("email", "sms", ProviderResponse(body={"ok": True}))] * 2
    assert (len(email.calls), [call.payload for call in sms.calls]) == (
        1,
        [{"text": "to u@example.com"}] * 2,
    )
    assert metrics["rerouted"] == 2
    reasons: list[str] = []
    for record in records:
        assert record is not None
        assert (record.verdict, record.outcome, record.provider) == ("allow", "rerouted", "email")
        assert json.loads(record.outcome_details) == {
            "original_provider": "email",
            "new_provider": "sms",
            "status": "Success",
        }
        fallback = json.loads(record.verdict_details)["fallback"]
        assert (fallback["from"], fallback["to"]) == ("email", "sms")
        reasons.append(fallback["error"])
    assert reasons[0] == "connection error: refused"
    assert reasons[1].startswith("circuit open: 1 call failed in a row; the next one is made in ")


async def test_what_a_rule_rerouted_is_told_with_whom_it_was_sent_to_and_who_had_it(
    open_gateway: OpenGateway, providers: ProviderRegistry, email: ScriptedProvider
) -> None:
    email.answers.append(away())
    async with open_gateway(REROUTE, providers=providers) as gateway:
        outcome = await gateway.dispatch(make_action(id="a1", provider="sms"))
        record = await gateway.trail.latest("a1")
    assert outcome == Rerouted("sms", "sms", ProviderResponse(body={"ok": True}))
    assert record is not None
    assert json.loads(record.verdict_details)["fallback"] == {
        "from": "email",
        "to": "sms",
        "error": "connection error: refused",
    }


@pytest.mark.parametrize("hidden", [True, False])
async def test_the_reason_tells_no_secrets_where_they_are_redacted(
    open_gateway: OpenGateway,
    providers: ProviderRegistry,
    email: ScriptedProvider,
    hidden: bool,
) -> None:
    email.answers.append(away("refused: canary-7f3"))
    store = PlainAuditStore()
    redaction = Redaction(["token"], metadata=True, texts=hidden)
    action = make_action(payload={"token": "canary-7f3", "to": "ann"})
    async with (
        AuditTrail(store, AuditSettings(mode="sync", redaction=redaction)) as trail,
        open_gateway(providers=providers, audit=trail) as gateway,
    ):
        await gateway.dispatch(action)
    (record,) = store.records.values()
    error = json.loads(record.verdict_details)["fallback"]["error"]
    shown = "[REDACTED]" if hidden else "canary-7f3"
    assert error == f"connection error: refused: {shown}"
    assert (b"canary" in record.to_json()) is not hidden


async def test_when_the_fallback_fails_too_that_is_the_outcome_and_both_are_told(
    open_gateway: OpenGateway,
    providers: ProviderRegistry,
    email: ScriptedProvider,
    sms: ScriptedProvider,
) -> None:
    email.answers.append(away("one"))
    sms.answers.append(away("two"))
    letters = MemoryDeadLetters()
    async with open_gateway(providers=providers, dead_letters=letters) as gateway:
        outcome = await gateway.dispatch(make_action(id="a1"))
        record = await gateway.trail.latest("a1")
    assert outcome == Failed(
        code="CONNECTION", message="connection error: two", retryable=True, attempts=2
    )
    assert record is not None
    assert json.loads(record.verdict_details)["fallback"]["error"] == "connection error: one"
    assert len(letters) == 1


async def test_what_the_fallback_delivered_is_done(
    open_gateway: OpenGateway,
    providers: ProviderRegistry,
    email: ScriptedProvider,
    sms: ScriptedProvider,
) -> None:
    email.answers.append(away())
    async with open_gateway(DEDUP, providers=providers) as gateway:
        tags = [(await gateway.dispatch(make_action(id="a1"))).tag for _ in range(3)]
    assert tags == ["rerouted", "deduplicated", "deduplicated"]
    assert len(sms.calls) == 1


@pytest.mark.parametrize(
    ("first", "second", "on_unknown", "calls"),
    [
        (True, False, OnUnknown.AUTO, 1),
        (False, True, OnUnknown.AUTO, 2),
        (False, True, OnUnknown.KEEP, 1),
        (True, False, OnUnknown.RELEASE, 2),
    ],
)
async def test_an_unknown_end_of_the_fallback_is_judged_by_what_the_fallback_is(
    open_gateway: OpenGateway,
    providers: ProviderRegistry,
    email: ScriptedProvider,
    sms: ScriptedProvider,
    first: bool,
    second: bool,
    on_unknown: OnUnknown,
    calls: int,
) -> None:
    email.idempotent, sms.idempotent = first, second
    email.answers.append(away())
    sms.answers.append(lost())
    settings = GatewaySettings(on_unknown=on_unknown)
    async with open_gateway(DEDUP, providers=providers, settings=settings) as gateway:
        assert isinstance(await gateway.dispatch(make_action(id="a1")), Failed)
        again = await gateway.dispatch(make_action(id="a1"))
    assert len(sms.calls) == calls
    assert isinstance(again, Rerouted) is (calls == 2)


async def test_a_dry_run_tells_of_the_fallback_and_changes_nothing(
    open_gateway: OpenGateway,
    providers: ProviderRegistry,
    email: ScriptedProvider,
    sms: ScriptedProvider,
    clock: ManualClock,
) -> None:
    async with open_gateway(providers=providers) as gateway:
        assert (await gateway.preview(make_action())).would_be_provider == "email"
        gateway.provider_control.set_circuit("email", open=True)
        preview = await gateway.preview(make_action())
    assert preview.would_be_provider == "sms"
    assert (email.calls, sms.calls) == ([], [])


async def test_cancelled_while_the_fallback_delivers_it_is_the_fallback_that_is_judged(
    open_gateway: OpenGateway,
    providers: ProviderRegistry,
    email: ScriptedProvider,
    sms: ScriptedProvider,
) -> None:
    email.idempotent = True
    email.answers.append(away())
    sms.gate.clear()
    async with open_gateway(DEDUP, providers=providers) as gateway:
        call = asyncio.create_task(gateway.dispatch(make_action(id="a1")))
        await sms.called()
        call.cancel()
        await asyncio.wait([call])
        sms.gate.set()
        again = await gateway.dispatch(make_action(id="a1"))
    assert isinstance(again, Failed)
    assert again.code == "DELIVERY_UNKNOWN"
    assert len(sms.calls) == 1
