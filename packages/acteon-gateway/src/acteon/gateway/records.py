"""Telling the audit trail what happened, and why."""

from datetime import datetime
from typing import Any

from attrs import define, field

from acteon.audit import AuditRecord, AuditTrail
from acteon.core import (
    Action,
    ActionOutcome,
    Caller,
    Clock,
    Executed,
    Failed,
    Rerouted,
    Suppressed,
    Throttled,
    encode_told,
    new_id,
)
from acteon.executor import Progress
from acteon.gateway.places import Place
from acteon.rules import Decision


@define(eq=False)
class Story:
    """One dispatch on its way through the pipeline: what the audit record is made of.

    Attributes:
        action: As it came.
        caller: Who asked.
        dispatched_at: When it came.
        started: The same on the monotonic clock.
        place: Where it stands among those of its batch, if it is one of a batch.
        decision: What the rules decided, once they have.
        progress: How far its delivery has come, once there is one.
        notes: What else is worth telling beside the verdict.
    """

    action: Action
    caller: Caller
    dispatched_at: datetime
    started: float
    place: Place | None = None
    decision: Decision | None = None
    progress: Progress | None = None
    notes: dict[str, Any] = field(factory=dict[str, Any])


def make_record(
    story: Story, outcome: ActionOutcome, trail: AuditTrail, clock: Clock
) -> AuditRecord:
    """Return the record of a dispatch that ended in `outcome`; never fails."""
    action = story.action
    decision = story.decision
    return AuditRecord(
        id=new_id(),
        action_id=action.id,
        namespace=action.namespace,
        tenant=action.tenant,
        provider=action.provider,
        action_type=action.action_type,
        verdict="error" if decision is None else decision.verdict,
        matched_rule=None if decision is None else decision.rule,
        outcome=outcome.tag,
        action_payload=trail.payload(action.payload),
        verdict_details=_verdict_details(story),
        outcome_details=encode_told(_outcome_details(story, outcome)),
        metadata=encode_told(dict(action.metadata)) if action.metadata else b"{}",
        dispatched_at=story.dispatched_at,
        completed_at=clock.now(),
        duration_ms=int((clock.monotonic() - story.started) * 1000),
        expires_at=trail.expiry(story.dispatched_at),
        caller_id=story.caller.id,
        auth_method=story.caller.auth_method,
    )


_PLAIN_ALLOW = encode_told({"verdict": "allow"})


def _verdict_details(story: Story) -> bytes:
    decision = story.decision
    if decision is None:
        return encode_told({"verdict": "error", **story.notes})
    if not (decision.matched or decision.errors or story.notes):
        return _PLAIN_ALLOW
    details: dict[str, Any] = {"verdict": decision.verdict, **story.notes}
    if decision.matched:
        details["matched_rules"] = [
            {"rule": rule, "verdict": verdict} for rule, verdict in decision.matched
        ]
    if decision.errors:
        details["rule_errors"] = [{"rule": rule, "error": error} for rule, error in decision.errors]
    return encode_told(details)


def _outcome_details(story: Story, outcome: ActionOutcome) -> dict[str, Any]:
    match outcome:
        case Executed(response):
            return {"status": response.status.value.capitalize()}
        case Rerouted(original, new, response):
            return {
                "original_provider": original,
                "new_provider": new,
                "status": response.status.value.capitalize(),
            }
        case Failed():
            details: dict[str, Any] = {
                "code": outcome.code,
                "message": outcome.message,
                "retryable": outcome.retryable,
                "attempts": outcome.attempts,
            }
            if story.decision is not None and story.decision.route is not None:
                details["new_provider"] = story.decision.route.target
            return details
        case Suppressed(rule):
            return {"rule": rule}
        case Throttled(retry_after):
            return {"retry_after_secs": int(retry_after.total_seconds())}
        case _:
            return {}
