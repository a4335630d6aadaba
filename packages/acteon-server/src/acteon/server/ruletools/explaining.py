"""`acteon-server rules explain`: what rules decide about an action, and why."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from attrs import field, frozen

from acteon.core import Action, ConfigError, format_instant
from acteon.rules import (
    Decision,
    Explanation,
    RuleExplanation,
    RuleResult,
    RuleSet,
    Seen,
    StateNotReadError,
    StateRead,
    explain,
    merge_patch,
)
from acteon.rules.stored import NEVER
from acteon.server.ruletools.durations import show_duration
from acteon.server.ruletools.tables import Row

MAX_READS: Final = 100
"""So often rules may ask for state entries that others named."""
MAX_SHOWN: Final = 80
HEADS: Final = ("RULE", "RESULT", "CLAUSE", "SAW")


@frozen(kw_only=True)
class Situation:
    """When and in what state an action meets the rules.

    Attributes:
        now: The instant.
        state: The state entries that there are; all others are absent.
    """

    now: datetime
    state: Mapping[StateRead, str] = field(factory=dict[StateRead, str])


@frozen(kw_only=True)
class Story:
    """What rules decide about an action, and why.

    Attributes:
        action: The action.
        now: The instant.
        explanation: What each rule had to do with it.
        absent: The state entries that rules read and nobody gave.
    """

    action: Action
    now: datetime
    explanation: Explanation
    absent: tuple[StateRead, ...]

    @property
    def decision(self) -> Decision | None:
        """What the rules decide; None if they fail."""
        return self.explanation.decision

    @property
    def provider(self) -> str | None:
        """Who would deliver the action, if nothing else holds it back; None if it is refused."""
        decision = self.decision
        if decision is None or decision.refused:
            return None
        return self.action.provider if decision.route is None else decision.route.target

    @property
    def payload(self) -> Any:
        """What would be delivered."""
        decision = self.decision
        if decision is None:
            return self.action.payload
        payload = decision.payload if decision.modified else self.action.payload
        if decision.route is not None and decision.route.changes:
            payload = merge_patch(payload, decision.route.changes)
        return payload

    def as_json(self) -> dict[str, Any]:
        """Return the story as JSON has it."""
        return {
            **self.explanation.as_json(),
            "now": format_instant(self.now),
            "provider": self.provider,
            "payload": None if self.provider is None else self.payload,
            "assumed_absent": [{"kind": read.kind, "id": read.id} for read in self.absent],
        }


def explain_action(rules: RuleSet, action: Action, situation: Situation) -> Story:
    """Return what `rules` decide about `action`, and why; nothing is done.

    Raises:
        ConfigError: The rules ask for ever more state entries.
    """
    state: dict[StateRead, str | None] = dict(situation.state)
    for _ in range(MAX_READS):
        try:
            explanation = explain(rules, action, now=situation.now, state=state)
        except StateNotReadError as needed:
            state.update(dict.fromkeys(needed.reads))
        else:
            absent = tuple(read for read in state if read not in situation.state)
            return Story(action=action, now=situation.now, explanation=explanation, absent=absent)
    raise ConfigError("the rules ask for ever more state entries")


def rule_rows(explanation: Explanation) -> list[Row]:
    """Return the rows of the table of rules, under `HEADS`."""
    return [
        (
            [rule.rule.name],
            [_result(rule)],
            [_cut(rule.clause or ""), *([rule.error] if rule.error else [])],
            [f"{seen.field} = {_seen(seen)}" for seen in rule.seen],
        )
        for rule in explanation.rules
    ]


def _seen(seen: Seen) -> str:
    if seen.value == NEVER and seen.field.startswith("state.since("):
        return "2^63-1 (never set)"
    return _shown(seen.value)


def headline(story: Story) -> str:
    """Return who wants what, and when."""
    action = story.action
    return (
        f"{action.action_type} by {action.provider} for {action.namespace}/{action.tenant} "
        f"at {format_instant(story.now)}"
    )


def _result(rule: RuleExplanation) -> str:
    words = rule.result.value.replace("_", " ")
    if rule.result in (RuleResult.DISABLED, RuleResult.NOT_REACHED):
        match rule.would_match:
            case True:
                words += ", would match"
            case False:
                words += ", would not match"
            case None:
                words += ", would fail" if rule.error else ""
    if rule.rule.shadow:
        words += " (shadow)"
    return f"{words}, decides" if rule.decides else words


def decision_lines(story: Story) -> list[str]:
    """Return in words what is decided."""
    error, decision = story.explanation.error, story.decision
    if decision is None:
        return [f"decision: none, the dispatch fails: {error}"]
    by = "no rule matches" if decision.rule is None else f"by rule {decision.rule!r}"
    lines = [f"decision: {decision.verdict}, {by}"]
    if decision.refused:
        lines.append("  it is not delivered")
    if decision.claim is not None:
        lines.append(f"  once per:  {_claim(story.action, decision)}")
    if decision.quota is not None:
        lines.append(f"  at most:   {_quota(decision)}")
    if story.provider is not None:
        via = f" (in place of {story.action.provider})" if decision.route else ""
        lines.append(f"  delivered: by {story.provider}{via}")
        lines.append(f"  payload:   {_shown(story.payload, 1000)}")
    for rule, verdict in decision.shadowed:
        lines.append(f"  shadow:    rule {rule!r} would {verdict}")
    for rule, text in decision.errors:
        lines.append(f"  failed:    rule {rule!r}: {text}")
    if story.absent:
        lines.append(f"not given, so taken for absent: {', '.join(map(_option, story.absent))}")
    return lines


def _claim(action: Action, decision: Decision) -> str:
    claim = decision.claim
    assert claim is not None
    lasts = "for ever" if claim.ttl is None else f"for {show_duration(claim.ttl)}"
    if claim.key is not None:
        return f"the key {_shown(claim.key)}, {lasts}"
    if action.dedup_key is not None:
        return f"its dedup_key {_shown(action.dedup_key)}, {lasts}"
    return f"its id, as it has no dedup_key; {lasts}"


def _quota(decision: Decision) -> str:
    quota = decision.quota
    assert quota is not None
    key = "" if quota.key is None else f" for the key {_shown(quota.key)}"
    return f"{quota.max_count} in {show_duration(quota.window)}{key}"


def _option(read: StateRead) -> str:
    return f"--{read.kind} {read.id}"


def _shown(value: Any, most: int = MAX_SHOWN) -> str:
    return _cut(json.dumps(value, ensure_ascii=False, sort_keys=True), most)


def _cut(text: str, most: int = MAX_SHOWN) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
