"""Records of what was done to a gateway, rather than by it: of no dispatch."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from attrs import field, frozen

from acteon.audit.record import AuditRecord
from acteon.core import NOBODY, Caller, encode_told, new_id


class Act(Enum):
    """Kinds of administrative acts; the value is the action type of its records."""

    ERASE = "audit.erase"
    REPLAY = "audit.replay"
    RELOAD_RULES = "rules.reload"
    SWITCH_RULE = "rules.switch"
    RELOAD_PROVIDERS = "providers.reload"
    SWITCH_CIRCUIT = "providers.circuit"
    DRAIN_DEAD_LETTERS = "dead_letters.drain"
    LOG_IN = "auth.login"
    LOG_OUT = "auth.logout"


_TYPES = frozenset(act.value for act in Act)


@frozen(kw_only=True)
class Done:
    """An administrative act, as a record tells it.

    Attributes:
        act: What kind it is of.
        caller: Who did it.
        at: When it began.
        took: How long it took.
        details: What there is to tell: no secrets.
        namespace: The one that it was confined to, or `""`.
        tenant: Likewise.
        error: Why it failed, if it did; a text without secrets.
    """

    act: Act
    caller: Caller = NOBODY
    at: datetime
    took: timedelta = timedelta(0)
    details: Mapping[str, Any] = field(factory=dict[str, Any])
    namespace: str = ""
    tenant: str = ""
    error: str | None = None

    def record(self, expires_at: datetime | None) -> AuditRecord:
        """Return the record of it; it has neither provider nor payload, as no dispatch's has."""
        details = dict(self.details)
        if self.error is not None:
            details["error"] = self.error
        verdict: dict[str, Any] = {"verdict": "allow"}
        if self.caller.address:
            verdict["caller_address"] = self.caller.address
        return AuditRecord(
            id=new_id(),
            action_id=new_id(),
            namespace=self.namespace,
            tenant=self.tenant,
            provider="",
            action_type=self.act.value,
            verdict="allow",
            matched_rule=None,
            outcome="executed" if self.error is None else "failed",
            action_payload=None,
            verdict_details=encode_told(verdict),
            outcome_details=encode_told(details),
            metadata=b"{}",
            dispatched_at=self.at,
            completed_at=self.at + self.took,
            duration_ms=int(self.took.total_seconds() * 1000),
            expires_at=expires_at,
            caller_id=self.caller.id,
            auth_method=self.caller.auth_method,
        )


def is_administrative(record: AuditRecord) -> bool:
    """Return whether `record` tells of an administrative act: of no dispatch."""
    return record.action_type in _TYPES and not record.provider and record.action_payload is None
