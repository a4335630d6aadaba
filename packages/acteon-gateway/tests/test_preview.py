"""What would become of an action, without doing it."""

import asyncio
from datetime import timedelta

import pytest

from acteon.gateway import RouteNotFoundError, RuleFailedError
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action
from acteon.provider import ProviderTimeoutError
from acteon.state import StateBackend, StateKey

RULES = """\
rules:
  - {name: no, condition: {field: action.action_type, eq: deny}, action: {type: deny}}
  - {name: ghost, condition: {field: action.action_type, eq: x},
     action: {type: reroute, target_provider: ghost}}
  - {name: phone, condition: {field: action.action_type, eq: phone},
     action: {type: reroute, target_provider: sms}}
  - {name: once, condition: {field: action.action_type, eq: once}, action: {type: deduplicate}}
  - {name: one, condition: {field: action.action_type, eq: one},
     action: {type: throttle, max_count: 1, window_seconds: 60}}
  - {name: broken, condition: {field: action.action_type, gt: 1}, action: {type: deny},
     enabled: false}
  - {name: busy, condition: {state_counter: daily, gt: 5}, action: {type: suppress}}
"""


async def preview(
    open_gateway: OpenGateway, action_type: str, *, after: int = 0, provider: str = "email"
) -> dict[str, object]:
    async with open_gateway(RULES) as gateway:
        action = make_action(action_type=action_type, dedup_key="k", provider=provider)
        for _ in range(after):
            await gateway.dispatch(action)
        before = gateway.counters
        first = await gateway.preview(action)
        assert await gateway.preview(action) == first, "looking changes nothing"
        assert gateway.counters == before
        assert gateway.audit is not None
        shown: dict[str, object] = first.as_json()["DryRun"]
        return shown


def said(
    verdict: str, rule: str | None, provider: str | None, outcome: str, wait: object = None
) -> dict[str, object]:
    return {
        "verdict": verdict,
        "matched_rule": rule,
        "would_be_provider": provider,
        "outcome": outcome,
        "retry_after": wait,
    }


async def test_what_runs(open_gateway: OpenGateway, email: ScriptedProvider) -> None:
    assert await preview(open_gateway, "other") == said("allow", None, "email", "executed")
    assert email.calls == []


async def test_what_is_refused(open_gateway: OpenGateway) -> None:
    assert await preview(open_gateway, "deny") == said("deny", "no", None, "suppressed")


async def test_what_is_rerouted(open_gateway: OpenGateway) -> None:
    assert await preview(open_gateway, "phone") == said("reroute", "phone", "sms", "rerouted")


async def test_what_has_no_provider(open_gateway: OpenGateway) -> None:
    shown = await preview(open_gateway, "other", provider="fax")
    assert shown == said("allow", None, "fax", "failed")


async def test_a_duplicate(open_gateway: OpenGateway) -> None:
    shown = await preview(open_gateway, "once")
    assert shown == said("deduplicate", "once", "email", "executed")
    shown = await preview(open_gateway, "once", after=1)
    assert shown == said("deduplicate", "once", None, "deduplicated")


async def test_one_whose_key_is_in_doubt(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.answers.append(ProviderTimeoutError(timedelta(seconds=30)))
    shown = await preview(open_gateway, "once", after=1)
    assert shown == said("deduplicate", "once", None, "failed")


async def test_a_full_quota(open_gateway: OpenGateway) -> None:
    shown = await preview(open_gateway, "one")
    assert shown == said("throttle", "one", "email", "executed")
    shown = await preview(open_gateway, "one", after=1)
    assert shown == said("throttle", "one", None, "throttled", {"secs": 60, "nanos": 0})


async def test_state_is_read(open_gateway: OpenGateway, state: StateBackend) -> None:
    await state.store.increment(StateKey("notifications", "t1", "counter", "daily"), 6, ttl=None)

    shown = await preview(open_gateway, "other")
    assert shown == said("suppress", "busy", None, "suppressed")


async def test_one_that_is_being_delivered(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.gate.clear()
    async with open_gateway(RULES) as gateway, asyncio.TaskGroup() as group:
        group.create_task(gateway.dispatch(make_action(action_type="once", dedup_key="k")))
        await email.called()
        shown = await gateway.preview(make_action(action_type="once", dedup_key="k"))
        email.gate.set()

    assert shown.outcome == "in_progress"


async def test_errors_are_those_of_the_dispatch(open_gateway: OpenGateway) -> None:
    async with open_gateway(RULES) as gateway:
        with pytest.raises(RouteNotFoundError):
            await gateway.preview(make_action(action_type="x"))
        await gateway.set_rule_enabled("broken", enabled=True)
        results = await gateway.preview_batch([make_action(action_type="deny"), make_action()])

    assert not isinstance(results[0], Exception)
    assert isinstance(results[1], RuleFailedError)
