"""Starting, ending and looking into simulations."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from acteon.audit_memory import MemoryAuditStore
from acteon.core import Action, ConfigError, Executed
from acteon.executor import ExecutorSettings
from acteon.rules import RuleParseError
from acteon.simulation import (
    FailingProvider,
    ManualClock,
    Mode,
    NodeDownError,
    ProviderMissingError,
    RecordingProvider,
    SimulationConfig,
    SimulationError,
    SimulationHarness,
)
from acteon.state_memory import memory_backend

Make = Callable[..., Action]

DEDUPLICATE = """
rules:
  - name: once
    condition: {field: action.action_type, eq: notify}
    action: {type: deduplicate, ttl_seconds: 60}
"""
REGION = """
rules:
  - name: only-there
    condition: {not: {field: env.region, eq: us-east-1}}
    action: {type: suppress}
"""


async def test_the_users_example() -> None:
    harness = await SimulationHarness.start(
        SimulationConfig.builder()
        .nodes(1)
        .add_recording_provider("email")
        .add_rule_yaml(DEDUPLICATE)
        .build()
    )
    action = Action("ns", "tenant", "email", "notify", {}).with_dedup_key("unique-key")

    (await harness.dispatch(action)).assert_executed()
    (await harness.dispatch(action)).assert_deduplicated()

    harness.provider("email").assert_called(1)
    await harness.teardown()


async def test_short_ways_to_start() -> None:
    one = await SimulationHarness.single_node_memory()
    three = await SimulationHarness.multi_node_memory(3)

    assert (one.node_count, three.node_count) == (1, 3)
    assert [node.id for node in three.nodes] == ["node-0", "node-1", "node-2"]
    await one.teardown()
    await three.teardown()
    await three.teardown()


def test_a_configuration_step_by_step_is_that_in_one_go() -> None:
    email = RecordingProvider("email")
    built = (
        SimulationConfig.builder()
        .nodes(3)
        .shared_state(True)
        .add_provider(email)
        .add_recording_providers(["sms", "push"])
        .add_rules_yaml([DEDUPLICATE, REGION])
        .add_rule_file("more.yaml")
        .env_var("region", "us-east-1")
        .mode("http")
        .build()
    )

    assert (built.nodes, built.shared_state, built.mode) == (3, True, Mode.HTTP)
    assert list(built.providers) == ["email", "sms", "push"]
    assert built.providers["email"] is email
    assert built.rules == (DEDUPLICATE, REGION, Path("more.yaml"))
    assert built.environment == {"region": "us-east-1"}


def test_a_configuration_without_a_word() -> None:
    config = SimulationConfig()

    assert (config.nodes, config.state, config.audit, config.mode) == (
        1,
        "memory",
        "memory",
        Mode.EMBEDDED,
    )
    assert (config.rules, config.providers, config.shared_state) == ((), {}, None)
    assert config.run != SimulationConfig().run


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"nodes": -1}, "nodes: -1: give 0 or more"),
        ({"mode": "docker"}, "mode: 'docker' is none of embedded, http, process"),
        ({"providers": "email"}, r"providers: give a list of them: \['email'\]"),
        ({"providers": [object()]}, "providers: a object has no name"),
        ({"mode": "process", "nodes": 2}, "processes share no memory"),
        ({"mode": "process", "clock": ManualClock()}, "processes have the machine's"),
        ({"mode": "process", "audit": MemoryAuditStore()}, "a store that is open in this one"),
        ({"state": memory_backend(), "clock": ManualClock()}, "a clock of its own"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(members: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        SimulationConfig(**members)


async def test_rules_come_from_texts_files_and_folders(tmp_path: Path, action: Make) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "one.yaml").write_text(DEDUPLICATE)
    (tmp_path / "two.yaml").write_text(REGION)
    config = SimulationConfig(
        rules=[tmp_path / "folder", str(tmp_path / "two.yaml")],
        providers=["email"],
        environment={"region": "eu-west-1"},
    )
    async with SimulationHarness(config) as harness:
        assert (await harness.dispatch(action())).assert_suppressed().rule == "only-there"


async def test_rules_that_cannot_be_read_end_the_start(tmp_path: Path) -> None:
    with pytest.raises(RuleParseError, match="unknown action type"):
        await SimulationHarness.start(
            SimulationConfig(rules="rules:\n  - {name: a, condition: {}, action: {type: dance}}\n")
        )
    with pytest.raises(ConfigError, match="there is no file or directory"):
        await SimulationHarness.start(SimulationConfig(rules=str(tmp_path / "none.yaml")))


async def test_asking_for_what_is_not_there(action: Make) -> None:
    async with SimulationHarness(SimulationConfig(providers=["email", "sms"])) as harness:
        with pytest.raises(ProviderMissingError, match="provider not found: emial; there are "):
            harness.provider("emial")
        with pytest.raises(SimulationError, match="a client needs mode='http' or 'process'"):
            harness.client()
        with pytest.raises(SimulationError, match="kill needs mode='process'"):
            await harness.kill(0)
        with pytest.raises(SimulationError, match="only a ManualClock can be advanced"):
            await harness.advance(1)
        with pytest.raises(SimulationError, match="runs already"):
            await harness.__aenter__()
    async with SimulationHarness(SimulationConfig(audit=None)) as harness:
        with pytest.raises(SimulationError, match="there is no audit trail"):
            await harness.audit.records()


async def test_time_goes_on_when_it_is_advanced(action: Make) -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    config = SimulationConfig(rules=DEDUPLICATE, providers=["email"], clock=clock)
    async with SimulationHarness(config) as harness:
        one = action(action_type="notify", dedup_key="k")
        (await harness.dispatch(one)).assert_executed()
        await harness.advance(timedelta(seconds=59))
        (await harness.dispatch(one)).assert_deduplicated()
        await harness.advance(1.001)
        (await harness.dispatch(one)).assert_executed()

        times = [record.dispatched_at for record in await harness.audit.of(one)]
        assert times[0] == datetime(2026, 1, 1, tzinfo=UTC)
        assert times[2] - times[0] == timedelta(seconds=60, milliseconds=1)


async def test_the_delays_of_providers_go_by_the_clock_of_the_simulation(action: Make) -> None:
    slow = RecordingProvider("email", delay=timedelta(hours=1))
    own = RecordingProvider("sms", clock=(other := ManualClock()))
    executor = ExecutorSettings(timeout=timedelta(hours=2))
    config = SimulationConfig(providers=[slow, own], clock=ManualClock(), executor=executor)
    async with SimulationHarness(config) as harness:
        sending = asyncio.create_task(harness.dispatch(action()))
        await harness.advance(timedelta(minutes=59))
        assert not sending.done()
        await harness.advance(timedelta(minutes=1))
        (await sending).assert_executed()
    assert own.clock is other


async def test_a_node_that_is_restarted_has_forgotten_what_was_in_its_memory(
    simulation: Callable[..., SimulationHarness], action: Make
) -> None:
    async with simulation(
        nodes=2, rules=DEDUPLICATE, providers=["email"], dead_letters=True
    ) as harness:
        await harness.stop(1)
        with pytest.raises(NodeDownError, match="node-1"):
            await harness.dispatch_to(1, action())
        await harness.restart(1)
        (await harness.dispatch_to(1, action())).assert_executed()
        await harness.audit.assert_audit_count(1)


async def test_an_audit_assertion_that_fails_shows_what_is_there(action: Make) -> None:
    async with SimulationHarness(SimulationConfig(providers=["email"])) as harness:
        sent, other = action(), action()
        await harness.dispatch(sent)
        with pytest.raises(AssertionError) as caught:
            await harness.audit.assert_audited(
                sent, outcome="failed", provider="email", verdict="x"
            )
        assert str(caught.value).splitlines() == [
            f"the audit record of action {sent.id!r} differs:",
            "  outcome: expected 'failed', got 'executed'",
            "  verdict: expected 'x', got 'allow'",
        ]
        with pytest.raises(AssertionError, match=f"no audit record of action {other.id!r}"):
            await harness.audit.assert_audited(other)
        await harness.audit.assert_not_audited(other)
        with pytest.raises(AssertionError, match="expected no audit record, got:\n  outcome='exec"):
            await harness.audit.assert_not_audited(sent)
        with pytest.raises(AssertionError, match="expected 2 audit records with tenant='t', got 0"):
            await harness.audit.assert_audit_count(2, tenant="t")
        with pytest.raises(AssertionError, match="the outcomes \\['failed'\\], got only"):
            await harness.audit.assert_all_outcomes_audited(["executed", "failed"])


async def test_what_fails_is_retried_and_kept_as_a_dead_letter(action: Make) -> None:
    failing = FailingProvider.connection_error("email", "no route", clock=ManualClock())
    async with SimulationHarness(
        SimulationConfig(mode="http", providers=[failing], dead_letters=True)
    ) as harness:
        failed = (await harness.dispatch(action())).assert_failed()
        assert (failed.code, failed.attempts, failed.retryable) == ("CONNECTION", 4, True)
        failing.assert_called(4)
        (letter,) = await harness.client().dlq_drain()
        assert letter.error == "connection error: no route"


def test_a_simulation_without_an_event_loop(action: Make) -> None:
    config = SimulationConfig(mode="http", rules=DEDUPLICATE, providers=["email"], nodes=2)
    with SimulationHarness.sync(config) as harness:
        sent = action(action_type="notify", dedup_key="k")
        harness.dispatch(sent).assert_executed()
        harness.dispatch_to(1, sent).assert_deduplicated()
        assert [type(each) for each in harness.dispatch_batch([action()])] == [Executed]
        assert harness.client(1).health()
        harness.audit.assert_audited(sent, outcome="deduplicated")
        harness.audit.assert_audit_count(3)
        assert harness.audit.count(outcome="executed") == 2
        harness.restart(0)
        harness.dispatch(action()).assert_executed()
        harness.reset_recordings()
        harness.provider("email").assert_not_called()
    with pytest.raises(SimulationError, match="does not run"):
        harness.dispatch(action())
