"""What answers say whose texts are written by other packages: for the documentation only."""

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen


@frozen(kw_only=True)
class AuditRecord:
    """What happened to one action, and why.

    Attributes:
        id: The record's own id, unique.
        action_id: The action's id.
        namespace: Of the action as it came, like the next three.
        verdict: What the rules decided: `allow`, `deny`, `deduplicate`, `suppress`, `reroute`,
            `throttle`, `modify`, or `error`.
        matched_rule: The rule that decided, if one did.
        outcome: `executed`, `deduplicated`, `suppressed`, `rerouted`, `throttled` or `failed`.
        action_payload: The payload as it came, redacted; null if payloads are not stored.
        verdict_details: The verdict, and all rules that matched.
        outcome_details: More on the outcome.
        metadata: The action's labels.
        dispatched_at: When the gateway took the action in.
        completed_at: When the outcome was known.
        duration_ms: The time between, in whole milliseconds.
        expires_at: When the record may be removed; null: never.
        caller_id: Who asked.
        auth_method: How that is known.
    """

    id: str
    action_id: str
    namespace: str
    tenant: str
    provider: str
    action_type: str
    verdict: str
    matched_rule: str | None = None
    outcome: str
    action_payload: Any = None
    verdict_details: Mapping[str, Any]
    outcome_details: Mapping[str, Any]
    metadata: Mapping[str, str]
    dispatched_at: str
    completed_at: str
    duration_ms: int
    expires_at: str | None = None
    caller_id: str
    auth_method: str


@frozen(kw_only=True)
class AuditPage:
    """Records, the newest first.

    Attributes:
        records: At most `limit` of them.
        total: How many there are on all pages together.
        limit: The limit that held.
        offset: How many were left out first.
        next_cursor: The cursor for what follows; null at the end.
    """

    records: tuple[AuditRecord, ...]
    total: int
    limit: int
    offset: int
    next_cursor: str | None


@frozen(kw_only=True)
class AuditQuery:
    """Which records are wanted: those that fit all that is given, exactly.

    Attributes:
        limit: At most so many, 1 to 1000; 50 if it is not given.
        offset: So many are left out first.
        cursor: `next_cursor` of an answer, in place of `offset`.
    """

    namespace: str | None = None
    tenant: str | None = None
    provider: str | None = None
    action_type: str | None = None
    outcome: str | None = None
    verdict: str | None = None
    matched_rule: str | None = None
    caller_id: str | None = None
    from_: str | None = None
    to: str | None = None
    limit: int | None = None
    offset: int | None = None
    cursor: str | None = None


@frozen(kw_only=True)
class Duration:
    """A length of time."""

    secs: int
    nanos: int


@frozen(kw_only=True)
class RuleAndVerdict:
    """A rule, and what it stands for."""

    rule: str
    verdict: str


@frozen(kw_only=True)
class DryRun:
    """What would become of an action that was dispatched now.

    Attributes:
        verdict: What the rules decide.
        matched_rule: The rule that decides, if one does.
        would_be_provider: Who would be called; null if nobody would.
        outcome: How it would end if the provider took the call.
        retry_after: When the quota opens again, if it is used up.
        shadowed: Rules in shadow mode that would have matched; left out if there are none.
    """

    verdict: str
    matched_rule: str | None = None
    would_be_provider: str | None = None
    outcome: str
    retry_after: Duration | None = None
    shadowed: tuple[RuleAndVerdict, ...] = ()


@frozen(kw_only=True)
class RuleDetails:
    """A rule in force, and what it has done since this process started.

    Attributes:
        name: Its name.
        priority: Rules are asked in ascending order of these.
        enabled: Whether it is asked at all.
        description: What its author says about it.
        file: Where it was read, or empty.
        line: Its line there, or 0.
        verdict: What follows when it matches.
        condition: When it matches, as people write it.
        continue_: Whether rules after it are asked as well when it matches.
        shadow: Whether it is only tried: counted and recorded, without any effect.
        on_error: What follows when it cannot be evaluated; null: what `[rules] on_error` says.
        timezone: Where `time` is told.
        matches: How often it matched; in shadow mode, would have.
        errors: How often it could not be evaluated.
    """

    name: str
    priority: int
    enabled: bool
    description: str | None
    file: str
    line: int
    verdict: str
    condition: str
    continue_: bool
    shadow: bool
    on_error: Literal["fail", "skip", "deny"] | None
    timezone: str
    matches: int
    errors: int


@frozen(kw_only=True)
class SeenValue:
    """Something that a condition looked at.

    Attributes:
        field: What it is, such as `action.payload.amount`.
        value: What it was; cut off if it is long.
    """

    field: str
    value: Any


@frozen(kw_only=True)
class RuleExplanation:
    """What one rule had to do with a decision.

    Attributes:
        rule: Its name.
        verdict: What follows when it matches.
        priority: Rules are asked in ascending order of these.
        file: Where it was read, or empty.
        line: Its line there, or 0.
        continue_: Whether rules after it are asked as well when it matches.
        shadow: Whether it is only tried.
        result: What became of it; `not_reached`: a rule before it decided.
        decides: Whether it ended the evaluation.
        clause: The part of its condition that decided about it, or failed.
        seen: What the condition looked at, in order.
        error: Why it could not be evaluated.
        would_match: Whether it would match if it were asked, for rules that were not.
    """

    rule: str
    verdict: str
    priority: int
    file: str
    line: int
    continue_: bool
    shadow: bool
    result: Literal["matched", "not_matched", "failed", "disabled", "not_reached"]
    decides: bool
    clause: str | None
    seen: tuple[SeenValue, ...]
    error: str | None
    would_match: bool | None


@frozen(kw_only=True)
class WouldBe:
    """What would become of an action.

    Attributes:
        outcome: How it would end if its provider took the call; `in_progress` while another one
            with its key is being delivered; `error` if it reached no outcome.
        provider: Who would be called; null if nobody would.
        payload: What that one would get.
        claim_key: What makes it the same as others, if that is asked.
        retry_after_seconds: When the quota opens again, if it is used up.
        error: Why it would reach no outcome.
        code: What kind of failure that is.
    """

    outcome: str
    provider: str | None
    payload: Any
    claim_key: str | None
    retry_after_seconds: int | None
    error: str | None
    code: str | None


@frozen(kw_only=True)
class EvaluateResponse:
    """What rules decide about an action, why, and what would become of it.

    Attributes:
        rules_version: Tells the rules from others.
        now: The instant that conditions saw.
        decision: What the rules decide: `verdict`, `rule`, `refused`, `matched`, and as far as
            there is any, `claim`, `quota`, `route`, the changed `payload`, `shadowed` rules and
            `errors`. Null if a rule fails, and the dispatch with it.
        would_be: What would become of the action.
        rules: What each rule had to do with it, in the order of evaluation.
        warnings: What is odd about the rules, if they were sent.
    """

    rules_version: str
    now: str
    decision: Mapping[str, Any] | None
    would_be: WouldBe
    rules: tuple[RuleExplanation, ...]
    warnings: tuple[str, ...]
