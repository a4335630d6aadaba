"""What answers say whose texts are written by other packages: for the documentation only."""

from collections.abc import Mapping
from typing import Any

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
    """

    records: tuple[AuditRecord, ...]
    total: int
    limit: int
    offset: int


@frozen(kw_only=True)
class AuditQuery:
    """Which records are wanted: those that fit all that is given, exactly.

    Attributes:
        limit: At most so many, 1 to 1000; 50 if it is not given.
        offset: So many are left out first.
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


@frozen(kw_only=True)
class Duration:
    """A length of time."""

    secs: int
    nanos: int


@frozen(kw_only=True)
class DryRun:
    """What would become of an action that was dispatched now.

    Attributes:
        verdict: What the rules decide.
        matched_rule: The rule that decides, if one does.
        would_be_provider: Who would be called; null if nobody would.
        outcome: How it would end if the provider took the call.
        retry_after: When the quota opens again, if it is used up.
    """

    verdict: str
    matched_rule: str | None = None
    would_be_provider: str | None = None
    outcome: str
    retry_after: Duration | None = None
