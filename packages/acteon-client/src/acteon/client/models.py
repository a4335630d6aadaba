"""What servers tell, other than outcomes.

Members that a server adds are ignored, so that newer ones can be asked.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

import msgspec
from attrs import field, frozen


class Told:
    """Something that a server tells, as JSON and back."""

    __slots__ = ()

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """Return what the decoded JSON object `told` says.

        Raises:
            msgspec.ValidationError: It is of another shape.
        """
        return msgspec.convert(told, cls)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it, with instants as texts."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        return told


@frozen(kw_only=True)
class Metrics(Told):
    """What the gateway counted since its process started."""

    dispatched: int = 0
    executed: int = 0
    deduplicated: int = 0
    suppressed: int = 0
    rerouted: int = 0
    throttled: int = 0
    failed: int = 0


@frozen
class Health(Told):
    """The process is alive."""

    status: str
    metrics: Metrics = field(factory=Metrics)


@frozen
class Ready(Told):
    """Whether all is there that dispatches need.

    Attributes:
        status: `ready`, or what the server says instead.
        checks: `ok`, or what is wrong, for each thing that was looked at.
    """

    status: str
    checks: Mapping[str, str] = field(factory=dict[str, str])

    @property
    def is_ready(self) -> bool:
        return self.status == "ready"


@frozen(kw_only=True)
class RuleInfo(Told):
    """A rule in force.

    Attributes:
        name: Its name.
        priority: Rules are asked in ascending order of these.
        enabled: Whether it is asked at all.
        description: What its author says about it.
    """

    name: str
    priority: int
    enabled: bool
    description: str | None = None


@frozen(kw_only=True)
class ReloadResult(Told):
    """The rules of a directory are in force.

    Attributes:
        loaded: How many there are.
        directory: Where they came from, if the server told.
        version: Tells them from others, if the server told.
        errors: What kept files from being loaded; empty on servers that load all or nothing.
        warnings: What is odd about the files.
    """

    loaded: int
    directory: str = ""
    version: str = ""
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@frozen(kw_only=True)
class RuleState(Told):
    """A rule is switched."""

    name: str
    enabled: bool


@frozen(kw_only=True)
class CallStatistics(Told):
    """How the calls of a provider went since the server started; times in milliseconds."""

    attempts: int = 0
    successes: int = 0
    success_rate: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    last_failure: datetime | None = None
    last_code: str | None = None


@frozen(kw_only=True)
class Circuit(Told):
    """Whether a provider is called.

    Attributes:
        state: `closed` while calls are made, `open` while none is, `half_open` while one is tried.
        failures: Calls that failed in a row.
        opened: How often it has opened.
        by_hand: Whether it was opened by hand; then it stays open until it is closed by hand.
        threshold: Failures in a row that open it; None if nothing but a hand does.
        fallback: Who delivers while it is not closed.
    """

    state: str
    failures: int = 0
    opened: int = 0
    by_hand: bool = False
    threshold: int | None = None
    fallback: str | None = None


@frozen(kw_only=True)
class ProviderLimits(Told):
    """How much a provider may be asked to do."""

    max_concurrent: int
    timeout_seconds: float
    max_retries: int
    max_per_second: float | None = None


@frozen(kw_only=True)
class ProviderInfo(Told):
    """A provider, as far as the server that was asked knows.

    Attributes:
        name: What actions and rules call it.
        type: What the configuration calls its type.
        idempotent: Whether a call without an answer may be repeated.
        members: Whom a group consists of; empty for all others.
        in_flight: Calls under way.
        waiting: Calls that wait for their turn.
        limits: Of its calls; None for a group, like the next two.
        circuit: Whether it is called.
        calls: How its calls went.
    """

    name: str
    type: str = ""
    idempotent: bool = False
    members: tuple[str, ...] = ()
    in_flight: int = 0
    waiting: int = 0
    limits: ProviderLimits | None = None
    circuit: Circuit | None = None
    calls: CallStatistics | None = None


@frozen(kw_only=True)
class ProviderHealth(Told):
    """How one provider is; `error` says why it is not healthy."""

    provider: str
    healthy: bool
    error: str | None = None
    calls: CallStatistics | None = None


@frozen(kw_only=True)
class ProvidersReloaded(Told):
    """The names of the providers that changed, and the sections that need a restart."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


@frozen(kw_only=True)
class AuditRecord(Told):
    """What happened to one action, and why.

    Attributes:
        id: The record's own id, unique.
        action_id: The action's id.
        namespace: Of the action as it came, like the next three.
        verdict: What the rules decided: `allow`, `deny`, `deduplicate`, `suppress`, `reroute`,
            `throttle`, `modify` or `error`.
        matched_rule: The rule that decided, if one did.
        outcome: `executed`, `deduplicated`, `suppressed`, `rerouted`, `throttled` or `failed`.
        action_payload: The payload as it came, redacted; None if payloads are not stored.
        verdict_details: The verdict, and all rules that matched.
        outcome_details: More on the outcome.
        metadata: The action's labels.
        dispatched_at: When the gateway took the action in.
        completed_at: When the outcome was known.
        duration_ms: The time between, in whole milliseconds.
        expires_at: When the record may be removed; None: never.
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
    verdict_details: Any = None
    outcome_details: Any = None
    metadata: Any = field(factory=dict[str, str])
    dispatched_at: datetime
    completed_at: datetime | None = None
    duration_ms: int = 0
    expires_at: datetime | None = None
    caller_id: str = ""
    auth_method: str = ""


@frozen(kw_only=True)
class AuditPage(Told):
    """Records, the newest first.

    Attributes:
        records: At most `limit` of them.
        total: How many there are on all pages together, if the server counts.
        limit: The limit that held.
        offset: How many were left out first.
        next_cursor: The cursor for what follows; None at the end, and from servers without cursors.
    """

    records: tuple[AuditRecord, ...]
    total: int | None = None
    limit: int
    offset: int = 0
    next_cursor: str | None = None


@frozen(kw_only=True)
class ReplayItem(Told):
    """What became of a past action that was to be sent again.

    Attributes:
        action_id: The past action's `id`.
        new_action_id: The `id` under which it was sent; None if it was not.
        success: Whether it was sent, or would be, and did not fail.
        outcome: How it ended, or would; None if it was not sent, or reached no outcome.
        error: What went wrong, or why it was not sent.
        code: What kind of failure that is.
    """

    action_id: str
    new_action_id: str | None = None
    success: bool
    outcome: str | None = None
    error: str | None = None
    code: str | None = None


@frozen(kw_only=True)
class ReplayResult(Told):
    """What became of past actions that were to be sent again; counts are of this answer.

    Attributes:
        replayed: How many were sent, or would be, and did not fail.
        failed: How many were sent and failed, or reached no outcome.
        skipped: How many were not sent: their payloads are not there, or not whole.
        total: How many records fit, in this answer and others.
        next_cursor: The cursor for those that follow, which are older; None if there are none.
        dry_run: Whether nothing was done.
        results: What became of each, the oldest first.
    """

    replayed: int
    failed: int
    skipped: int
    total: int | None = None
    next_cursor: str | None = None
    dry_run: bool = False
    results: tuple[ReplayItem, ...] = ()


@frozen
class EraseResult(Told):
    """How many records that fit had a payload, and how many payloads were removed."""

    matched: int
    erased: int


@frozen
class DeadLetterStats(Told):
    """Whether dead letters are kept, and how many there are."""

    enabled: bool
    count: int


@frozen(kw_only=True)
class DeadLetter(Told):
    """An action that could not be delivered.

    Attributes:
        action_id: The action's `id`.
        namespace: Of the action, like the next three.
        target: Who was to deliver it, if the server told.
        error: Why the last attempt failed.
        code: What kind of failure that was, if the server told.
        attempts: How many attempts were made.
        timestamp: When it was given up, in Unix seconds.
        payload: As the provider was to have it.
        metadata: The action's.
        dedup_key: The action's.
        created_at: The action's, if the server told.
    """

    action_id: str
    namespace: str
    tenant: str
    provider: str
    action_type: str
    target: str = ""
    error: str
    code: str = ""
    attempts: int
    timestamp: int
    payload: Any = None
    metadata: Mapping[str, str] = field(factory=dict[str, str])
    dedup_key: str | None = None
    created_at: str | None = None


@frozen
class Login(Told):
    """Somebody has signed in.

    Attributes:
        token: What the client sends along from now on.
        expires_in: Seconds for which it is good.
    """

    token: str = field(repr=False)
    expires_in: int
