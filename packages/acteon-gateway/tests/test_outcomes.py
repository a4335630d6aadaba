"""What becomes of actions, what is counted, and what the audit trail tells."""

import json
from typing import Any

import pytest

from acteon.audit import AuditRecord
from acteon.core import (
    Caller,
    Executed,
    Failed,
    ProviderResponse,
    Rerouted,
    ResponseStatus,
    Suppressed,
)
from acteon.gateway import Gateway, RouteNotFoundError, RuleFailedError
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action
from acteon.provider import ExecutionFailedError, ProviderConnectionError

OK = ProviderResponse(body={"ok": True})


def rule(action: str, *, condition: str = "{all: []}", name: str = "r") -> str:
    return f"rules:\n  - {{name: {name}, condition: {condition}, action: {action}}}\n"


async def record_of(gateway: Gateway, action_id: str) -> AuditRecord:
    assert gateway.audit is not None
    record = await gateway.audit.latest(action_id)
    assert record is not None
    return record


def counted(gateway: Gateway) -> dict[str, int]:
    return {name: count for name, count in gateway.counters.items() if count}


async def test_without_rules_the_action_runs(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    action = make_action(id="a1", metadata={"team": "ops"})
    async with open_gateway() as gateway:
        outcome = await gateway.dispatch(action, Caller("ci", "api_key"))
        record = await record_of(gateway, "a1")

    assert outcome == Executed(OK)
    assert email.calls == [action]
    assert counted(gateway) == {"dispatched": 1, "executed": 1}
    told = json.loads(record.to_json())
    assert {name: told[name] for name in told if name not in ("id", "duration_ms")} == {
        "action_id": "a1",
        "namespace": "notifications",
        "tenant": "t1",
        "provider": "email",
        "action_type": "send_email",
        "verdict": "allow",
        "matched_rule": None,
        "outcome": "executed",
        "action_payload": {"to": "u@example.com"},
        "verdict_details": {"verdict": "allow"},
        "outcome_details": {"status": "Success"},
        "metadata": {"team": "ops"},
        "dispatched_at": "2025-01-01T00:00:00Z",
        "completed_at": "2025-01-01T00:00:00Z",
        "expires_at": "2025-01-31T00:00:00Z",
        "caller_id": "ci",
        "auth_method": "api_key",
    }


REFUSED: dict[str, Any] = {"dispatched": 1, "suppressed": 1}
CASES: list[tuple[str, Any, dict[str, int], str, str, dict[str, Any]]] = [
    ("{type: allow}", Executed(OK), {"dispatched": 1, "executed": 1}, "allow", "executed",
     {"status": "Success"}),
    ("{type: deny}", Suppressed("r"), REFUSED, "deny", "suppressed", {"rule": "r"}),
    ("{type: suppress}", Suppressed("r"), REFUSED, "suppress", "suppressed", {"rule": "r"}),
    ("{type: deduplicate, ttl_seconds: 9}", Executed(OK), {"dispatched": 1, "executed": 1},
     "deduplicate", "executed", {"status": "Success"}),
    ("{type: modify, changes: {n: 1}}", Executed(OK), {"dispatched": 1, "executed": 1},
     "modify", "executed", {"status": "Success"}),
    ("{type: throttle, max_count: 1, window_seconds: 60}", Executed(OK),
     {"dispatched": 1, "executed": 1}, "throttle", "executed", {"status": "Success"}),
    ("{type: reroute, target_provider: sms}", Rerouted("email", "sms", OK),
     {"dispatched": 1, "rerouted": 1}, "reroute", "rerouted",
     {"original_provider": "email", "new_provider": "sms", "status": "Success"}),
    ("{type: reroute, target_provider: email}", Rerouted("email", "email", OK),
     {"dispatched": 1, "rerouted": 1}, "reroute", "rerouted",
     {"original_provider": "email", "new_provider": "email", "status": "Success"}),
]  # fmt: skip


@pytest.mark.parametrize(("then", "outcome", "counters", "verdict", "tag", "details"), CASES)
async def test_each_kind_of_rule_has_its_outcome_counter_and_record(
    open_gateway: OpenGateway,
    then: str,
    outcome: Any,
    counters: dict[str, int],
    verdict: str,
    tag: str,
    details: dict[str, Any],
) -> None:
    async with open_gateway(rule(then)) as gateway:
        assert await gateway.dispatch(make_action(id="a1")) == outcome
        record = await record_of(gateway, "a1")

    assert counted(gateway) == counters
    assert (record.verdict, record.matched_rule, record.outcome) == (verdict, "r", tag)
    assert json.loads(record.outcome_details) == details
    assert json.loads(record.verdict_details)["matched_rules"] == [
        {"rule": "r", "verdict": verdict}
    ]


async def test_a_rerouted_action_reaches_the_other_provider_as_it_came(
    open_gateway: OpenGateway, email: ScriptedProvider, sms: ScriptedProvider
) -> None:
    action = make_action()
    async with open_gateway(rule("{type: reroute, target_provider: sms}")) as gateway:
        await gateway.dispatch(action)

    assert (email.calls, sms.calls) == ([], [action])


async def test_modify_merges_into_the_payload_and_the_record_keeps_the_original(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    payload = {"to": "a", "opt": {"x": 1, "y": 2}}
    rules = rule("{type: modify, changes: {to: b, opt: {y: null}, n: 1}}")
    async with open_gateway(rules) as gateway:
        await gateway.dispatch(make_action(id="a1", payload=payload))
        record = await record_of(gateway, "a1")

    assert email.calls[0].payload == {"to": "b", "opt": {"x": 1}, "n": 1}
    assert record.action_payload is not None
    assert json.loads(record.action_payload) == payload
    assert payload == {"to": "a", "opt": {"x": 1, "y": 2}}


async def test_an_unknown_provider_is_a_failure_of_the_action(open_gateway: OpenGateway) -> None:
    async with open_gateway() as gateway:
        outcome = await gateway.dispatch(make_action(id="a1", provider="fax"))
        record = await record_of(gateway, "a1")

    assert outcome == Failed(
        code="PROVIDER_NOT_FOUND", message="provider not found: fax", retryable=False, attempts=0
    )
    assert counted(gateway) == {"dispatched": 1, "failed": 1}
    assert (record.verdict, record.outcome) == ("allow", "failed")


async def test_a_route_that_leads_nowhere_is_an_error_each_time_and_is_recorded(
    open_gateway: OpenGateway,
) -> None:
    async with open_gateway(rule("{type: reroute, target_provider: ghost}")) as gateway:
        for _ in range(2):
            with pytest.raises(RouteNotFoundError, match=r"^provider not found: ghost$"):
                await gateway.dispatch(make_action(id="a1"))
        record = await record_of(gateway, "a1")
        assert gateway.held == 0

    assert counted(gateway) == {"dispatched": 2}
    assert gateway.metrics.errors == {"PROVIDER_NOT_FOUND": 2}
    assert (record.verdict, record.matched_rule, record.outcome) == ("reroute", "r", "failed")
    assert json.loads(record.outcome_details) == {
        "code": "PROVIDER_NOT_FOUND",
        "message": "provider not found: ghost",
        "retryable": False,
        "attempts": 0,
        "new_provider": "ghost",
    }


async def test_a_rule_that_cannot_be_evaluated_is_named_counted_and_recorded(
    open_gateway: OpenGateway,
) -> None:
    rules = rule("{type: deny}", condition="{field: action.payload.missing, gt: 1}")
    async with open_gateway(rules) as gateway:
        with pytest.raises(RuleFailedError) as caught:
            await gateway.dispatch(make_action(id="a1"))
        record = await record_of(gateway, "a1")
        assert gateway.held == 0

    assert str(caught.value) == "rule error: type error: cannot compare null and int (rule 'r')"
    assert gateway.metrics.rule_errors == {"r": 1}
    assert (record.verdict, record.matched_rule, record.outcome) == ("error", None, "failed")
    assert json.loads(record.verdict_details)["rule_errors"][0]["rule"] == "r"


async def test_a_provider_that_refuses_for_good_is_asked_once(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.answers.append(ExecutionFailedError("permanent"))
    async with open_gateway() as gateway:
        outcome = await gateway.dispatch(make_action())
        assert gateway.dead_letters is not None
        assert len(gateway.dead_letters) == 0

    assert outcome == Failed(
        code="EXECUTION_FAILED",
        message="execution failed: permanent",
        retryable=False,
        attempts=1,
    )


async def test_what_may_be_tried_again_later_becomes_a_dead_letter(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.answers.append(ProviderConnectionError("boom"))
    rules = rule("{type: modify, changes: {n: 1}}")
    async with open_gateway(rules) as gateway:
        outcome = await gateway.dispatch(make_action(id="a1"))
        assert gateway.dead_letters is not None
        (letter,) = await gateway.dead_letters.drain()

    assert outcome == Failed(
        code="CONNECTION", message="connection error: boom", retryable=True, attempts=1
    )
    assert (letter.action.id, letter.error) == ("a1", "connection error: boom")
    assert letter.action.payload == {"to": "u@example.com", "n": 1}


async def test_an_answer_that_says_no_is_executed(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    no = ProviderResponse(ResponseStatus.FAILURE, {"why": "no"})
    email.answers.append(no)
    async with open_gateway() as gateway:
        assert await gateway.dispatch(make_action(id="a1")) == Executed(no)
        record = await record_of(gateway, "a1")

    assert json.loads(record.outcome_details) == {"status": "Failure"}
    assert counted(gateway) == {"dispatched": 1, "executed": 1}


async def test_an_unexpected_exception_of_a_provider_is_a_failure(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.answers.append(ZeroDivisionError("division by zero"))
    async with open_gateway() as gateway:
        outcome = await gateway.dispatch(make_action())
        assert gateway.held == 0

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("EXECUTION_FAILED", False)


async def test_attempts_and_durations_are_measured(open_gateway: OpenGateway) -> None:
    async with open_gateway() as gateway:
        await gateway.dispatch(make_action())

    assert gateway.metrics.attempts == {("email", "success"): 1}
    assert sum(gateway.metrics.durations.counts) == 1
    assert sum(gateway.metrics.provider_durations["email"].counts) == 1


async def test_without_an_audit_trail_dispatches_work_all_the_same(
    open_gateway: OpenGateway,
) -> None:
    async with open_gateway(audit=None) as gateway:
        assert await gateway.dispatch(make_action()) == Executed(OK)


async def test_the_same_id_runs_again(open_gateway: OpenGateway, email: ScriptedProvider) -> None:
    async with open_gateway() as gateway:
        for _ in range(2):
            await gateway.dispatch(make_action(id="a1"))

    assert len(email.calls) == 2
