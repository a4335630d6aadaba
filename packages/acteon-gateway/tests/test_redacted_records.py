"""What is redacted is in no part of an audit record."""

import json
from contextlib import suppress

from acteon.audit import AuditRecord, AuditSettings, AuditTrail, Redaction
from acteon.audit.testing import PlainAuditStore
from acteon.core import NOBODY, Action, Executed, ManualClock, ProviderResponse
from acteon.gateway import GatewayError
from acteon.gateway.records import Story, make_record
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action
from acteon.provider import ProviderConnectionError
from acteon.rules import Decision

CANARY = "canary-7f3'\"ä"
STRICT = Redaction(["token", "auth.pin"], metadata=True, texts=True)
PLAIN = Redaction(["token", "auth.pin"])

CHANGING = """\
rules:
  - {name: changed, condition: {field: action.tenant, eq: t1},
     action: {type: modify, changes: {auth: {pin: "4242-made-here"}}}}
"""


async def record_of(
    open_gateway: OpenGateway, redaction: Redaction, action: Action, rules: str = ""
) -> AuditRecord:
    store = PlainAuditStore()
    async with (
        AuditTrail(store, AuditSettings(mode="sync", redaction=redaction)) as trail,
        open_gateway(rules, audit=trail) as gateway,
    ):
        with suppress(GatewayError):
            await gateway.dispatch(action)
    (record,) = store.records.values()
    return record


def quoted(text: str) -> ProviderConnectionError:
    return ProviderConnectionError(f"refused: {text!r} and {text} of https://x/?t={text}")


async def test_a_secret_is_in_no_part_of_a_record(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    action = make_action(
        payload={"user": [{"Token": CANARY}], "to": "ann"}, metadata={"TOKEN": CANARY, "a": "b"}
    )
    email.answers.append(quoted(CANARY))
    record = await record_of(open_gateway, STRICT, action)

    whole = record.to_json().decode()
    assert "canary" not in whole
    assert "refused: " in whole
    assert record.metadata == b'{"TOKEN":"[REDACTED]","a":"b"}'


async def test_by_default_labels_and_texts_are_told_as_they_are(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    action = make_action(payload={"token": "canary-1"}, metadata={"token": "canary-1"})
    email.answers.append(quoted("canary-1"))
    record = await record_of(open_gateway, PLAIN, action)

    assert record.metadata == b'{"token":"canary-1"}'
    assert b"canary-1" in record.outcome_details
    assert record.action_payload == b'{"token":"[REDACTED]"}'


async def test_what_a_rule_put_into_the_payload_is_a_secret_there_too(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.answers.append(quoted("4242-made-here"))
    record = await record_of(open_gateway, STRICT, make_action(), CHANGING)

    assert b"4242" not in record.to_json()
    assert b"[REDACTED]" in record.outcome_details


async def test_texts_of_a_rule_that_fails_tell_no_secrets_and_rules_keep_their_names(
    open_gateway: OpenGateway,
) -> None:
    rules = """\
rules:
  - {name: canary, condition: {field: action.payload.token, gt: 1}, action: {type: deny}}
"""
    action = make_action(payload={"token": "canary"})
    shown = await record_of(open_gateway, PLAIN, action, rules)
    record = await record_of(open_gateway, STRICT, action, rules)

    text = b"type error: cannot compare string and int (rule '%b')"
    assert text % b"canary" in shown.verdict_details
    assert text % b"canary" in shown.outcome_details
    assert text % b"[REDACTED]" in record.verdict_details
    assert text % b"[REDACTED]" in record.outcome_details
    assert b'"rule":"canary"' in record.verdict_details


def test_texts_of_rules_that_were_passed_over_tell_no_secrets() -> None:
    action = make_action(payload={"token": "canary"})
    clock = ManualClock()
    story = Story(action, NOBODY, clock.now(), clock.monotonic())
    story.decision = Decision(errors=(("canary", "cannot convert 'canary' to int"),))
    story.note("throttle_error", "no counter of canary")
    trail = AuditTrail(PlainAuditStore(), AuditSettings(redaction=STRICT))
    record = make_record(story, Executed(ProviderResponse()), trail, clock)

    assert json.loads(record.verdict_details) == {
        "verdict": "allow",
        "throttle_error": "no counter of [REDACTED]",
        "redacted": True,
        "rule_errors": [{"rule": "canary", "error": "cannot convert '[REDACTED]' to int"}],
    }
