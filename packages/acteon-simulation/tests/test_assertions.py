"""What tests insist on, and what they are told when it is not so."""

import unittest
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from acteon.core import (
    Action,
    ActionOutcome,
    Deduplicated,
    Executed,
    Failed,
    ProviderResponse,
    Rerouted,
    Suppressed,
    Throttled,
)
from acteon.provider import ProviderConnectionError
from acteon.simulation import RecordingProvider, SimulationHarness, assertions
from acteon.simulation.assertions import (
    SimulationAssertions,
    assert_all_executed,
    assert_all_succeeded,
    assert_failed_with,
    assert_provider_called,
    assert_provider_not_called,
    assert_provider_received_action_type,
    assert_provider_received_payload_value,
    assert_rerouted_to,
    assert_suppressed_by,
    assert_throttled_for,
)

Make = Callable[..., Action]

EXECUTED = Executed(ProviderResponse())
SUPPRESSED = Suppressed("block-spam")
REROUTED = Rerouted("email", "sms", ProviderResponse())
THROTTLED = Throttled(timedelta(seconds=60))
FAILED = Failed(
    code="PROVIDER_NOT_FOUND", message="provider not found: pager", retryable=False, attempts=0
)
OUTCOMES: tuple[ActionOutcome, ...] = (
    EXECUTED,
    Deduplicated(),
    SUPPRESSED,
    REROUTED,
    THROTTLED,
    FAILED,
)


def failing(check: Callable[..., object], *given: object, **named: object) -> str:
    with pytest.raises(AssertionError) as caught:
        check(*given, **named)
    return str(caught.value)


def test_each_kind_passes_as_itself_alone() -> None:
    for outcome in OUTCOMES:
        kind = type(outcome).__name__
        for other in OUTCOMES:
            check = getattr(other, f"assert_{kind.lower()}")
            if other is outcome:
                assert check() is outcome
            else:
                assert failing(check) == f"expected {kind}, got {other!r}"


def test_the_rule_that_suppressed() -> None:
    assert assert_suppressed_by(SUPPRESSED, "block-spam") is SUPPRESSED
    text = failing(assert_suppressed_by, SUPPRESSED, "other-rule")
    assert text == "expected suppression by 'other-rule', got 'block-spam'"
    assert failing(assert_suppressed_by, EXECUTED, "x") == f"expected Suppressed, got {EXECUTED!r}"


def test_the_provider_that_took_it_instead() -> None:
    assert assert_rerouted_to(REROUTED, "sms") is REROUTED
    assert failing(assert_rerouted_to, REROUTED, "push") == "expected reroute to 'push', got 'sms'"
    assert failing(assert_rerouted_to, EXECUTED, "x") == f"expected Rerouted, got {EXECUTED!r}"


def test_a_quota_that_opens_too_late() -> None:
    assert assert_throttled_for(THROTTLED, timedelta(minutes=1)) is THROTTLED
    text = failing(assert_throttled_for, THROTTLED, timedelta(seconds=59))
    assert text == "expected a wait of at most 0:00:59, got 0:01:00"
    assert "expected Throttled" in failing(assert_throttled_for, EXECUTED, timedelta(days=1))


def test_members_of_a_failure() -> None:
    whole = {"code": "PROVIDER_NOT_FOUND", "retryable": False, "attempts": 0}
    assert assert_failed_with(FAILED, **whole) is FAILED
    text = failing(assert_failed_with, FAILED, code="PROVIDER_NOT_FOUND", attempts=4)
    assert text == f"expected a failure with attempts=4, got 0: {FAILED!r}"
    assert "expected Failed" in failing(assert_failed_with, EXECUTED, code="TIMEOUT")


def test_all_of_a_batch() -> None:
    error = ProviderConnectionError("no route")
    assert assert_all_executed([EXECUTED, EXECUTED]) == [EXECUTED, EXECUTED]
    assert assert_all_succeeded(OUTCOMES) == list(OUTCOMES)
    for check in (assert_all_executed, assert_all_succeeded):
        assert check([]) == []
    text = failing(assert_all_executed, [EXECUTED, SUPPRESSED])
    assert text == f"outcome 1: expected Executed, got {SUPPRESSED!r}"
    text = failing(assert_all_executed, [error])
    assert text == f"outcome 0: expected Executed, got {error!r}"
    text = failing(assert_all_succeeded, [FAILED, SUPPRESSED, error])
    assert text == f"outcome 2: expected an outcome, got {error!r}"


async def test_how_often_a_provider_was_called(action: Make) -> None:
    sms = RecordingProvider("sms")
    assert assert_provider_not_called(sms) is sms
    assert failing(assert_provider_called, sms, 1) == "expected 1 calls to provider 'sms', got 0"
    await sms.execute(action("sms", payload={"n": 1}))
    assert assert_provider_called(sms, 1) is sms
    assert failing(assert_provider_not_called, sms).splitlines() == [
        "expected no calls to provider 'sms', got 1",
        "  #1 tests/tenant-1 welcome payload={'n': 1}",
    ]


async def test_what_a_provider_was_called_with_last(action: Make) -> None:
    sms = RecordingProvider("sms")
    for check in (
        lambda: assert_provider_received_action_type(sms, "x"),
        lambda: assert_provider_received_payload_value(sms, "x", 1),
    ):
        assert failing(check) == "provider should have been called"
    await sms.execute(action("sms", "first", {"to": "Ann"}))
    await sms.execute(action("sms", "second", {"to": None}))
    shown = [
        "  #1 tests/tenant-1 first payload={'to': 'Ann'}",
        "  #2 tests/tenant-1 second payload={'to': None}",
    ]

    assert assert_provider_received_action_type(sms, "second") is sms
    assert assert_provider_received_payload_value(sms, "to", None) is sms
    assert failing(assert_provider_received_action_type, sms, "first").splitlines() == [
        "expected action type 'first', got 'second'",
        *shown,
    ]
    assert failing(assert_provider_received_payload_value, sms, "to", "Ann").splitlines() == [
        "expected payload['to'] = 'Ann', got None",
        *shown,
    ]
    for key, value in (("cc", "Ann"), ("cc", None)):
        text = failing(assert_provider_received_payload_value, sms, key, value)
        assert text.splitlines()[0] == f"expected payload['cc'] = {value!r}, got nothing"
    await sms.execute(action("sms", payload=["to"]))
    text = failing(assert_provider_received_payload_value, sms, "to", "Ann")
    assert text.startswith("expected payload['to'] = 'Ann', got nothing")


async def test_they_hold_of_what_gateways_answer(
    simulation: Callable[..., SimulationHarness], action: Make
) -> None:
    rules = """
rules:
  - name: block
    condition: {field: action.action_type, eq: spam}
    action: {type: suppress}
  - name: elsewhere
    condition: {field: action.action_type, eq: urgent}
    action: {type: reroute, target_provider: sms}
  - name: few
    condition: {field: action.action_type, eq: bulk}
    action: {type: throttle, max_count: 1, window_seconds: 60}
"""
    async with simulation(rules=rules, providers=["email", "sms"]) as harness:
        assert_suppressed_by(await harness.dispatch(action(action_type="spam")), "block")
        assert_rerouted_to(await harness.dispatch(action(action_type="urgent")), "sms")
        assert_provider_received_action_type(harness.provider("sms"), "urgent")
        missing = await harness.dispatch(action("pager"))
        assert_failed_with(missing, code="PROVIDER_NOT_FOUND", attempts=0, retryable=False)
        assert_all_executed([await harness.dispatch(action(action_type="bulk"))])
        over = await harness.dispatch(action(action_type="bulk"))
        assert_throttled_for(over, timedelta(seconds=60))


def test_a_failed_assertion_points_at_the_line_of_the_test() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_provider_called(RecordingProvider("sms"), 1)

    assert [entry.path for entry in caught.traceback.filter(caught)] == [Path(__file__)]


class Unittested(SimulationAssertions, unittest.TestCase):
    """Run by the test below; the second method fails."""

    def passes(self) -> None:
        self.assert_suppressed_by(SUPPRESSED, "block-spam")
        self.assert_provider_not_called(RecordingProvider("sms"))

    def fails(self) -> None:
        self.assert_suppressed_by(SUPPRESSED, "other-rule")


def test_they_are_methods_of_a_unittest() -> None:
    result = unittest.TestResult()
    unittest.TestSuite([Unittested("passes"), Unittested("fails")]).run(result)

    assert (result.testsRun, len(result.failures), result.errors) == (2, 1, [])
    assert "expected suppression by 'other-rule', got 'block-spam'" in result.failures[0][1]


def test_the_mixin_has_every_function() -> None:
    functions = {name for name in vars(assertions) if name.startswith("assert_")}

    assert {name for name in vars(SimulationAssertions) if name.startswith("assert_")} == functions
    for name in functions:
        assert getattr(SimulationAssertions, name) is getattr(assertions, name)
