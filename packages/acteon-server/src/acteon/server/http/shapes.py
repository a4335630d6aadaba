"""What requests and answers say: the classes that decode them, encode them and document them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from attrs import field, frozen
from msgspec import UNSET, Meta, UnsetType


@frozen(kw_only=True)
class ErrorResponse:
    """Why a request was not answered as asked.

    Attributes:
        error: What is wrong, for people.
        code: What kind of failure it is, in capitals.
        message: The same as `error`.
        retryable: Whether the same request may succeed later.
    """

    error: str
    code: str
    message: str
    retryable: bool


@frozen(kw_only=True)
class RateLimitedResponse(ErrorResponse):
    """Too many requests.

    Attributes:
        retry_after: Seconds after which to try again.
        limit: The most requests in a window; left out where it is the limit of a tenant.
    """

    retry_after: int
    limit: int | UnsetType = UNSET


@frozen(kw_only=True)
class MetricsResponse:
    """What the gateway counted since this process started.

    Attributes:
        dispatched: Dispatches begun, those that ended in an error included.
        executed: Actions that their own provider took.
        deduplicated: Actions that had been delivered before.
        suppressed: Actions that a rule held back.
        rerouted: Actions that another provider took.
        throttled: Actions for which a quota was used up.
        failed: Actions that were not delivered.
    """

    dispatched: int
    executed: int
    deduplicated: int
    suppressed: int
    rerouted: int
    throttled: int
    failed: int


@frozen
class HealthResponse:
    """The process is alive."""

    status: Literal["ok"]
    metrics: MetricsResponse


@frozen(kw_only=True)
class ReadyResponse:
    """All that dispatches need is there.

    Attributes:
        checks: `ok` for each thing that was looked at.
    """

    status: Literal["ready"]
    checks: Mapping[str, str]


@frozen(kw_only=True)
class NotReadyResponse(ErrorResponse):
    """Something that dispatches need is missing.

    Attributes:
        checks: `ok`, or what is wrong, for each thing that was looked at.
    """

    checks: Mapping[str, str]


@frozen(kw_only=True)
class RuleSummary:
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
    description: str | None


@frozen
class ReloadRequest:
    """Which rules to load.

    Attributes:
        directory: A directory of the server, for this process alone; without one, the
            configured directory is read again, by all processes that share the state store.
    """

    directory: str | None = None


@frozen(kw_only=True)
class ReloadResponse:
    """The rules of the directory are in force.

    Attributes:
        reloaded: How many there are.
        directory: Where they came from.
        loaded: The same as `reloaded`.
        version: Tells them from others: equal rules have the same in every process.
        errors: Always empty: if any file is bad, no rule changes and the answer is an error.
        warnings: What is odd about the files: what will fail, or may not do what it seems to.
    """

    reloaded: int
    directory: str
    loaded: int
    version: str
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@frozen
class SetEnabledRequest:
    """Whether a rule is to be asked."""

    enabled: bool


@frozen(kw_only=True)
class SetEnabledResponse:
    """The rule is switched."""

    name: str
    enabled: bool
    status: Literal["enabled", "disabled"]


@frozen
class LoginRequest:
    """Who wants a token."""

    username: Annotated[str, Meta(max_length=1024)]
    password: Annotated[str, Meta(max_length=1024)] = field(repr=False)


@frozen
class LoginResponse:
    """Somebody has signed in.

    Attributes:
        token: To be sent along as `Authorization: Bearer …`.
        expires_in: Seconds for which it is good.
    """

    token: str = field(repr=False)
    expires_in: int


@frozen
class LogoutResponse:
    """The token is good for nothing any more."""

    status: Literal["logged_out"] = "logged_out"


@frozen
class DlqStatsResponse:
    """How many dead letters there are.

    Attributes:
        enabled: Whether they are kept at all.
        count: How many there are.
    """

    enabled: bool
    count: int


@frozen(kw_only=True)
class DlqEntry:
    """An action that could not be delivered, in full, so that it can be sent again.

    Attributes:
        action_id: The action's `id`.
        namespace: Of the action, like the next three.
        target: Who was to deliver it: `provider`, the one that it was sent to instead, or a member
            of the group that `provider` is. The payload has the shape for this one.
        error: Why the last attempt failed.
        code: What kind of failure that was.
        attempts: How many attempts were made.
        timestamp: When it was given up, in Unix seconds.
        payload: As the provider was to have it.
        metadata: The action's.
        dedup_key: The action's.
        created_at: The action's.
    """

    action_id: str
    namespace: str
    tenant: str
    provider: str
    action_type: str
    target: str
    error: str
    code: str
    attempts: int
    timestamp: int
    payload: Any
    metadata: Mapping[str, str]
    dedup_key: str | None
    created_at: str


@frozen
class DlqDrainResponse:
    """The dead letters that were taken out, the oldest first.

    Attributes:
        entries: They; nobody else gets them.
        count: How many they are.
    """

    entries: tuple[DlqEntry, ...]
    count: int


@frozen(kw_only=True)
class ReplayItem:
    """What became of a past action that was to be sent again.

    Attributes:
        action_id: The past action's `id`.
        new_action_id: The `id` under which it was sent; null if it was not.
        success: Whether it was sent, or would be, and did not fail.
        outcome: `executed`, `deduplicated`, `suppressed`, `rerouted`, `throttled` or `failed`;
            null if it was not sent, or reached no outcome. In a dry run, how it would end.
        error: What went wrong, or why it was not sent.
        code: What kind of failure that is.
    """

    action_id: str
    new_action_id: str | None
    success: bool
    outcome: str | None
    error: str | None
    code: str | None


@frozen(kw_only=True)
class ReplayResponse:
    """What became of past actions that were to be sent again.

    Attributes:
        replayed: How many were sent, or would be, and did not fail.
        failed: How many were sent and failed, or reached no outcome.
        skipped: How many were not sent: their payloads are not there, or not whole.
        total: How many records fit, in this answer and others.
        next_cursor: The cursor for those that follow, which are older; null if there are none.
        dry_run: Whether nothing was done.
        results: What became of each, in the order in which they were sent: the oldest first.
    """

    replayed: int
    failed: int
    skipped: int
    total: int
    next_cursor: str | None
    dry_run: bool
    results: tuple[ReplayItem, ...]


@frozen
class EraseResponse:
    """Payloads were removed for good.

    Attributes:
        matched: How many records that fit had one.
        erased: How many were removed; none in a dry run.
    """

    matched: int
    erased: int


@frozen(kw_only=True)
class CallStatistics:
    """How the calls of a provider went since this process started.

    Attributes:
        attempts: How many there were.
        successes: Those that delivered.
        success_rate: The part that delivered, from 0 to 1; null without any.
        p50_ms: Half of the last 1,000 calls took no longer, in milliseconds; null without any.
        p95_ms: The same of 95 in 100.
        p99_ms: The same of 99 in 100.
        last_failure: When a call failed last.
        last_code: As what, in capitals.
    """

    attempts: int
    successes: int
    success_rate: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    last_failure: str | None
    last_code: str | None


@frozen(kw_only=True)
class CircuitStatus:
    """Whether a provider is called.

    Attributes:
        state: `closed` while calls are made, `open` while none is, `half_open` while one is tried.
        failures: Calls that failed in a row.
        opened: How often it has opened since this process started.
        by_hand: Whether it was opened by hand; then it stays open until it is closed by hand.
        threshold: Failures in a row that open it; null if nothing but a hand does.
        fallback: Who delivers while it is not closed.
    """

    state: Literal["closed", "open", "half_open"]
    failures: int
    opened: int
    by_hand: bool
    threshold: int | None
    fallback: str | None


@frozen(kw_only=True)
class ProviderLimits:
    """How much a provider may be asked to do.

    Attributes:
        max_concurrent: Calls at one time.
        timeout_seconds: The time for each.
        max_retries: Attempts after the first one.
        max_per_second: Attempts in a second; null for any number.
    """

    max_concurrent: int
    timeout_seconds: float
    max_retries: int
    max_per_second: float | None


@frozen(kw_only=True)
class ProviderSummary:
    """A provider, as far as this process knows.

    Attributes:
        name: What actions and rules call it.
        type: What the configuration calls its type; empty for one that a program brings.
        idempotent: Whether a call without an answer may be repeated.
        members: Whom a group consists of; empty for all others.
        in_flight: Calls under way.
        waiting: Calls that wait for their turn.
        limits: Of its calls; null for a group, whose members have their own, like the next two.
        circuit: Whether it is called.
        calls: How its calls went.
    """

    name: str
    type: str
    idempotent: bool
    members: tuple[str, ...]
    in_flight: int
    waiting: int
    limits: ProviderLimits | None
    circuit: CircuitStatus | None
    calls: CallStatistics | None


@frozen
class ProvidersResponse:
    """All providers, by their names."""

    providers: tuple[ProviderSummary, ...]


@frozen(kw_only=True)
class ProviderHealthEntry:
    """How one provider is.

    Attributes:
        provider: Its name.
        healthy: Whether a delivery would have a chance.
        error: Why not; null when healthy.
        calls: How its calls went; null for a group.
    """

    provider: str
    healthy: bool
    error: str | None
    calls: CallStatistics | None


@frozen
class ProvidersHealthResponse:
    """How all providers are, by their names."""

    providers: tuple[ProviderHealthEntry, ...]


@frozen(kw_only=True)
class ProvidersReloadResponse:
    """The providers of the configuration are in force.

    Attributes:
        added: Names that are new.
        changed: Names whose provider is another one now.
        removed: Names that are gone.
        unchanged: Names whose provider stayed as it was.
        restart: Other sections of the file that have changed: they take effect when the server is
            started again.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    restart: tuple[str, ...]


@frozen
class SetCircuitRequest:
    """What a circuit is to be: `open` or `closed`."""

    state: Literal["open", "closed"]
