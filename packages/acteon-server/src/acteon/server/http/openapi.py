"""The OpenAPI document: operations from a table, schemas from the classes that do the work."""

import inspect
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

import msgspec
from attrs import frozen

from acteon.core import Action, Failed, ProviderResponse
from acteon.server.http import documented, shapes
from acteon.server.http.examples import EXAMPLES

Json = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_CLASSES: Final = (
    Action,
    ProviderResponse,
    Failed,
    shapes.ErrorResponse,
    shapes.HealthResponse,
    shapes.MetricsResponse,
    shapes.ReadyResponse,
    shapes.NotReadyResponse,
    shapes.RuleSummary,
    shapes.ReloadRequest,
    shapes.ReloadResponse,
    shapes.SetEnabledRequest,
    shapes.SetEnabledResponse,
    shapes.DlqStatsResponse,
    shapes.DlqEntry,
    shapes.DlqDrainResponse,
    documented.AuditRecord,
    documented.AuditPage,
    documented.AuditQuery,
    documented.DryRun,
)
_NAMES: Final = {
    "id": "ActionId",
    "namespace": "Namespace",
    "tenant": "TenantId",
    "provider": "ProviderId",
    "metadata": "ActionMetadata",
}
"""Members of an action that have a schema of their own."""


@frozen(kw_only=True)
class Operation:
    """What one method on one path does.

    Attributes:
        id: Its `operationId`.
        answers: The schema of a successful answer.
        takes: The schema of the request's body, if it has one.
        optional_body: Whether that may be left out.
        parameters: Those of path and query.
        errors: The statuses of other answers.
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
    errors: tuple[int, ...] = ()


def _ref(name: str) -> Json:
    return {"$ref": _REF.format(name=name)}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _parameter(name: str, where: str, schema: Json, text: str) -> Json:
    described = {"name": name, "in": where, "schema": schema, "description": text}
    return {**described, "required": where == "path"}


_TEXT: Final[Json] = {"type": "string"}
_INSTANT: Final[Json] = {"type": "string", "format": "date-time"}
_COUNT: Final[Json] = {"type": "integer", "format": "int32", "minimum": 0}
_DRY_RUN: Final = _parameter(
    "dry_run", "query", {"type": "boolean", "default": False}, "Tell what would happen; do nothing"
)
_FILTERS: Final = (
    *(
        _parameter(name, "query", _TEXT, f"Only records with this `{name}`")
        for name in (
            "namespace",
            "tenant",
            "provider",
            "action_type",
            "outcome",
            "verdict",
            "matched_rule",
            "caller_id",
        )
    ),
    _parameter("from", "query", _INSTANT, "Only records dispatched then or later"),
    _parameter("to", "query", _INSTANT, "Only records dispatched then or earlier"),
    _parameter("limit", "query", {**_COUNT, "default": 50}, "At most so many, 1 to 1000"),
    _parameter("offset", "query", {**_COUNT, "default": 0}, "Leave out so many first"),
)
_BODY_ERRORS: Final = (400, 408, 413, 415, 422)

OPERATIONS: Final = (
    Operation(
        path="/health",
        method="get",
        id="health",
        tag="Health",
        summary="Health check",
        answers=_ref("HealthResponse"),
    ),
    Operation(
        path="/ready",
        method="get",
        id="ready",
        tag="Health",
        summary="Readiness check",
        answers=_ref("ReadyResponse"),
        errors=(503,),
    ),
    Operation(
        path="/metrics",
        method="get",
        id="metrics",
        tag="Health",
        summary="Gateway metrics",
        answers=_ref("MetricsResponse"),
    ),
    Operation(
        path="/metrics/prometheus",
        method="get",
        id="metrics_prometheus",
        tag="Health",
        summary="Gateway metrics for Prometheus",
        answers=None,
    ),
    Operation(
        path="/v1/dispatch",
        method="post",
        id="dispatch",
        tag="Dispatch",
        summary="Dispatch action",
        answers={"anyOf": [_ref("ActionOutcome"), _ref("DryRunOutcome")]},
        takes=_ref("Action"),
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
            {"anyOf": [_ref("ActionOutcome"), _ref("ErrorResponse"), _ref("DryRunOutcome")]}
        ),
        takes=_list(_ref("Action")),
        parameters=(_DRY_RUN,),
        errors=(*_BODY_ERRORS, 503),
    ),
    Operation(
        path="/v1/rules",
        method="get",
        id="list_rules",
        tag="Rules",
        summary="List rules",
        answers=_list(_ref("RuleSummary")),
    ),
    Operation(
        path="/v1/rules/reload",
        method="post",
        id="reload_rules",
        tag="Rules",
        summary="Reload rules",
        answers=_ref("ReloadResponse"),
        takes=_ref("ReloadRequest"),
        optional_body=True,
        errors=(*_BODY_ERRORS, 500),
    ),
    Operation(
        path="/v1/rules/{name}/enabled",
        method="put",
        id="set_rule_enabled",
        tag="Rules",
        summary="Toggle rule",
        answers=_ref("SetEnabledResponse"),
        takes=_ref("SetEnabledRequest"),
        parameters=(_parameter("name", "path", _TEXT, "The rule's name"),),
        errors=(404, *_BODY_ERRORS, 500),
    ),
    Operation(
        path="/v1/audit",
        method="get",
        id="query_audit",
        tag="Audit",
        summary="Query audit records",
        answers=_ref("AuditPage"),
        parameters=_FILTERS,
        errors=(400, 404, 500),
    ),
    Operation(
        path="/v1/audit/{action_id}",
        method="get",
        id="get_audit_by_action",
        tag="Audit",
        summary="Get audit record by action ID",
        answers=_ref("AuditRecord"),
        parameters=(_parameter("action_id", "path", _TEXT, "The action's `id`"),),
        errors=(400, 404, 500),
    ),
    Operation(
        path="/v1/dlq/stats",
        method="get",
        id="dlq_stats",
        tag="DLQ",
        summary="Get DLQ statistics",
        answers=_ref("DlqStatsResponse"),
    ),
    Operation(
        path="/v1/dlq/drain",
        method="post",
        id="dlq_drain",
        tag="DLQ",
        summary="Drain DLQ entries",
        answers=_ref("DlqDrainResponse"),
        errors=(404,),
    ),
)

_STATUSES: Final[Mapping[int, str]] = {
    400: "The request makes no sense, or its body is no JSON",
    404: "There is no such thing, or it is not enabled",
    408: "The body took too long",
    413: "The body is too large",
    415: "The body is not said to be JSON",
    422: "The body is JSON of another shape",
    500: "The gateway could not do it",
    503: "Not now; ask again later",
}


def openapi_document() -> Json:
    """Return the OpenAPI 3.1 document of the API."""
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Acteon Gateway API",
            "version": version("acteon-server"),
            "description": "Actions through rules, deduplication and limits to their providers.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(found.tag for found in OPERATIONS)],
        "paths": paths,
        "components": {"schemas": _schemas()},
    }


def _described(operation: Operation) -> Json:
    answers = operation.answers
    media = {"text/plain": {"schema": _TEXT}} if answers is None else _json_content(answers)
    responses = {"200": {"description": "OK", "content": media}}
    for status in sorted(operation.errors):
        wrong = "NotReadyResponse" if operation.id == "ready" else "ErrorResponse"
        content = _json_content(_ref(wrong))
        responses[str(status)] = {"description": _STATUSES[status], "content": content}
    described: Json = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": responses,
    }
    if operation.parameters:
        described["parameters"] = list(operation.parameters)
    if operation.takes is not None:
        content = _json_content(operation.takes)
        described["requestBody"] = {"required": not operation.optional_body, "content": content}
    return described


def _json_content(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _schemas() -> Json:
    _, found = msgspec.json.schema_components(_CLASSES, ref_template=_REF)
    classes = {cls.__name__: cls for cls in (*_CLASSES, documented.Duration)}
    schemas: Json = {}
    for name, schema in found.items():
        cls = classes.get(name)
        schemas[name] = _plain(schema) if cls is None else _with_texts(_plain(schema), cls)
    schemas["ActionError"] = {**schemas.pop("Failed"), "title": "ActionError"}
    schemas["ActionOutcome"] = _outcome()
    schemas["DryRunOutcome"] = _tagged("DryRun", _ref("DryRun"))
    for name in ("ActionId", "Namespace", "TenantId", "ProviderId"):
        schemas[name] = {"type": "string"}
    schemas["ActionMetadata"] = {"type": "object", "additionalProperties": _TEXT}
    action: Json = schemas["Action"]["properties"]
    for name, own in _NAMES.items():
        text = action[name].get("description")
        action[name] = {**_ref(own), **({"description": text} if text else {})}
    query: Json = schemas["AuditQuery"]["properties"]
    query["from"] = query.pop("from_")
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
    return dict(sorted(schemas.items()))


def _outcome() -> Json:
    suppressed = _object({"rule": _TEXT})
    rerouted = _object(
        {
            "original_provider": _TEXT,
            "new_provider": _TEXT,
            "response": _ref("ProviderResponse"),
        }
    )
    return {
        "title": "ActionOutcome",
        "description": "What became of an action: exactly one of six.",
        "oneOf": [
            _tagged("Executed", _ref("ProviderResponse")),
            {"type": "string", "enum": ["Deduplicated"]},
            _tagged("Suppressed", suppressed),
            _tagged("Rerouted", rerouted),
            _tagged("Throttled", _object({"retry_after": _ref("Duration")})),
            _tagged("Failed", _ref("ActionError")),
        ],
    }


def _tagged(tag: str, schema: Json) -> Json:
    return {**_object({tag: schema}), "title": tag}


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _plain(schema: Json) -> Json:
    """Return `schema` with `anyOf` a type and null as a list of types, and without empty lists."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice.keys() == {"type"}]
    if choices and len(choices) == len(schema["anyOf"]):
        schema = {name: value for name, value in schema.items() if name != "anyOf"}
        schema["type"] = [choice["type"] for choice in choices]
    if schema.get("required") == []:
        schema = {name: value for name, value in schema.items() if name != "required"}
    if "properties" in schema:
        members = {name: _plain(member) for name, member in schema["properties"].items()}
        schema = {**schema, "properties": members}
    return schema


_MEMBER: Final = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)


def _with_texts(schema: Json, cls: type[Any]) -> Json:
    """Return `schema` with the texts of the docstring of `cls` where they belong."""
    about, _, members = (inspect.getdoc(cls) or "").partition("\n\nAttributes:\n")
    properties: Json = {name: dict(member) for name, member in schema["properties"].items()}
    for name, text in _MEMBER.findall(members):
        if name in properties and text != "…":
            properties[name]["description"] = " ".join(text.split())
    return {**schema, "description": " ".join(about.split()), "properties": properties}
