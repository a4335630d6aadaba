"""Telling why the rules decide what they decide about an action."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from attrs import define, frozen

from acteon.core import Action
from acteon.rules.context import Context
from acteon.rules.decision import Decision, StateNotReadError, StateRead, StateValues
from acteon.rules.described import describe
from acteon.rules.engine import RuleSet
from acteon.rules.errors import EvaluationError
from acteon.rules.expression import Expression
from acteon.rules.findings import computed_by
from acteon.rules.kinds import is_list, is_map
from acteon.rules.merge import merge_patch
from acteon.rules.rule import Modify, OnRuleError, Rule
from acteon.rules.walker import Walker

MAX_SHOWN: Final = 200
"""Longer texts, lists and maps that a condition saw are cut off."""
_TOO_DEEP: Final = "evaluation error: values are nested too deeply"


class RuleResult(Enum):
    """What became of a rule."""

    MATCHED = "matched"
    NOT_MATCHED = "not_matched"
    FAILED = "failed"
    """Its condition, or what its effect works out, has no value."""
    DISABLED = "disabled"
    NOT_REACHED = "not_reached"
    """A rule before it ended the evaluation."""


@frozen
class Seen:
    """Something that a condition looked at.

    Attributes:
        field: What it is: `action.payload.amount`.
        value: Its value, as JSON has it.
    """

    field: str
    value: Any


@frozen(kw_only=True)
class RuleExplanation:
    """What one rule had to do with a decision.

    Attributes:
        rule: The rule.
        result: What became of it.
        decides: Whether it ended the evaluation, so that later rules were not asked.
        clause: The part of its condition that decided, or failed; None if it was not evaluated.
        seen: What the condition looked at, in order.
        error: Why it has no value.
        would_match: Whether it would match if it were asked, for rules that were not; None if that
            cannot be told.
    """

    rule: Rule
    result: RuleResult
    decides: bool = False
    clause: str | None = None
    seen: tuple[Seen, ...] = ()
    error: str | None = None
    would_match: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the explanation as JSON has it."""
        rule = self.rule
        return {
            "rule": rule.name,
            "verdict": rule.effect.verdict,
            "priority": rule.priority,
            "file": rule.source,
            "line": rule.line,
            "continue": rule.continues,
            "shadow": rule.shadow,
            "result": self.result.value,
            "decides": self.decides,
            "clause": self.clause,
            "seen": [{"field": each.field, "value": each.value} for each in self.seen],
            "error": self.error,
            "would_match": self.would_match,
        }


@frozen(kw_only=True)
class Explanation:
    """Why the rules decide what they decide about an action.

    Attributes:
        decision: What they decide; None if a rule failed, and the dispatch with it.
        error: That failure.
        rules: What each rule had to do with it, in the order of evaluation.
    """

    decision: Decision | None
    error: EvaluationError | None
    rules: tuple[RuleExplanation, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the explanation as JSON has it."""
        return {
            "decision": None if self.decision is None else decision_json(self.decision),
            "error": None if self.error is None else str(self.error),
            "rules": [rule.as_json() for rule in self.rules],
        }


def explain(
    rules: RuleSet, action: Action, *, now: datetime, state: StateValues | None = None
) -> Explanation:
    """Return why `rules` decide what they decide about `action`; nothing is done.

    All rules are evaluated, also those that are disabled or come after the one that decides.

    Args:
        rules: The rules.
        action: What is to be done.
        now: The instant that conditions see; aware.
        state: The entries that were read; None if none were.

    Raises:
        StateNotReadError: A rule needs an entry that `state` lacks.
    """
    given: StateValues = {} if state is None else state
    decision: Decision | None = None
    error: EvaluationError | None = None
    try:
        decision = rules.decide(action, now=now, state=given)
    except EvaluationError as failure:
        error = failure
    wanted = [read for read in rules.all_reads if read not in given]
    if wanted:
        raise StateNotReadError(tuple(wanted))
    told = _Told(rules, action, now, given)
    return Explanation(
        decision=decision,
        error=error,
        rules=tuple([told.about(rule) for rule in rules.rules]),
    )


@define(eq=False)
class _Told:
    """Goes through rules one after the other, as the engine does, without its short cuts."""

    rules: RuleSet
    action: Action
    now: datetime
    state: StateValues
    payload: Any = None
    ended: bool = False

    def __attrs_post_init__(self) -> None:
        self.payload = self.action.payload

    def about(self, rule: Rule) -> RuleExplanation:
        reads: tuple[StateRead, ...] = ()
        context = Context(self.action, self.payload, self.now, self.state, reads)
        walker = Walker(context, self.rules.environment, rule.timezone)
        asked = rule.enabled and not self.ended
        matches: bool | None = None
        failure: str | None = None
        try:
            matches = walker.decide(rule.condition)
            if matches:
                self._apply(rule, walker, asked=asked)
        except StateNotReadError:
            if asked:
                raise
        except EvaluationError as error:
            error.rule = ""
            failure = str(error)
        except RecursionError:
            failure = _TOO_DEEP
        if not asked:
            result = RuleResult.NOT_REACHED if rule.enabled else RuleResult.DISABLED
        elif failure is not None:
            result = RuleResult.FAILED
        else:
            result = RuleResult.MATCHED if matches else RuleResult.NOT_MATCHED
        decides = asked and self._ends(rule, result)
        self.ended = self.ended or decides
        return RuleExplanation(
            rule=rule,
            result=result,
            decides=decides,
            clause=None if walker.clause is None else describe(walker.clause),
            seen=tuple([Seen(field, shortened(value)) for field, value in walker.seen.items()]),
            error=failure,
            would_match=None if asked or failure is not None else matches,
        )

    def _apply(self, rule: Rule, walker: Walker, *, asked: bool) -> None:
        """Work out what the effect of a rule that matches needs, and let later rules see it."""
        computed = computed_by(rule)
        value = None if computed is None else walker.evaluate(computed)
        if asked and not rule.shadow and isinstance(rule.effect, Modify):
            changes = rule.effect.changes
            if isinstance(changes, Expression):
                changes = value
            self.payload = merge_patch(self.payload, changes)

    def _ends(self, rule: Rule, result: RuleResult) -> bool:
        if rule.shadow:
            return False
        if result is RuleResult.FAILED:
            return (rule.on_error or self.rules.on_error) is not OnRuleError.SKIP
        return result is RuleResult.MATCHED and not rule.continues


def shortened(value: Any) -> Any:
    """Return `value` as JSON, cut off where it is long."""
    if isinstance(value, str):
        return value if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]}…"
    if is_list(value):
        shown = [shortened(item) for item in value[:MAX_SHOWN]]
        return shown if len(value) <= MAX_SHOWN else [*shown, f"… {len(value) - MAX_SHOWN} more"]
    if is_map(value):
        members = list(value.items())
        kept = {shortened(name): shortened(member) for name, member in members[:MAX_SHOWN]}
        more = len(members) - MAX_SHOWN
        return kept if more <= 0 else {**kept, "…": f"{more} more"}
    return value


def decision_json(decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON has it; what it does not hold is left out."""
    members: dict[str, Any] = {
        "verdict": decision.verdict,
        "rule": decision.rule,
        "refused": decision.refused,
        "matched": _matched_json(decision.matched),
    }
    if decision.claim is not None:
        claim = decision.claim
        members["claim"] = {
            "rule": claim.rule,
            "key": claim.key,
            "ttl_seconds": _seconds(claim.ttl),
        }
    if decision.quota is not None:
        quota = decision.quota
        members["quota"] = {
            "rule": quota.rule,
            "key": quota.key,
            "max_count": quota.max_count,
            "window_seconds": _seconds(quota.window),
        }
    if decision.route is not None:
        route = decision.route
        members["route"] = {
            "rule": route.rule,
            "target_provider": route.target,
            "changes": route.changes,
        }
    if decision.modified:
        members["payload"] = decision.payload
    if decision.shadowed:
        members["shadowed"] = _matched_json(decision.shadowed)
    if decision.errors:
        members["errors"] = [{"rule": rule, "error": error} for rule, error in decision.errors]
    return members


def _matched_json(matched: Iterable[tuple[str, str]]) -> list[Mapping[str, str]]:
    return [{"rule": rule, "verdict": verdict} for rule, verdict in matched]


def _seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else int(duration.total_seconds())
