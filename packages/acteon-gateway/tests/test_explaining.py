"""Why an action would become what it would become."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from acteon.core import ManualClock
from acteon.gateway import StateFailedError, SyncGateway, parse_rules
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action
from acteon.rules import RuleParseError, RuleResult, StateRead
from acteon.rules.expression import Unary, UnaryOperator
from acteon.state import (
    Began,
    DispatchState,
    StateBackend,
    StateConnectionError,
    StateError,
    StateKey,
)

RULES = """\
rules:
  - {name: busy, condition: {state_counter: daily, gt: 5}, action: {type: suppress}}
  - {name: recent, condition: {state_seen: last, within_seconds: 60}, action: {type: deny}}
  - {name: once, condition: {field: action.action_type, eq: once}, continue: true,
     action: {type: deduplicate, ttl_seconds: 60}}
  - {name: phone, condition: {field: action.action_type, eq: once},
     action: {type: reroute, target_provider: sms, changes: {short: true}}}
"""
DAILY = StateRead("counter", "daily")
LAST = StateRead("state", "last")
ONCE = make_action(action_type="once", dedup_key="k")


async def test_what_would_happen_is_told_and_does_not_happen(
    open_gateway: OpenGateway, sms: ScriptedProvider, clock: ManualClock
) -> None:
    async with open_gateway(RULES) as gateway:
        counters = gateway.counters
        first = await gateway.explain(ONCE)
        assert first == await gateway.explain(ONCE), "looking changes nothing"
        assert gateway.counters == counters
        assert gateway.metrics.rule_matches == {}
        assert first.preview is not None
        assert (first.preview.outcome, first.preview.would_be_provider) == ("rerouted", "sms")
        assert (first.claim_key, first.now) == ("k", clock.now())
        assert first.payload == {**ONCE.payload, "short": True}
        assert first.rules_version == gateway.rules_version

        await gateway.dispatch(ONCE)
        assert [action.payload for action in sms.calls] == [first.payload]
        second = await gateway.explain(ONCE)
    assert second.preview is not None
    assert (second.preview.outcome, second.payload) == ("deduplicated", None)


async def test_what_is_supposed_goes_before_the_store(
    open_gateway: OpenGateway, state: StateBackend
) -> None:
    await state.store.increment(StateKey("notifications", "t1", "counter", "daily"), 6, ttl=None)
    noon = datetime(2025, 1, 31, 12, tzinfo=UTC)
    async with open_gateway(RULES) as gateway:
        busy = await gateway.explain(ONCE)
        idle = await gateway.explain(ONCE, state={DAILY: "5"})
        gone = await gateway.explain(ONCE, state={DAILY: None})
        recent = await gateway.explain(
            ONCE, state={DAILY: "0", LAST: "2025-01-31T11:59:30Z"}, now=noon
        )
        later = await gateway.explain(
            ONCE,
            state={DAILY: "0", LAST: "2025-01-31T11:59:30Z"},
            now=noon + timedelta(minutes=5),
        )
    told = [each.preview for each in (busy, idle, gone, recent, later)]
    assert [each and each.matched_rule for each in told] == [
        *("busy", "phone", "phone", "recent", "phone"),
    ]


async def test_other_rules_can_be_asked(open_gateway: OpenGateway) -> None:
    text = "rules: [{name: no, condition: {all: []}, action: {type: deny}}]"
    async with open_gateway(RULES) as gateway:
        told = await gateway.explain(ONCE, rules=parse_rules(text))
        assert [rule.name for rule in gateway.rules] == ["busy", "recent", "once", "phone"]
    (no,) = told.explanation.rules
    assert (no.rule.name, no.result, no.decides) == ("no", RuleResult.MATCHED, True)


async def test_rules_that_cannot_be_compiled_are_refused(open_gateway: OpenGateway) -> None:
    (rule,) = parse_rules("rules: [{name: deep, condition: {all: []}, action: {type: deny}}]")
    condition = rule.condition
    for _ in range(10_000):
        condition = Unary(UnaryOperator.NOT, condition)
    async with open_gateway() as gateway:
        with pytest.raises(RuleParseError):
            await gateway.explain(ONCE, rules=[evolve(rule, condition=condition)])


async def test_switched_rules_are_told_as_switched(open_gateway: OpenGateway) -> None:
    async with open_gateway(RULES) as gateway:
        await gateway.set_rule_enabled("phone", enabled=False)
        told = await gateway.explain(ONCE)
    phone = told.explanation.rules[-1]
    assert (phone.result, phone.would_match) == (RuleResult.DISABLED, True)


class Broken(DispatchState):
    async def begin(self, batch: object) -> list[Began]:
        raise StateConnectionError("the store cannot be reached")

    async def settle(self, batch: object) -> list[bool | StateError]:
        raise StateConnectionError("the store cannot be reached")


async def test_a_store_that_fails_is_an_error(
    open_gateway: OpenGateway, state: StateBackend
) -> None:
    async with open_gateway(RULES, state=evolve(state, dispatch=Broken())) as gateway:
        with pytest.raises(StateFailedError):
            await gateway.explain(ONCE)


def test_it_can_be_asked_without_a_loop() -> None:
    rules = parse_rules("rules: [{name: no, condition: {all: []}, action: {type: deny}}]")
    with SyncGateway.open(rules=rules) as gateway:
        told = gateway.explain(ONCE)
        assert told.rules_version == gateway.rules_version
    assert told.explanation.rules[0].result is RuleResult.MATCHED
