"""Past actions, sent again."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from acteon.audit import (
    UNENCODABLE,
    Act,
    AuditQuery,
    AuditRecord,
    AuditSettings,
    AuditTrail,
    Redaction,
)
from acteon.audit.testing import PlainAuditStore, make_record
from acteon.core import Action, Caller, ConfigError, ManualClock
from acteon.executor import ExecutorSettings
from acteon.gateway import (
    REPLAYED_FROM,
    DrainingError,
    Gateway,
    NotReplayableError,
    PayloadMissingError,
    PayloadRedactedError,
    Preview,
    Replayed,
)
from acteon.gateway.replaying import repeated
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action
from acteon.provider import ProviderConnectionError

SECRET = frozenset({"[REDACTED]"})

RULES = """\
rules:
  - {name: no, condition: {field: action.action_type, eq: bad}, action: {type: deny}}
  - {name: once, condition: {field: action.action_type, eq: once}, action: {type: deduplicate}}
  - {name: two, condition: {field: action.action_type, eq: two},
     action: {type: throttle, max_count: 2, window_seconds: 60}}
"""


async def past(gateway: Gateway, *actions: Action) -> list[AuditRecord]:
    """Dispatch `actions`, and return what the audit trail tells of them, in any order."""
    for action in actions:
        await gateway.dispatch(action)
    page = await gateway.trail.query(AuditQuery())
    return list(page.records)


async def test_an_action_is_sent_again_as_it_was(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    async with open_gateway() as gateway:
        action = make_action(payload={"to": ["ünal", 1.5, None]}, metadata={"team": "growth"})
        records = await past(gateway, evolve(action, dedup_key="k"))
        (done,) = await gateway.replay(records, Caller("root", "api_key"))

        first, second = email.calls
        assert done == Replayed(action_id=first.id, new_action_id=second.id, result=done.result)
        assert (done.success, done.sent, done.outcome, done.error) == (True, True, "executed", None)
        assert second.id != first.id
        assert second.dedup_key is None
        assert second.metadata == {"team": "growth", REPLAYED_FROM: first.id}
        for member in ("namespace", "tenant", "provider", "action_type", "payload"):
            assert getattr(second, member) == getattr(first, member)

        record = await gateway.trail.latest(second.id)
        assert record is not None
        assert record.metadata == f'{{"replayed_from":"{first.id}","team":"growth"}}'.encode()
        assert (record.caller_id, record.auth_method) == ("root", "api_key")


async def test_rules_hold_for_what_is_sent_again(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    async with open_gateway() as plain:
        kinds = ("bad", "two", "two", "two", "once")
        records = await past(plain, *(make_action(action_type=kind) for kind in kinds))
    async with open_gateway(RULES) as gateway:
        done = await gateway.replay(records)

    assert Counter(each.outcome for each in done) == {
        "suppressed": 1,
        "executed": 3,
        "throttled": 1,
    }
    assert all(each.success for each in done)
    assert len(email.calls) == len(kinds) + 3


async def test_the_oldest_goes_first(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    async with open_gateway(executor=ExecutorSettings(max_concurrent=1)) as gateway:
        ids: list[str] = []
        records: list[AuditRecord] = []
        for _ in range(5):
            action = make_action()
            ids.append(action.id)
            records = await past(gateway, action)
            await clock.advance(timedelta(seconds=1))
        email.calls.clear()
        done = await gateway.replay([records[3], records[0], records[4], records[1], records[2]])

    assert [each.action_id for each in done] == ids
    assert [call.metadata[REPLAYED_FROM] for call in email.calls] == ids


async def test_no_more_run_at_one_time_than_may(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    async with open_gateway(executor=ExecutorSettings(max_concurrent=3)) as gateway:
        records = await past(gateway, *(make_action() for _ in range(9)))
        email.gate.clear()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(gateway.replay(records))
            await email.called(9 + 3)
            email.gate.set()

    assert email.most_at_once == 3
    assert sum(each.success for each in task.result()) == 9


async def test_what_fails_is_told_and_does_not_hold_up_others(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    async with open_gateway() as gateway:
        records: list[AuditRecord] = []
        for _ in range(2):
            records = await past(gateway, make_action())
            await clock.advance(timedelta(seconds=1))
        email.answers.append(ProviderConnectionError("away"))
        first, second = await gateway.replay(records)

    assert (first.success, first.sent, first.outcome) == (False, True, "failed")
    assert first.error is not None
    assert first.error[0] == "CONNECTION"
    assert second.success


async def test_one_that_reaches_no_outcome_is_told(open_gateway: OpenGateway) -> None:
    async with open_gateway() as plain:
        records = await past(plain, make_action())
    rule = "{name: x, condition: {field: action.action_type, gt: 1}, action: {type: deny}}"
    async with open_gateway(f"rules: [{rule}]") as gateway:
        (done,) = await gateway.replay(records)

    assert (done.success, done.sent, done.outcome) == (False, True, None)
    assert done.error is not None
    assert done.error[0] == "RULE_ERROR"


async def test_of_several_records_of_one_action_the_newest_is_sent(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    async with open_gateway() as gateway:
        action = make_action()
        email.answers.extend([ProviderConnectionError("away"), ProviderConnectionError("away")])
        await past(gateway, action)
        await clock.advance(timedelta(seconds=1))
        records = await past(gateway, evolve(action, payload={"to": "new"}))
        older, newer = await gateway.replay(records)

    assert not older.sent
    assert older.error == ("NOT_REPLAYABLE", "a newer record of the same action is sent instead")
    assert newer.success
    assert [call.payload for call in email.calls[2:]] == [{"to": "new"}]


async def test_the_same_id_of_another_tenant_is_another_action(
    open_gateway: OpenGateway,
) -> None:
    async with open_gateway() as gateway:
        action = make_action()
        records = await past(gateway, action, evolve(action, tenant="t2"))
        assert [each.success for each in await gateway.replay(records)] == [True, True]


async def test_a_dry_run_tells_what_would_become_of_them(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    async with open_gateway() as plain:
        records = await past(plain, make_action(action_type="bad"), make_action(provider="fax"))
        records.append(make_record(action_payload=None, action_id="gone"))
    rules = "\n".join(RULES.splitlines()[:2])
    async with open_gateway(rules) as gateway:
        counted = gateway.counters
        done = {each.outcome: each for each in await gateway.replay(records, dry_run=True)}
        assert gateway.counters == counted
        assert (await gateway.trail.query(AuditQuery())).total == 0

    assert {outcome: (each.success, each.sent) for outcome, each in done.items()} == {
        "suppressed": (True, True),
        "failed": (False, True),
        None: (False, False),
    }
    assert all(each.new_action_id is None for each in done.values())
    assert isinstance(done["suppressed"].result, Preview)
    assert len(email.calls) == 1


REFUSED: dict[str, tuple[dict[str, Any], type[NotReplayableError]]] = {
    "no payload": ({"action_payload": None}, PayloadMissingError),
    "one that could not be written": ({"action_payload": UNENCODABLE}, PayloadMissingError),
    "a redacted payload": ({"action_payload": b'{"a":[{"b":"[REDACTED]"}]}'}, PayloadRedactedError),
    "what was redacted otherwise": (
        {"verdict_details": b'{"verdict":"allow","redacted":true}'},
        PayloadRedactedError,
    ),
    "a redacted label": ({"metadata": b'{"token":"[REDACTED]"}'}, PayloadRedactedError),
    "no JSON": ({"action_payload": b"{"}, NotReplayableError),
    "labels that are none": ({"metadata": b"[1]"}, NotReplayableError),
    "an erasure": (
        {"action_type": Act.ERASE.value, "provider": "", "action_payload": None},
        NotReplayableError,
    ),
}


@pytest.mark.parametrize(("changes", "kind"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_repeated_is_refused(
    changes: dict[str, Any], kind: type[NotReplayableError]
) -> None:
    with pytest.raises(NotReplayableError) as caught:
        repeated(make_record(**changes), SECRET)
    assert type(caught.value) is kind
    assert not caught.value.retryable


def test_a_text_that_only_has_the_placeholder_in_it_is_no_secret() -> None:
    record = make_record(action_payload=b'{"note":"about [REDACTED]"}')

    assert repeated(record, SECRET).payload == {"note": "about [REDACTED]"}


async def test_what_was_redacted_is_refused_whatever_the_placeholder(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    settings = AuditSettings(redaction=Redaction(["token"], "***"))
    async with (
        AuditTrail(PlainAuditStore(), settings) as trail,
        open_gateway(audit=trail) as gateway,
    ):
        records = await past(gateway, make_action(payload={"token": "t-1"}))
        (done,) = await gateway.replay(records)

    assert done.error is not None
    assert done.error[0] == "PAYLOAD_REDACTED"
    assert len(email.calls) == 1


async def test_without_an_audit_trail_nothing_is_known(open_gateway: OpenGateway) -> None:
    async with open_gateway(audit=None) as gateway:
        with pytest.raises(ConfigError, match="no audit trail"):
            await gateway.replay([make_record()])


async def test_a_gateway_that_is_closing_sends_nothing(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    async with open_gateway() as gateway:
        records = await past(gateway, make_action())
        await gateway.drain()
        with pytest.raises(DrainingError):
            await gateway.replay(records)

    assert len(email.calls) == 1


async def test_a_replay_is_replayed_from_the_replay(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    async with open_gateway() as gateway:
        await gateway.replay(await past(gateway, make_action()))
        second = email.calls[-1]
        record = await gateway.trail.latest(second.id)
        assert record is not None
        await gateway.replay([record])

    assert email.calls[-1].metadata == {REPLAYED_FROM: second.id}
