"""Every operation of a server as a call: what both clients can do, written once."""

# ruff: noqa: D103 - programs call the methods of the clients, and find what they do there

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, cast

import msgspec
from attrs import evolve

from acteon.client.answers import Answer, error_of
from acteon.client.calls import Call, Repeat, json_of, segment
from acteon.client.errors import AuditDisabledError
from acteon.client.models import (
    AuditPage,
    AuditRecord,
    DeadLetter,
    DeadLetterStats,
    EraseResult,
    Health,
    Login,
    Metrics,
    ProviderHealth,
    ProviderInfo,
    ProvidersReloaded,
    Ready,
    ReloadResult,
    ReplayItem,
    ReplayResult,
    RuleInfo,
    RuleState,
    Told,
)
from acteon.client.outcomes import (
    BatchResult,
    DryRun,
    Outcome,
    PreviewResult,
    read_dry_run,
    read_item,
    read_outcome,
    read_preview,
)
from acteon.client.queries import AuditQuery
from acteon.core import Action, encode_json, format_instant

T = TypeVar("T")
M = TypeVar("M", bound=Told)

AnyAction = Action | Mapping[str, Any]
"""An action, or its members by name: what `Action` takes."""

_WANTED: Final = frozenset({"namespace", "tenant", "provider", "action_type", "payload"})
_KNOWN: Final = frozenset({*_WANTED, "metadata", "dedup_key", "id", "created_at"})
_DRY_RUN: Final = {"dry_run": "true"}
_AUDIT: Final = "/v1/audit"


def action_of(action: AnyAction) -> Action:
    """Return `action` as one, with an `id` and an instant if it has none.

    Raises:
        TypeError: It lacks a member that has to be given, or has one that is unknown.
        ValueError: `created_at` is no timestamp.
    """
    if isinstance(action, Action):
        return action
    lacking = sorted(_WANTED - action.keys())
    if lacking:
        raise TypeError(f"action: lacks {_quoted(lacking)}")
    unknown = sorted(action.keys() - _KNOWN)
    if unknown:
        raise TypeError(f"action: has no {_quoted(unknown)}, but {_quoted(sorted(_KNOWN))}")
    return Action(**action)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def health() -> Call[bool]:
    return Call(method="GET", path="/health", what="check health", read=lambda _: True)


def health_details() -> Call[Health]:
    return Call(method="GET", path="/health", what="check health", read=_told(Health))


def ready() -> Call[Ready]:
    read = _told(Ready)
    refusals = {503: _not_ready}
    return Call(method="GET", path="/ready", what="check readiness", read=read, refusals=refusals)


def metrics() -> Call[Metrics]:
    return Call(method="GET", path="/metrics", what="get metrics", read=_told(Metrics))


def prometheus() -> Call[str]:
    return Call(
        method="GET",
        path="/metrics/prometheus",
        what="get metrics",
        read=lambda answer: answer.body.decode(),
    )


def dispatch(action: Action) -> Call[Outcome]:
    return Call(
        method="POST",
        path="/v1/dispatch",
        body=encode_json(action.as_json()),
        what="dispatch",
        read=lambda answer: read_outcome(json_of(answer)),
        repeat=Repeat.UNPROCESSED,
        request_id=action.id,
    )


def dispatch_batch(actions: Sequence[Action]) -> Call[list[BatchResult]]:
    return Call(
        method="POST",
        path="/v1/dispatch/batch",
        body=_batch(actions),
        what="dispatch a batch",
        read=_items(read_item, len(actions)),
        repeat=Repeat.UNPROCESSED,
    )


def preview(action: Action) -> Call[DryRun]:
    return Call(
        method="POST",
        path="/v1/dispatch",
        query=_DRY_RUN,
        body=encode_json(action.as_json()),
        what="preview",
        read=lambda answer: read_dry_run(json_of(answer)),
        request_id=action.id,
    )


def preview_batch(actions: Sequence[Action]) -> Call[list[PreviewResult]]:
    return Call(
        method="POST",
        path="/v1/dispatch/batch",
        query=_DRY_RUN,
        body=_batch(actions),
        what="preview a batch",
        read=_items(read_preview, len(actions)),
    )


def list_rules() -> Call[list[RuleInfo]]:
    read = _told_list(RuleInfo)
    return Call(method="GET", path="/v1/rules", what="list rules", read=read)


def rule_details() -> Call[list[dict[str, Any]]]:
    return Call(
        method="GET",
        path="/v1/rules",
        query={"details": "true"},
        what="list rules",
        read=lambda answer: msgspec.convert(json_of(answer), list[dict[str, Any]]),
    )


def reload_rules(directory: str | None) -> Call[ReloadResult]:
    body = None if directory is None else encode_json({"directory": directory})
    read = _reloaded
    return Call(method="POST", path="/v1/rules/reload", body=body, what="reload rules", read=read)


def set_rule_enabled(name: str, enabled: bool) -> Call[RuleState]:
    def read(answer: Answer) -> RuleState:
        return (
            RuleState(name=name, enabled=enabled) if not answer.body else _told(RuleState)(answer)
        )

    return Call(
        method="PUT",
        path=f"/v1/rules/{segment(name)}/enabled",
        body=encode_json({"enabled": enabled}),
        what="set rule enabled",
        read=read,
    )


def explain(
    action: Action,
    *,
    now: datetime | None,
    state: Mapping[str, str | None] | None,
    counters: Mapping[str, int | None] | None,
    environment: Mapping[str, str | None] | None,
    rules: str | None,
) -> Call[dict[str, Any]]:
    given = {
        "now": None if now is None else format_instant(now),
        "state": state,
        "counters": counters,
        "environment": environment,
        "rules": rules,
    }
    supposed = {name: value for name, value in given.items() if value is not None}
    return Call(
        method="POST",
        path="/v1/rules/evaluate",
        body=encode_json({"action": action.as_json(), **supposed}),
        what="evaluate rules",
        read=_members,
        request_id=action.id,
    )


def list_providers() -> Call[list[ProviderInfo]]:
    read = _told_list(ProviderInfo, "providers")
    return Call(method="GET", path="/v1/providers", what="list providers", read=read)


def provider_health() -> Call[list[ProviderHealth]]:
    read = _told_list(ProviderHealth, "providers")
    return Call(method="GET", path="/v1/providers/health", what="check providers", read=read)


def reload_providers() -> Call[ProvidersReloaded]:
    read = _told(ProvidersReloaded)
    return Call(method="POST", path="/v1/providers/reload", what="reload providers", read=read)


def set_circuit(name: str, state: str) -> Call[ProviderInfo]:
    return Call(
        method="PUT",
        path=f"/v1/providers/{segment(name)}/circuit",
        body=encode_json({"state": state}),
        what="set the circuit",
        read=_told(ProviderInfo),
    )


def query_audit(query: AuditQuery) -> Call[AuditPage]:
    return Call(
        method="GET",
        path=_AUDIT,
        query=query.parameters,
        what="query audit",
        read=_told(AuditPage),
    )


def get_audit_record(action_id: str) -> Call[AuditRecord | None]:
    call: Call[AuditRecord | None] = Call(
        method="GET",
        path=f"{_AUDIT}/{segment(action_id)}",
        what="get audit record",
        read=_told(AuditRecord),
        request_id=action_id,
    )

    def no_record(answer: Answer) -> None:
        error = error_of(answer, call.what, action_id)
        # A server of another kind, and one that keeps no records, answers so as well.
        if isinstance(error, AuditDisabledError) or not error.structured:
            raise error

    return evolve(call, refusals={404: no_record})


def replay(action_id: str, *, dry_run: bool) -> Call[ReplayItem]:
    return Call(
        method="POST",
        path=f"{_AUDIT}/{segment(action_id)}/replay",
        query=_DRY_RUN if dry_run else {},
        what="replay",
        read=_told(ReplayItem),
        repeat=Repeat.ALWAYS if dry_run else Repeat.UNPROCESSED,
        request_id=action_id,
    )


def replay_audit(query: AuditQuery, *, dry_run: bool) -> Call[ReplayResult]:
    return Call(
        method="POST",
        path=f"{_AUDIT}/replay",
        query=_DRY_RUN if dry_run else {},
        body=encode_json(query.members()),
        what="replay",
        read=_told(ReplayResult),
        repeat=Repeat.ALWAYS if dry_run else Repeat.UNPROCESSED,
    )


def erase_audit(
    query: AuditQuery, *, path: str | None, value: Any, dry_run: bool
) -> Call[EraseResult]:
    where = {} if path is None else {"path": path, "value": value}
    return Call(
        method="POST",
        path=f"{_AUDIT}/erase",
        query=_DRY_RUN if dry_run else {},
        body=encode_json({**query.members(), **where}),
        what="erase payloads",
        read=_told(EraseResult),
    )


def dlq_stats() -> Call[DeadLetterStats]:
    read = _told(DeadLetterStats)
    return Call(method="GET", path="/v1/dlq/stats", what="get dead letter statistics", read=read)


def dlq_drain() -> Call[list[DeadLetter]]:
    return Call(
        method="POST",
        path="/v1/dlq/drain",
        what="drain dead letters",
        read=_told_list(DeadLetter, "entries"),
        repeat=Repeat.NEVER,
    )


def login(username: str, password: str) -> Call[Login]:
    return Call(
        method="POST",
        path="/v1/auth/login",
        body=encode_json({"username": username, "password": password}),
        what="log in",
        read=_told(Login),
        repeat=Repeat.UNPROCESSED,
    )


def logout() -> Call[None]:
    return Call(method="POST", path="/v1/auth/logout", what="log out", read=lambda _: None)


def _batch(actions: Iterable[Action]) -> bytes:
    return encode_json([action.as_json() for action in actions])


def _told(shape: type[M]) -> Callable[[Answer], M]:
    return lambda answer: msgspec.json.decode(answer.body, type=shape)


def _told_list(shape: type[M], member: str | None = None) -> Callable[[Answer], list[M]]:
    def read(answer: Answer) -> list[M]:
        told = json_of(answer) if member is None else _members(answer).get(member)
        found: list[M] = msgspec.convert(told, list[shape])  # type: ignore[valid-type]
        return found

    return read


def _items(read_one: Callable[[Any], T], count: int) -> Callable[[Answer], list[T]]:
    def read(answer: Answer) -> list[T]:
        items = msgspec.convert(json_of(answer), list[Any])
        if len(items) != count:
            raise msgspec.ValidationError(f"expected {count} results, got {len(items)}")
        return [read_one(item) for item in items]

    return read


def _members(answer: Answer) -> dict[str, Any]:
    return msgspec.convert(json_of(answer), dict[str, Any])


def _not_ready(answer: Answer) -> Ready:
    told = _members(answer)
    checks = told.get("checks")
    return Ready("not ready", cast("dict[str, str]", checks) if isinstance(checks, dict) else {})


def _reloaded(answer: Answer) -> ReloadResult:
    told = _members(answer)
    loaded = told.get("loaded", told.get("reloaded"))
    return ReloadResult.from_dict({**told, "loaded": loaded})
