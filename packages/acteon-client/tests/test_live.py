"""Every method of both clients, against a real server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from acteon.client import (
    AuditQuery,
    AuditRecord,
    Deduplicated,
    Executed,
    Failed,
    NotFoundError,
    Rerouted,
    Suppressed,
    Throttled,
    create_webhook_action,
)
from acteon.core import Action


def action(action_type: str = "welcome", provider: str = "email", **members: Any) -> Action:
    given: dict[str, Any] = {"payload": {"to": "ann@example.com"}, **members}
    return Action("shop", "acme", provider, action_type, **given)


async def test_health_and_metrics(client: Any) -> None:
    await client.dispatch(action())

    assert await client.health()
    health = await client.health_details()
    assert (health.status, health.metrics.dispatched, health.metrics.executed) == ("ok", 1, 1)
    assert (await client.metrics()).to_dict() == health.metrics.to_dict()
    assert "# TYPE acteon_" in await client.prometheus()
    ready = await client.ready()
    assert ready.is_ready
    assert set(ready.checks.values()) == {"ok"}


async def test_each_kind_of_outcome(client: Any) -> None:
    sent = action(action_type="notify", dedup_key="k")

    assert isinstance(await client.dispatch(action()), Executed)
    assert isinstance(await client.dispatch(sent), Executed)
    assert isinstance(await client.dispatch(sent), Deduplicated)
    assert await client.dispatch(action("spam")) == Suppressed("a/b ü")
    rerouted = await client.dispatch(action("urgent"))
    assert isinstance(rerouted, Rerouted)
    assert (rerouted.original_provider, rerouted.new_provider) == ("email", "sms")
    outcomes = [await client.dispatch(action("alert")) for _ in range(3)]
    assert isinstance(outcomes[2], Throttled)
    assert timedelta(0) < outcomes[2].retry_after <= timedelta(seconds=60)
    failed = await client.dispatch(action(provider="pager"))
    assert isinstance(failed, Failed)
    assert (failed.code, failed.retryable, failed.attempts) == ("PROVIDER_NOT_FOUND", False, 0)


async def test_an_action_may_be_a_mapping(client: Any) -> None:
    members = {
        "namespace": "shop",
        "tenant": "acme",
        "provider": "email",
        "action_type": "welcome",
        "payload": None,
    }
    assert isinstance(await client.dispatch(members), Executed)
    with pytest.raises(TypeError, match="action: lacks `payload`, `provider`"):
        await client.dispatch({"namespace": "a", "tenant": "b", "action_type": "c"})
    with pytest.raises(TypeError, match="action: has no `tennant`, but `action_type`, "):
        await client.dispatch({**members, "tennant": "acme"})


async def test_a_batch_has_a_result_for_each(client: Any) -> None:
    results = await client.dispatch_batch([action(), action("spam"), action(provider="pager")])

    assert [result.outcome.tag for result in results] == ["executed", "suppressed", "failed"]
    assert all(result.is_success and not result.is_error for result in results)
    assert await client.dispatch_batch([]) == []


async def test_many_go_in_chunks_and_come_back_in_order(client: Any) -> None:
    actions = [action("spam" if number % 10 == 0 else "welcome") for number in range(250)]
    pairs = await client.dispatch_many(iter(actions), chunk_size=20, concurrency=3)

    assert [sent for sent, _ in pairs] == actions
    assert [result.outcome.tag for _, result in pairs] == [
        "suppressed" if number % 10 == 0 else "executed" for number in range(250)
    ]


async def test_what_would_happen(client: Any) -> None:
    dry = await client.preview(action("urgent"))
    assert (dry.verdict, dry.outcome, dry.would_be_provider) == ("reroute", "rerouted", "sms")
    results = await client.preview_batch([action(), action("spam")])
    assert [each.dry_run.outcome for each in results] == ["executed", "suppressed"]
    assert (await client.metrics()).dispatched == 0


async def test_rules(client: Any) -> None:
    rules = await client.list_rules()
    assert [(each.name, each.priority, each.enabled) for each in rules][:2] == [
        ("a/b ü", 1, True),
        ("once", 2, True),
    ]
    assert rules[0].description == "spam"
    assert (await client.rule_details())[0]["verdict"]

    assert not (await client.set_rule_enabled("a/b ü", False)).enabled
    assert isinstance(await client.dispatch(action("spam")), Executed)
    assert (await client.set_rule_enabled("a/b ü", True)).enabled
    with pytest.raises(NotFoundError) as caught:
        await client.set_rule_enabled("none", True)
    assert (caught.value.status, caught.value.retryable) == (404, False)


async def test_rules_of_a_directory(client: Any, tmp_path: Any) -> None:
    rule = "{name: r, condition: {field: action.tenant, eq: x}, action: {type: deny}}"
    (tmp_path / "one.yaml").write_text(f"rules: [{rule}]\n")
    result = await client.reload_rules(str(tmp_path))

    assert (result.loaded, result.directory, result.errors) == (1, str(tmp_path), ())


async def test_why_rules_decide_as_they_do(client: Any) -> None:
    explained = await client.explain(action("spam"), now=datetime(2026, 1, 1, tzinfo=UTC))
    assert "suppress" in str(explained)
    with_others = await client.explain(
        action("spam"), rules="rules: [{name: r, condition: {all: []}, action: {type: allow}}]\n"
    )
    assert "a/b ü" not in str(with_others)


async def test_providers(client: Any) -> None:
    await client.dispatch(action())
    providers = await client.list_providers()
    assert [each.name for each in providers] == ["email", "sms"]
    assert providers[0].calls is not None
    assert (providers[0].calls.attempts, providers[0].calls.successes) == (1, 1)
    assert all(each.healthy for each in await client.provider_health())

    opened = await client.set_circuit("email", "open")
    assert opened.circuit is not None
    assert (opened.circuit.state, opened.circuit.by_hand) == ("open", True)
    await client.set_circuit("email", "closed")
    with pytest.raises(NotFoundError):
        await client.reload_providers()


async def test_the_audit_trail(client: Any) -> None:
    sent = [action(), action("spam"), action()]
    for each in sent:
        await client.dispatch(each)

    page = await client.query_audit(AuditQuery(tenant="acme"), outcome="executed", limit=1)
    assert (len(page.records), page.total, page.limit) == (1, 2, 1)
    record = await client.get_audit_record(sent[1].id)
    assert isinstance(record, AuditRecord)
    assert (record.outcome, record.matched_rule) == ("suppressed", "a/b ü")
    assert record.action_payload == {"to": "ann@example.com"}
    assert record.dispatched_at.tzinfo is not None
    assert AuditRecord.from_dict(record.to_dict()) == record
    assert await client.get_audit_record("no such/action ü?") is None
    assert (await client.wait_for_audit(sent[2].id)).action_id == sent[2].id
    with pytest.raises(TimeoutError, match="no audit record of action 'none' within 0 s"):
        await client.wait_for_audit("none", timeout=0, interval=0.01)

    since = page.records[0].dispatched_at
    assert (await client.query_audit(since=since, until=since)).total == 1
    with pytest.raises(ValueError, match="since: 2026-01-01 00:00:00 has no time zone"):
        await client.query_audit(since=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
    with pytest.raises(TypeError, match="tennant"):
        await client.query_audit(tennant="acme")


async def test_walking_the_audit_trail(client: Any) -> None:
    await client.dispatch_batch([action() for _ in range(25)])

    every = await client.iter_audit(page_size=10)
    assert len({record.id for record in every}) == 25
    assert every == sorted(every, key=lambda each: each.dispatched_at, reverse=True)
    assert await client.iter_audit(page_size=10, limit=12) == every[:12]
    assert await client.iter_audit(tenant="other") == []
    assert await client.iter_audit(limit=0) == []


async def test_past_actions_again(client: Any) -> None:
    sent = action()
    await client.dispatch(sent)

    assert (await client.replay(sent.id, dry_run=True)).success
    item = await client.replay(sent.id)
    assert (item.success, item.outcome) == (True, "executed")
    assert item.new_action_id not in (None, sent.id)
    result = await client.replay_audit(tenant="acme", dry_run=True)
    assert (result.replayed, result.dry_run) == (2, True)
    with pytest.raises(NotFoundError):
        await client.replay("none")

    counted = await client.erase_audit(path="to", value="ann@example.com", dry_run=True)
    assert (counted.matched, counted.erased) == (2, 0)
    assert (await client.erase_audit(tenant="acme")).erased == 2
    record = await client.get_audit_record(sent.id)
    assert record.action_payload is None


async def test_dead_letters(client: Any) -> None:
    failed = await client.dispatch(action(payload="nobody"))
    assert failed.is_failed()

    stats = await client.dlq_stats()
    assert (stats.enabled, stats.count) == (True, 1)
    (letter,) = await client.dlq_drain()
    assert (letter.payload, letter.attempts, letter.tenant) == ("nobody", 1, "acme")
    assert await client.dlq_drain() == []


async def test_a_quota_is_waited_for_as_long_as_there_is_patience(client: Any) -> None:
    for _ in range(2):
        await client.dispatch(action("alert"))

    assert (await client.dispatch_with_backoff(action("alert"), patience=0.1)).is_throttled()
    assert (await client.dispatch_with_backoff(action(), patience=0.1)).is_executed()


def test_an_action_for_a_webhook() -> None:
    made = create_webhook_action(
        "ns", "t", "https://example.com/hook", {"a": 1}, headers={"x": "y"}, dedup_key="k"
    )

    assert (made.provider, made.action_type, made.dedup_key) == ("webhook", "webhook", "k")
    assert made.payload == {
        "url": "https://example.com/hook",
        "method": "POST",
        "body": {"a": 1},
        "headers": {"x": "y"},
    }
