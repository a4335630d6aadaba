"""One dispatch, as the audit trail tells it."""

from datetime import datetime
from typing import Any, Final

import msgspec
from attrs import frozen

from acteon.core import encode_json, format_instant

_SHELL: Final = 1024
"""About so many bytes a record takes of which all members are short."""


@frozen(kw_only=True)
class AuditRecord:
    """What happened to one action, and why. The four JSON members are kept as encoded texts.

    Attributes:
        id: The record's own id, unique: writing a record again changes nothing.
        action_id: The action's id; one record for every dispatch of it.
        namespace: Of the action as it came, like the next three.
        tenant: …
        provider: …
        action_type: …
        verdict: What the rules decided: `allow`, `deny`, `deduplicate`, `suppress`, `reroute`,
            `throttle`, `modify`, or `error`.
        matched_rule: The rule that decided, if one did.
        outcome: `executed`, `deduplicated`, `suppressed`, `rerouted`, `throttled` or `failed`.
        action_payload: The payload as it came, redacted; None if payloads are not stored.
        verdict_details: An object: the verdict, and all rules that matched.
        outcome_details: An object: more on the outcome.
        metadata: An object: the action's labels.
        dispatched_at: When the gateway took the action in.
        completed_at: When the outcome was known.
        duration_ms: The time between, in whole milliseconds.
        expires_at: When clean-up may remove the record; None: never.
        caller_id: Who asked.
        auth_method: How we know that.
    """

    id: str
    action_id: str
    namespace: str
    tenant: str
    provider: str
    action_type: str
    verdict: str
    matched_rule: str | None
    outcome: str
    action_payload: bytes | None
    verdict_details: bytes
    outcome_details: bytes
    metadata: bytes
    dispatched_at: datetime
    completed_at: datetime
    duration_ms: int
    expires_at: datetime | None
    caller_id: str = ""
    auth_method: str = ""

    @property
    def size(self) -> int:
        """About how many bytes of memory the record takes."""
        payload = self.action_payload
        return (
            _SHELL
            + (0 if payload is None else len(payload))
            + len(self.verdict_details)
            + len(self.outcome_details)
            + len(self.metadata)
            + len(self.action_id)
            + len(self.namespace)
            + len(self.tenant)
            + len(self.provider)
            + len(self.action_type)
        )

    def to_json(self) -> bytes:
        """Return the record as one JSON object with sorted keys; all members are always there."""
        payload = self.action_payload
        expires = self.expires_at
        members: dict[str, Any] = {
            "action_id": self.action_id,
            "action_payload": None if payload is None else msgspec.Raw(payload),
            "action_type": self.action_type,
            "auth_method": self.auth_method,
            "caller_id": self.caller_id,
            "completed_at": format_instant(self.completed_at),
            "dispatched_at": format_instant(self.dispatched_at),
            "duration_ms": self.duration_ms,
            "expires_at": None if expires is None else format_instant(expires),
            "id": self.id,
            "matched_rule": self.matched_rule,
            "metadata": msgspec.Raw(self.metadata),
            "namespace": self.namespace,
            "outcome": self.outcome,
            "outcome_details": msgspec.Raw(self.outcome_details),
            "provider": self.provider,
            "tenant": self.tenant,
            "verdict": self.verdict,
            "verdict_details": msgspec.Raw(self.verdict_details),
        }
        return encode_json(members)
