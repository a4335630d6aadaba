"""Telling the audit trail what happened, and why."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, cast

from attrs import define

from acteon.audit import AuditRecord, AuditTrail
from acteon.core import (
    Action,
    ActionOutcome,
    Caller,
    Clock,
    Executed,
    Failed,
    Rerouted,
    ResponseStatus,
    Suppressed,
    Throttled,
    encode_told,
    new_id,
)
from acteon.executor import Progress
from acteon.gateway.places import Place
from acteon.gateway.refusals import decided_by
from acteon.rules import Decision, MatchedRule

REDACTED: Final = "redacted"
"""In the details of a verdict: that something of the action is blotted out."""


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
    notes: dict[str, Any] | None = None

    def note(self, name: str, value: Any) -> None:
        """Add something that is worth telling."""
        if self.notes is None:
            self.notes = {}
        self.notes[name] = value


def make_record(
    story: Story, outcome: ActionOutcome, trail: AuditTrail, clock: Clock
) -> AuditRecord:
    """Return the record of a dispatch that ended in `outcome`; never fails."""
    action = story.action
    decision = story.decision
    verdict, rule = ("error", None) if decision is None else decided_by(decision, outcome)
    payload, labels = trail.payload(action.payload), trail.labels(action.metadata)
    redacted = payload.redacted or labels.redacted
    return AuditRecord(
        id=new_id(),
        action_id=action.id,
        namespace=action.namespace,
        tenant=action.tenant,
        provider=action.provider,
        action_type=action.action_type,
        verdict=verdict,
        matched_rule=rule,
        outcome=outcome.tag,
        action_payload=payload.json,
        verdict_details=_verdict_details(story, verdict, trail, redacted=redacted),
        outcome_details=(
            _EXECUTED[outcome.response.status]
            if isinstance(outcome, Executed)
            else encode_told(_outcome_details(story, outcome, trail))
        ),
        metadata=labels.json or b"{}",
        dispatched_at=story.dispatched_at,
        completed_at=clock.now(),
        duration_ms=int((clock.monotonic() - story.started) * 1000),
        expires_at=trail.expiry(story.dispatched_at),
        caller_id=story.caller.id,
        auth_method=story.caller.auth_method,
    )


def _verdict_details(story: Story, verdict: str, trail: AuditTrail, *, redacted: bool) -> bytes:
    decision = story.decision
    address = story.caller.address
    if decision is not None and not (decision.errors or decision.shadowed or story.notes):
        return _plain_verdict(verdict, decision.matched, address, redacted)
    hide = hiding_of(story, trail)
    notes = {name: _without(value, hide) for name, value in (story.notes or {}).items()}
    if decision is None:
        return encode_told({**_verdict("error", (), address, redacted), **notes})
    details = {**_verdict(verdict, decision.matched, address, redacted), **notes}
    if decision.shadowed:
        details["shadow_rules"] = _named(decision.shadowed)
    if decision.errors:
        details["rule_errors"] = [
            {"rule": rule, "error": hide(error)} for rule, error in decision.errors
        ]
    return encode_told(details)


def hiding_of(story: Story, trail: AuditTrail) -> Callable[[str], str]:
    """Return what takes the secrets of the action out of texts about it."""
    return trail.hiding(lambda: _payloads(story), story.action.metadata)


def _payloads(story: Story) -> Iterator[Any]:
    """Yield all that was in the payload on its way to the provider."""
    yield story.action.payload
    decision = story.decision
    if decision is not None and decision.modified:
        yield decision.payload
    if decision is not None and decision.route is not None:
        yield decision.route.changes


def _without(value: Any, hide: Callable[[str], str]) -> Any:
    """Return a note without secrets: names of rules and providers stay as they are."""
    match value:
        case str():
            return hide(value)
        case dict():
            members = cast("dict[str, Any]", value)
            return {**members, "error": hide(members["error"])} if "error" in members else members
        case _:
            return [_without(each, hide) for each in value]


def _verdict(
    verdict: str, matched: tuple[MatchedRule, ...], address: str, redacted: bool
) -> dict[str, Any]:
    details: dict[str, Any] = {"verdict": verdict}
    if matched:
        details["matched_rules"] = _named(matched)
    if address:
        details["caller_address"] = address
    if redacted:
        details[REDACTED] = True
    return details


def _named(rules: tuple[MatchedRule, ...]) -> list[dict[str, str]]:
    return [{"rule": rule, "verdict": verdict} for rule, verdict in rules]


@lru_cache(maxsize=1024)  # There are few rules and callers, and they come again and again.
def _plain_verdict(
    verdict: str, matched: tuple[MatchedRule, ...], address: str, redacted: bool
) -> bytes:
    return encode_told(_verdict(verdict, matched, address, redacted))


_EXECUTED: Final = {
    status: encode_told({"status": status.value.capitalize()}) for status in ResponseStatus
}


def _outcome_details(story: Story, outcome: ActionOutcome, trail: AuditTrail) -> dict[str, Any]:
    match outcome:
        case Rerouted(original, new, response):
            return {
                "original_provider": original,
                "new_provider": new,
                "status": response.status.value.capitalize(),
            }
        case Failed():
            details: dict[str, Any] = {
                "code": outcome.code,
                "message": hiding_of(story, trail)(outcome.message),
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
