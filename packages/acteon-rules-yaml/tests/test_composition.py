"""Rules that act on one action together, each with its part."""

from datetime import UTC, datetime, timedelta

import pytest

from acteon.core import Action
from acteon.rules import (
    Decision,
    RuleParseError,
    RuleSet,
    WantedClaim,
    WantedQuota,
    WantedRoute,
    merge_patch,
)
from acteon.rules_yaml import YamlRuleFrontend

HOUR = timedelta(hours=1)
TOGETHER = """
rules:
  - name: once
    priority: 1
    condition: {field: action.action_type, eq: alert}
    action:
      type: deduplicate
      ttl_seconds: 3600
      key: "{{ action.payload.app }}:{{ action.payload.n }}"
    continue: true
  - name: three-an-hour
    priority: 2
    condition: {field: action.action_type, eq: alert}
    action: {type: throttle, max_count: 3, window_seconds: 3600, key: "{{ action.payload.to }}"}
    continue: true
  - name: by-night
    priority: 3
    timezone: Europe/Berlin
    condition:
      any:
        - {field: time.hour, gte: 22}
        - {field: time.hour, lt: 6}
    action:
      type: reroute
      target_provider: slack
      changes: {channel: "#night", to: null}
"""


def decide(text: str, *, now: datetime, payload: object) -> Decision:
    rules = RuleSet.compile(YamlRuleFrontend().parse(text).rules)
    action = Action(
        namespace="ns", tenant="t", provider="email", action_type="alert", payload=payload
    )
    return rules.decide(action, now=now)


def complaints(rule: str) -> list[str]:
    text = f"rules:\n  - name: r\n    condition: {{all: []}}\n{rule}"
    with pytest.raises(RuleParseError) as caught:
        YamlRuleFrontend().parse(text)
    return [problem.message for problem in caught.value.problems]


def test_rules_that_continue_act_together() -> None:
    payload = {"app": "shop", "n": 7, "to": "ann"}
    night = datetime(2025, 1, 1, 21, 30, tzinfo=UTC)  # 22:30 in Berlin
    decision = decide(TOGETHER, now=night, payload=payload)

    assert decision.claim == WantedClaim("once", "shop:7", HOUR)
    assert decision.quota == WantedQuota("three-an-hour", "ann", 3, HOUR)
    assert isinstance(decision.route, WantedRoute)
    assert decision.route.target == "slack"
    assert merge_patch(payload, decision.route.changes) == {
        "app": "shop",
        "n": 7,
        "channel": "#night",
    }
    assert [rule for rule, _ in decision.matched] == ["once", "three-an-hour", "by-night"]


def test_the_time_zone_is_that_of_the_rule() -> None:
    noon = datetime(2025, 7, 1, 19, 30, tzinfo=UTC)  # 21:30 in Berlin, where it is summer
    decision = decide(TOGETHER, now=noon, payload={"app": "a", "n": 1, "to": "b"})
    assert decision.route is None
    assert decision.quota is not None


def test_without_continue_the_first_that_matches_decides() -> None:
    alone = TOGETHER.replace("continue: true", "continue: false")
    decision = decide(alone, now=datetime.now(UTC), payload={"app": "a", "n": 1, "to": "b"})
    assert (decision.rule, decision.quota) == ("once", None)


@pytest.mark.parametrize("version", [1, 2])
def test_braces_themselves_are_written_in_a_placeholder(version: int) -> None:
    text = f"""
version: {version}
rules:
  - name: r
    condition: {{all: []}}
    action:
      type: deduplicate
      key: '{{{{ "{{{{" }}}} is {{{{ action.payload.to }}}} and {{{{"{{{{"}}}}b}}}}'
"""
    decision = decide(text, now=datetime.now(UTC), payload={"to": "ann"})
    assert decision.claim is not None
    assert decision.claim.key == "{{ is ann and {{b}}"


def test_braces_themselves_may_be_all_there_is() -> None:
    text = """
version: 2
rules:
  - name: r
    condition: {field: action.payload.to, eq: '{{ "{{" }}'}
    action: {type: modify, changes: {open: '{{ "{{" }}', whole: '{{ "{{" }}x}}'}}
"""
    decision = decide(text, now=datetime.now(UTC), payload={"to": "{{"})
    assert decision.payload == {"to": "{{", "open": "{{", "whole": "{{x}}"}


def test_a_key_may_be_the_same_for_all() -> None:
    text = """
rules:
  - name: r
    condition: {all: []}
    action: {type: throttle, max_count: 1, window_seconds: 3600, key: everything}
"""
    decision = decide(text, now=datetime.now(UTC), payload={})
    assert decision.quota == WantedQuota("r", "everything", 1, HOUR)


def test_a_key_is_a_text_whatever_its_field_is() -> None:
    text = """
rules:
  - name: r
    condition: {all: []}
    action: {type: deduplicate, key: "{{ action.payload.n }}"}
"""
    for start in ("", "version: 2\n"):
        decision = decide(start + text, now=datetime.now(UTC), payload={"n": 7})
        assert decision.claim == WantedClaim("r", "7", None)


def test_files_that_compose_have_no_warnings() -> None:
    assert YamlRuleFrontend().parse(TOGETHER, strict=True).warnings == ()


@pytest.mark.parametrize(
    ("rule", "messages"),
    [
        (
            "    action: {type: deny}\n    continue: true",
            ["`deny` decides, so that no rule after it is asked; leave it out"],
        ),
        (
            "    action: {type: modify, changes: {}}\n    continue: yes",
            ['wanted true or false, found the text "yes"; write true'],
        ),
        (
            "    action: {type: deny}\n    timezone: Europe/Berln",
            ["unknown time zone `Europe/Berln`; did you mean `Europe/Berlin`?"],
        ),
        (
            "    action: {type: deny}\n    timezone: ../../etc/passwd",
            ["unknown time zone `../../etc/passwd`; write it like Europe/Berlin"],
        ),
        ("    action: {type: deny}\n    timezone: [UTC]", ["wanted a text, found a list"]),
        (
            '    action: {type: deduplicate, key: "{{ action.id"}',
            ["unclosed template expression: missing '}}'"],
        ),
        (
            "    action: {type: throttle, max_count: 1, window_seconds: 1, key: 5}",
            ["wanted a text, found the number 5; put it in quotes"],
        ),
    ],
)
def test_what_is_no_part_of_a_composition_is_told(rule: str, messages: list[str]) -> None:
    assert complaints(rule) == messages


def test_a_folder_of_time_zones_is_none() -> None:
    (message,) = complaints("    action: {type: deny}\n    timezone: Europe")
    assert message.startswith("unknown time zone `Europe`; did you mean `Europe/")


def test_a_key_does_not_go_with_every_action() -> None:
    text = "rules: [{name: r, condition: {all: []}, action: {type: deny, key: x, changes: {}}}]"
    warnings = YamlRuleFrontend().parse(text).warnings
    assert [warning.message for warning in warnings] == [
        "ignored key: `key` does not go with `type: deny`",
        "ignored key: `changes` does not go with `type: deny`",
    ]
