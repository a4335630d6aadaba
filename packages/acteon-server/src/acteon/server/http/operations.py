"""The operations of the API, as they are documented."""

from typing import Any, Final

from attrs import frozen

from acteon.audit.query import EQUAL

Json = dict[str, Any]

REF: Final = "#/components/schemas/{name}"


@frozen(kw_only=True)
class Operation:
    """What one method on one path does.

    Attributes:
        id: Its `operationId`.
        answers: The schema of a successful answer.
        takes: The schema of the request's body, if it has one.
        optional_body: Whether that may be left out.
        parameters: Those of path and query.
        public: Whether anybody may ask for it, as often as they like.
        errors: The statuses of other answers, but those that all operations have in common.
    """

    path: str
    method: str
    id: str
    tag: str
    summary: str
    answers: Json | None
    takes: Json | None = None
    optional_body: bool = False
    parameters: tuple[Json, ...] = ()
    public: bool = False
    errors: tuple[int, ...] = ()

    @property
    def refusals(self) -> tuple[int, ...]:
        """The statuses of all answers that are no success."""
        return tuple(sorted({*self.errors, *(() if self.public else _AT_THE_ENTRANCE)}))


def ref(name: str) -> Json:
    """Return a reference to the schema `name`."""
    return {"$ref": REF.format(name=name)}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _parameter(name: str, where: str, schema: Json, text: str) -> Json:
    described = {"name": name, "in": where, "schema": schema, "description": text}
    return {**described, "required": where == "path"}


TEXT: Final[Json] = {"type": "string"}
_INSTANT: Final[Json] = {"type": "string", "format": "date-time"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
_DRY_RUN: Final = _parameter(
    "dry_run", "query", {"type": "boolean", "default": False}, "Tell what would happen; do nothing"
)
_DETAILS: Final = _parameter(
    "details", "query", {"type": "boolean", "default": False}, "Tell all about each rule"
)
_FILTERS: Final = (
    *(_parameter(name, "query", TEXT, f"Only records with this `{name}`") for name in EQUAL),
    _parameter("from", "query", _INSTANT, "Only records dispatched then or later"),
    _parameter("to", "query", _INSTANT, "Only records dispatched then or earlier"),
    _parameter("limit", "query", {**_COUNT, "default": 50}, "At most so many, 1 to 1000"),
    _parameter("offset", "query", {**_COUNT, "default": 0}, "Leave out so many first"),
    _parameter(
        "cursor", "query", TEXT, "`next_cursor` of an answer, in place of `offset`: what follows"
    ),
)
_AT_THE_ENTRANCE: Final = (401, 403, 429, 503)
_BODY_ERRORS: Final = (400, 408, 413, 415, 422)

OPERATIONS: Final = (
    Operation(
        path="/health",
        method="get",
        id="health",
        tag="Health",
        summary="Health check",
        answers=ref("HealthResponse"),
        public=True,
    ),
    Operation(
        path="/ready",
        method="get",
        id="ready",
        tag="Health",
        summary="Readiness check",
        answers=ref("ReadyResponse"),
        public=True,
        errors=(503,),
    ),
    Operation(
        path="/metrics",
        method="get",
        id="metrics",
        tag="Health",
        summary="Gateway metrics",
        answers=ref("MetricsResponse"),
        public=True,
    ),
    Operation(
        path="/metrics/prometheus",
        method="get",
        id="metrics_prometheus",
        tag="Health",
        summary="Gateway metrics for Prometheus",
        answers=None,
        public=True,
    ),
    Operation(
        path="/v1/dispatch",
        method="post",
        id="dispatch",
        tag="Dispatch",
        summary="Dispatch action",
        answers={"anyOf": [ref("ActionOutcome"), ref("DryRunOutcome")]},
        takes=ref("Action"),
        parameters=(_DRY_RUN,),
        errors=(*_BODY_ERRORS, 500, 503),
    ),
    Operation(
        path="/v1/dispatch/batch",
        method="post",
        id="dispatch_batch",
        tag="Dispatch",
        summary="Batch dispatch",
        answers=_list(
            {"anyOf": [ref("ActionOutcome"), ref("ErrorResponse"), ref("DryRunOutcome")]}
        ),
        takes=_list(ref("Action")),
        parameters=(_DRY_RUN,),
        errors=(*_BODY_ERRORS, 503),
    ),
    Operation(
        path="/v1/rules",
        method="get",
        id="list_rules",
        tag="Rules",
        summary="List rules",
        answers=_list({"anyOf": [ref("RuleDetails"), ref("RuleSummary")]}),
        parameters=(_DETAILS,),
        errors=(400,),
    ),
    Operation(
        path="/v1/rules/reload",
        method="post",
        id="reload_rules",
        tag="Rules",
        summary="Reload rules",
        answers=ref("ReloadResponse"),
        takes=ref("ReloadRequest"),
        optional_body=True,
        errors=(*_BODY_ERRORS, 500),
    ),
    Operation(
        path="/v1/rules/evaluate",
        method="post",
        id="evaluate_rules",
        tag="Rules",
        summary="Explain what the rules decide about an action, without doing it",
        answers=ref("EvaluateResponse"),
        takes=ref("EvaluateRequest"),
        errors=(*_BODY_ERRORS, 500),
    ),
    Operation(
        path="/v1/rules/{name}/enabled",
        method="put",
        id="set_rule_enabled",
        tag="Rules",
        summary="Toggle rule",
        answers=ref("SetEnabledResponse"),
        takes=ref("SetEnabledRequest"),
        parameters=(_parameter("name", "path", TEXT, "The rule's name"),),
        errors=(404, *_BODY_ERRORS, 500),
    ),
    Operation(
        path="/v1/providers",
        method="get",
        id="list_providers",
        tag="Providers",
        summary="List providers, their limits, circuits and calls",
        answers=ref("ProvidersResponse"),
    ),
    Operation(
        path="/v1/providers/health",
        method="get",
        id="check_providers",
        tag="Providers",
        summary="Ask all providers how they are",
        answers=ref("ProvidersHealthResponse"),
    ),
    Operation(
        path="/v1/providers/reload",
        method="post",
        id="reload_providers",
        tag="Providers",
        summary="Put the providers of the configuration in force",
        answers=ref("ProvidersReloadResponse"),
        errors=(400, 404),
    ),
    Operation(
        path="/v1/providers/{name}/circuit",
        method="put",
        id="set_provider_circuit",
        tag="Providers",
        summary="Open or close the circuit of a provider",
        answers=ref("ProviderSummary"),
        takes=ref("SetCircuitRequest"),
        parameters=(_parameter("name", "path", TEXT, "The provider's name"),),
        errors=(404, *_BODY_ERRORS),
    ),
    Operation(
        path="/v1/audit",
        method="get",
        id="query_audit",
        tag="Audit",
        summary="Query audit records",
        answers=ref("AuditPage"),
        parameters=_FILTERS,
        errors=(400, 404, 500),
    ),
    Operation(
        path="/v1/audit/replay",
        method="post",
        id="replay_audit",
        tag="Audit",
        summary="Send past actions again",
        answers=ref("ReplayResponse"),
        takes=ref("ReplayRequest"),
        parameters=(_DRY_RUN,),
        errors=(*_BODY_ERRORS, 404, 500, 503),
    ),
    Operation(
        path="/v1/audit/erase",
        method="post",
        id="erase_audit",
        tag="Audit",
        summary="Erase payloads of audit records",
        answers=ref("EraseResponse"),
        takes=ref("EraseRequest"),
        parameters=(_DRY_RUN,),
        errors=(*_BODY_ERRORS, 404, 500),
    ),
    Operation(
        path="/v1/audit/{action_id}/replay",
        method="post",
        id="replay_audit_by_action",
        tag="Audit",
        summary="Send a past action again",
        answers=ref("ReplayItem"),
        takes=ref("DryRunRequest"),
        optional_body=True,
        parameters=(_parameter("action_id", "path", TEXT, "The action's `id`"), _DRY_RUN),
        errors=(*_BODY_ERRORS, 404, 409, 500, 503),
    ),
    Operation(
        path="/v1/audit/{action_id}",
        method="get",
        id="get_audit_by_action",
        tag="Audit",
        summary="Get audit record by action ID",
        answers=ref("AuditRecord"),
        parameters=(_parameter("action_id", "path", TEXT, "The action's `id`"),),
        errors=(400, 404, 500),
    ),
    Operation(
        path="/v1/dlq/stats",
        method="get",
        id="dlq_stats",
        tag="DLQ",
        summary="Get DLQ statistics",
        answers=ref("DlqStatsResponse"),
    ),
    Operation(
        path="/v1/dlq/drain",
        method="post",
        id="dlq_drain",
        tag="DLQ",
        summary="Drain DLQ entries",
        answers=ref("DlqDrainResponse"),
        errors=(404,),
    ),
    Operation(
        path="/v1/auth/login",
        method="post",
        id="login",
        tag="Auth",
        summary="Get a token for a password",
        answers=ref("LoginResponse"),
        takes=ref("LoginRequest"),
        public=True,
        errors=(*_BODY_ERRORS, 401, 404, 429, 503),
    ),
    Operation(
        path="/v1/auth/logout",
        method="post",
        id="logout",
        tag="Auth",
        summary="Make a token good for nothing",
        answers=ref("LogoutResponse"),
        errors=(404,),
    ),
)
