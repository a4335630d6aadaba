"""What teams prove about their rules, from one dispatch to several nodes, in each place."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from acteon.core import ActeonError, Action
from acteon.simulation import NodeNotFoundError, RecordingProvider, SimulationHarness

Simulation = Callable[..., SimulationHarness]
Make = Callable[..., Action]


def rule(name: str, condition: str, action: str, priority: int = 1) -> str:
    return (
        f"rules:\n  - name: {name}\n    priority: {priority}\n"
        f"    condition: {condition}\n    action: {action}\n"
    )


def of_type(action_type: str) -> str:
    return f"{{field: action.action_type, eq: {action_type}}}"


BLOCK_SPAM = rule("block-spam", of_type("spam"), "{type: suppress}")
DEDUPLICATE = rule("dedup", of_type("notify"), "{type: deduplicate, ttl_seconds: 300}")
REROUTE = rule(
    "urgent", "{field: action.payload.priority, eq: high}", "{type: reroute, target_provider: sms}"
)
THROTTLE = rule("slow", of_type("bulk_send"), "{type: throttle, max_count: 10, window_seconds: 60}")
MODIFY = rule(
    "track", of_type("send_email"), "{type: modify, changes: {tracking_enabled: true, by: rule}}"
)


async def test_one_action_is_executed_and_reaches_its_provider(
    simulation: Simulation, action: Make
) -> None:
    sent = action(payload={"to": "a@example.com", "subject": "Hi"}, metadata={"team": "core"})
    async with simulation(providers=["email"]) as harness:
        outcome = (await harness.dispatch(sent)).assert_executed()

        email = harness.provider("email")
        assert outcome.response.body == {
            "provider": "email",
            "action_id": sent.id,
            "simulated": True,
        }
        email.assert_called(1)
        assert email.last_action.action_type == "welcome"
        assert email.last_action.payload == sent.payload
        assert email.last_action.metadata == {"team": "core"}


async def test_a_batch_has_one_result_for_each_action(simulation: Simulation, action: Make) -> None:
    async with simulation(providers=["email"]) as harness:
        results = await harness.dispatch_batch([action() for _ in range(10)])

        assert [type(result).__name__ for result in results] == ["Executed"] * 10
        harness.provider("email").assert_called(10)


async def test_each_provider_has_its_own_calls_until_they_are_reset(
    simulation: Simulation, action: Make
) -> None:
    async with simulation(providers=["email", "sms", "push"]) as harness:
        for name in ("email", "sms", "push", "email"):
            (await harness.dispatch(action(name))).assert_executed()
        counts = {name: each.call_count for name, each in harness.providers.items()}

        assert counts == {"email": 2, "sms": 1, "push": 1}
        harness.reset_recordings()
        for each in harness.providers.values():
            each.assert_not_called()


async def test_an_unknown_provider_is_an_outcome_and_no_exception(
    simulation: Simulation, action: Make
) -> None:
    async with simulation(providers=["email"]) as harness:
        failed = (await harness.dispatch(action("pager"))).assert_failed()

    assert (failed.code, failed.attempts) == ("PROVIDER_NOT_FOUND", 0)


async def test_fifty_at_once_are_all_executed(simulation: Simulation, action: Make) -> None:
    async with simulation(providers=["email"]) as harness:
        outcomes = await asyncio.gather(*(harness.dispatch(action()) for _ in range(50)))

        assert all(outcome.is_executed() for outcome in outcomes)
        harness.provider("email").assert_called(50)


async def test_a_rule_holds_back_what_it_matches_and_nothing_else(
    simulation: Simulation, action: Make
) -> None:
    async with simulation(rules=[BLOCK_SPAM], providers=["email"]) as harness:
        suppressed = (await harness.dispatch(action(action_type="spam"))).assert_suppressed()
        assert suppressed.rule == "block-spam"
        harness.provider("email").assert_not_called()

        (await harness.dispatch(action())).assert_executed()
        harness.provider("email").assert_called(1)


async def test_a_rule_sends_what_it_matches_elsewhere(simulation: Simulation, action: Make) -> None:
    async with simulation(rules=[REROUTE], providers=["email", "sms"]) as harness:
        urgent = await harness.dispatch(action(payload={"priority": "high"}))
        assert urgent.assert_rerouted().new_provider == "sms"
        harness.provider("email").assert_not_called()
        harness.provider("sms").assert_called(1)

        (await harness.dispatch(action(payload={"priority": "low"}))).assert_executed()
        harness.provider("email").assert_called(1)
        harness.provider("sms").assert_called(1)


async def test_one_key_is_delivered_once_and_another_one_again(
    simulation: Simulation, action: Make
) -> None:
    async with simulation(rules=[DEDUPLICATE], providers=["email"]) as harness:
        for key in ("a", "b"):
            first, second = (action(action_type="notify", dedup_key=key) for _ in range(2))
            (await harness.dispatch(first)).assert_executed()
            (await harness.dispatch(second)).assert_deduplicated()

        harness.provider("email").assert_called(2)


async def test_a_throttle_lets_as_many_through_as_it_says(
    simulation: Simulation, action: Make
) -> None:
    async with simulation(rules=[THROTTLE], providers=["email"]) as harness:
        for _ in range(10):
            (await harness.dispatch(action(action_type="bulk_send"))).assert_executed()
        throttled = (await harness.dispatch(action(action_type="bulk_send"))).assert_throttled()

        assert timedelta(0) < throttled.retry_after <= timedelta(seconds=60)
        harness.provider("email").assert_called(10)


async def test_a_provider_sees_what_a_rule_has_added(simulation: Simulation, action: Make) -> None:
    async with simulation(rules=[MODIFY], providers=["email"]) as harness:
        sent = action(action_type="send_email", payload={"to": "a@example.com"})
        (await harness.dispatch(sent)).assert_executed()

        assert harness.provider("email").payloads == [
            {"to": "a@example.com", "tracking_enabled": True, "by": "rule"}
        ]
        record = await harness.audit.assert_audited(sent, outcome="executed", verdict="modify")
        assert record.action_payload == {"to": "a@example.com"}


async def test_the_lower_priority_decides(simulation: Simulation, action: Make) -> None:
    high = f"{{all: [{of_type('spam')}, {{field: action.payload.priority, eq: high}}]}}"
    rules = [
        rule("allow", of_type("spam"), "{type: allow}", priority=10),
        rule("block", high, "{type: suppress}", priority=1),
    ]
    async with simulation(rules=rules, providers=["email"]) as harness:
        blocked = await harness.dispatch(action(action_type="spam", payload={"priority": "high"}))
        blocked.assert_suppressed()
        allowed = await harness.dispatch(action(action_type="spam", payload={"priority": "low"}))
        allowed.assert_executed()


async def test_nodes_share_what_they_know(simulation: Simulation, action: Make) -> None:
    async with simulation(nodes=3, rules=[DEDUPLICATE], providers=["email"]) as harness:
        outcomes = [
            await harness.dispatch_to(number, action(action_type="notify", dedup_key="once"))
            for number in range(3)
        ]

        assert [outcome.tag for outcome in outcomes] == ["executed", "deduplicated", "deduplicated"]
        harness.provider("email").assert_called(1)
        await harness.audit.assert_audit_count(2, outcome="deduplicated")


async def test_nodes_that_share_nothing_know_nothing_of_each_other(
    simulation: Simulation, action: Make
) -> None:
    members = {"nodes": 2, "shared_state": False, "rules": [DEDUPLICATE], "providers": ["email"]}
    async with simulation(**members) as harness:
        for number in range(2):
            sent = action(action_type="notify", dedup_key="once")
            (await harness.dispatch_to(number, sent)).assert_executed()

        harness.provider("email").assert_called(2)


async def test_without_a_rule_nothing_is_deduplicated(simulation: Simulation, action: Make) -> None:
    sent = action()
    async with simulation(nodes=3, providers=["email"]) as harness:
        for number in range(3):
            (await harness.dispatch_to(number, sent)).assert_executed()

        harness.provider("email").assert_called(3)


async def test_many_at_once_over_several_nodes(simulation: Simulation, action: Make) -> None:
    async with simulation(nodes=3, providers=["email"]) as harness:
        outcomes = await asyncio.gather(
            *(harness.dispatch_to(number % 3, action()) for number in range(30))
        )

        assert all(outcome.is_executed() for outcome in outcomes)
        harness.provider("email").assert_called(30)


async def test_a_node_that_is_not_there_is_an_error(simulation: Simulation, action: Make) -> None:
    async with simulation(nodes=2, providers=["email"]) as harness:
        with pytest.raises(NodeNotFoundError, match="node 99 not found: there are 2"):
            await harness.dispatch_to(99, action())
        results = await harness.dispatch_batch_to(99, [action(), action()])
        assert all(isinstance(result, ActeonError) for result in results)


async def test_the_whole_pipeline(simulation: Simulation, action: Make) -> None:
    rules = [
        rule("dedup", of_type("notify"), "{type: deduplicate, ttl_seconds: 60}", 1),
        rule("block", of_type("spam"), "{type: suppress}", 2),
        rule("slow", of_type("alert"), "{type: throttle, max_count: 10, window_seconds: 60}", 3),
    ]
    async with simulation(rules=rules, providers=["email", "sms"]) as harness:
        (await harness.dispatch(action())).assert_executed()
        for expected in ("executed", "deduplicated"):
            sent = action(action_type="notify", dedup_key="order-1")
            assert (await harness.dispatch(sent)).tag == expected
        (await harness.dispatch(action(action_type="spam"))).assert_suppressed()
        alerts = [await harness.dispatch(action("sms", "alert")) for _ in range(15)]

        assert [each.tag for each in alerts] == ["executed"] * 10 + ["throttled"] * 5
        harness.provider("email").assert_called(2)
        harness.provider("sms").assert_called(10)
        await harness.audit.assert_audit_count(19)
        await harness.audit.assert_all_outcomes_audited(
            {"executed", "deduplicated", "suppressed", "throttled"}
        )


async def test_calls_under_way_are_waited_for_at_the_end(
    simulation: Simulation, action: Make
) -> None:
    slow = RecordingProvider("email", delay=timedelta(milliseconds=50))
    async with simulation(providers=[slow]) as harness:
        sending = asyncio.create_task(harness.dispatch(action()))
        while not slow.call_count:  # noqa: ASYNC110 - it counts calls that begin
            await asyncio.sleep(0)
    (await sending).assert_executed()
