"""What tests insist on beyond the kind of an outcome.

All functions raise an `AssertionError` whose text says what was expected and what was got, and
return what they were given, so that a test can go on with it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from operator import methodcaller
from typing import Any, cast

from acteon.core import (
    ActeonError,
    Action,
    ActionOutcome,
    Executed,
    Failed,
    Rerouted,
    Suppressed,
    Throttled,
)
from acteon.simulation.providers import RecordingProvider

# Has pytest end the traceback of a failed assertion at the line of the test.
__tracebackhide__ = methodcaller("errisinstance", AssertionError)


def assert_suppressed_by(outcome: ActionOutcome, rule: str) -> Suppressed:
    """Insist on `rule` having held the action back."""
    suppressed = outcome.assert_suppressed()
    if suppressed.rule != rule:
        raise AssertionError(f"expected suppression by '{rule}', got '{suppressed.rule}'")
    return suppressed


def assert_rerouted_to(outcome: ActionOutcome, provider: str) -> Rerouted:
    """Insist on the action having gone to `provider` instead."""
    rerouted = outcome.assert_rerouted()
    if rerouted.new_provider != provider:
        raise AssertionError(f"expected reroute to '{provider}', got '{rerouted.new_provider}'")
    return rerouted


def assert_throttled_for(outcome: ActionOutcome, at_most: timedelta) -> Throttled:
    """Insist on a quota being used up that opens again within `at_most`."""
    throttled = outcome.assert_throttled()
    if throttled.retry_after > at_most:
        raise AssertionError(f"expected a wait of at most {at_most}, got {throttled.retry_after}")
    return throttled


def assert_failed_with(outcome: ActionOutcome, **members: Any) -> Failed:
    """Insist on a failure with these members: `code`, `retryable`, `attempts`, `message`."""
    failed = outcome.assert_failed()
    for name, expected in members.items():
        if getattr(failed, name) != expected:
            raise AssertionError(
                f"expected a failure with {name}={expected!r}, got {getattr(failed, name)!r}: "
                f"{failed!r}"
            )
    return failed


def assert_all_executed(results: Sequence[ActionOutcome | ActeonError]) -> list[Executed]:
    """Insist on every action of a batch having been executed."""
    executed: list[Executed] = []
    for number, result in enumerate(results):
        if not isinstance(result, Executed):
            raise AssertionError(f"outcome {number}: expected Executed, got {result!r}")
        executed.append(result)
    return executed


def assert_all_succeeded(results: Sequence[ActionOutcome | ActeonError]) -> list[ActionOutcome]:
    """Insist on every action of a batch having an outcome, whatever it is."""
    outcomes: list[ActionOutcome] = []
    for number, result in enumerate(results):
        if isinstance(result, ActeonError):
            raise AssertionError(f"outcome {number}: expected an outcome, got {result!r}")
        outcomes.append(result)
    return outcomes


def assert_provider_called(provider: RecordingProvider, count: int) -> RecordingProvider:
    """Insist on exactly `count` calls."""
    provider.assert_called(count)
    return provider


def assert_provider_not_called(provider: RecordingProvider) -> RecordingProvider:
    """Insist on there being no call."""
    provider.assert_not_called()
    return provider


def assert_provider_received_action_type(
    provider: RecordingProvider, action_type: str
) -> RecordingProvider:
    """Insist on the last call's action being of that type."""
    got = _last_action(provider).action_type
    if got != action_type:
        raise AssertionError(f"expected action type '{action_type}', got '{got}'{provider.told()}")
    return provider


def assert_provider_received_payload_value(
    provider: RecordingProvider, key: str, value: Any
) -> RecordingProvider:
    """Insist on the last call's payload having `value` as its member `key`."""
    payload = _last_action(provider).payload
    members: Mapping[str, Any] = {}
    if isinstance(payload, Mapping):
        members = cast("Mapping[str, Any]", payload)
    if key not in members or members[key] != value:
        got = repr(members[key]) if key in members else "nothing"
        raise AssertionError(f"expected payload['{key}'] = {value!r}, got {got}{provider.told()}")
    return provider


def _last_action(provider: RecordingProvider) -> Action:
    last = provider.last_action
    if last is None:
        raise AssertionError("provider should have been called")
    return last


class SimulationAssertions:
    """The same as methods, for tests that are classes: `class TestX(SimulationAssertions, …)`."""

    assert_suppressed_by = staticmethod(assert_suppressed_by)
    assert_rerouted_to = staticmethod(assert_rerouted_to)
    assert_throttled_for = staticmethod(assert_throttled_for)
    assert_failed_with = staticmethod(assert_failed_with)
    assert_all_executed = staticmethod(assert_all_executed)
    assert_all_succeeded = staticmethod(assert_all_succeeded)
    assert_provider_called = staticmethod(assert_provider_called)
    assert_provider_not_called = staticmethod(assert_provider_not_called)
    assert_provider_received_action_type = staticmethod(assert_provider_received_action_type)
    assert_provider_received_payload_value = staticmethod(assert_provider_received_payload_value)
