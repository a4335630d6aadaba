"""The OpenAPI document: operations from a table, schemas from the classes that do the work."""

import inspect
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

import msgspec

from acteon.core import Action, Failed, ProviderResponse
from acteon.server.http import documented, shapes
from acteon.server.http.evaluating import EvaluateRequest
from acteon.server.http.examples import EXAMPLES
from acteon.server.http.filters import DryRunRequest, EraseRequest, ReplayRequest
from acteon.server.http.operations import OPERATIONS, REF, TEXT, Json, Operation, ref

_CLASSES: Final = (
    Action,
    ProviderResponse,
    Failed,
    shapes.ErrorResponse,
    shapes.RateLimitedResponse,
    shapes.HealthResponse,
    shapes.MetricsResponse,
    shapes.ReadyResponse,
    shapes.NotReadyResponse,
    shapes.RuleSummary,
    shapes.CallStatistics,
    shapes.CircuitStatus,
    shapes.ProviderLimits,
    shapes.ProviderSummary,
    shapes.ProvidersResponse,
    shapes.ProviderHealthEntry,
    shapes.ProvidersHealthResponse,
    shapes.ProvidersReloadResponse,
    shapes.SetCircuitRequest,
    shapes.ReloadRequest,
    shapes.ReloadResponse,
    shapes.SetEnabledRequest,
    shapes.SetEnabledResponse,
    shapes.LoginRequest,
    shapes.LoginResponse,
    shapes.LogoutResponse,
    shapes.DlqStatsResponse,
    shapes.DlqEntry,
    shapes.DlqDrainResponse,
    shapes.ReplayItem,
    shapes.ReplayResponse,
    shapes.EraseResponse,
    ReplayRequest,
    EraseRequest,
    DryRunRequest,
    documented.AuditRecord,
    documented.AuditPage,
    documented.AuditQuery,
    documented.DryRun,
    documented.RuleDetails,
    documented.EvaluateResponse,
    EvaluateRequest,
)
_INNER: Final = (
    documented.Duration,
    documented.RuleAndVerdict,
    documented.RuleExplanation,
    documented.SeenValue,
    documented.WouldBe,
)
"""Classes that only others of them name."""
_NAMES: Final = {
    "id": "ActionId",
    "namespace": "Namespace",
    "tenant": "TenantId",
    "provider": "ProviderId",
    "metadata": "ActionMetadata",
}
"""Members of an action that have a schema of their own."""


_STATUSES: Final[Mapping[int, str]] = {
    400: "The request makes no sense, or its body is no JSON",
    401: "Nobody knows who asks",
    403: "Who asks may not do that, or not there",
    404: "There is no such thing, or it is not enabled",
    408: "The body took too long",
    409: "What is known of the action is not enough to send it again",
    413: "The body is too large",
    415: "The body is not said to be JSON",
    422: "The body is JSON of another shape",
    429: "Too many requests of the caller, or for a tenant",
    500: "The gateway could not do it",
    503: "Not now; ask again later",
}


def _json_content(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _number_header(text: str) -> Json:
    return {"description": text, "schema": {"type": "integer", "minimum": 0}}


_TOO_MANY: Final[Json] = {
    "description": _STATUSES[429],
    "headers": {
        "Retry-After": _number_header("Seconds after which to try again"),
        "X-RateLimit-Limit": _number_header("The most requests of the caller in a window"),
        "X-RateLimit-Remaining": _number_header("How many more there is room for now"),
    },
    "content": _json_content(ref("RateLimitedResponse")),
}


_UNKNOWN: Final[Json] = {
    "description": _STATUSES[401],
    "headers": {
        "WWW-Authenticate": {
            "description": "How to say who asks",
            "schema": {"type": "string", "const": "Bearer"},
        }
    },
    "content": _json_content(ref("ErrorResponse")),
}
_SCHEMES: Final[Json] = {
    "bearerAuth": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of `POST /v1/auth/login`, or an API key.",
    },
    "apiKeyAuth": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
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
        "components": {"schemas": _schemas(), "securitySchemes": _SCHEMES},
    }


def _described(operation: Operation) -> Json:
    answers = operation.answers
    media = {"text/plain": {"schema": TEXT}} if answers is None else _json_content(answers)
    responses: Json = {"200": {"description": "OK", "content": media}}
    for status in operation.refusals:
        responses[str(status)] = _refusal(operation, status)
    described: Json = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": responses,
    }
    if not operation.public:
        # The last one is for servers that ask nobody who they are.
        described["security"] = [{"bearerAuth": []}, {"apiKeyAuth": []}, {}]
    if operation.parameters:
        described["parameters"] = list(operation.parameters)
    if operation.takes is not None:
        content = _json_content(operation.takes)
        described["requestBody"] = {"required": not operation.optional_body, "content": content}
    return described


def _refusal(operation: Operation, status: int) -> Json:
    if status == 429:
        return _TOO_MANY
    if status == 401:
        return _UNKNOWN
    wrong = "NotReadyResponse" if operation.id == "ready" else "ErrorResponse"
    said = ref(wrong)
    if operation.id == "dispatch_batch" and status == 403:
        said = {"type": "array", "items": said}
    return {"description": _STATUSES[status], "content": _json_content(said)}


def _schemas() -> Json:
    _, found = msgspec.json.schema_components(_CLASSES, ref_template=REF)
    classes = {cls.__name__: cls for cls in (*_CLASSES, *_INNER)}
    schemas: Json = {}
    for name, schema in found.items():
        cls = classes.get(name)
        schemas[name] = _plain(schema) if cls is None else _with_texts(_plain(schema), cls)
    schemas["ActionError"] = {**schemas.pop("Failed"), "title": "ActionError"}
    schemas["ActionOutcome"] = _outcome()
    schemas["DryRunOutcome"] = _tagged("DryRun", ref("DryRun"))
    for name in ("ActionId", "Namespace", "TenantId", "ProviderId"):
        schemas[name] = {"type": "string"}
    schemas["ActionMetadata"] = {"type": "object", "additionalProperties": TEXT}
    action: Json = schemas["Action"]["properties"]
    for name, own in _NAMES.items():
        text = action[name].get("description")
        action[name] = {**ref(own), **({"description": text} if text else {})}
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
    return dict(sorted(schemas.items()))


def _outcome() -> Json:
    suppressed = _object({"rule": TEXT})
    rerouted = _object(
        {
            "original_provider": TEXT,
            "new_provider": TEXT,
            "response": ref("ProviderResponse"),
        }
    )
    return {
        "title": "ActionOutcome",
        "description": "What became of an action: exactly one of six.",
        "oneOf": [
            _tagged("Executed", ref("ProviderResponse")),
            {"type": "string", "enum": ["Deduplicated"]},
            _tagged("Suppressed", suppressed),
            _tagged("Rerouted", rerouted),
            _tagged("Throttled", _object({"retry_after": ref("Duration")})),
            _tagged("Failed", ref("ActionError")),
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
    properties: Json = {_own(name): dict(member) for name, member in schema["properties"].items()}
    for name, text in _MEMBER.findall(members):
        if _own(name) in properties and text != "…":
            properties[_own(name)]["description"] = " ".join(text.split())
    described = {**schema, "description": " ".join(about.split()), "properties": properties}
    if "required" in schema:
        described["required"] = [_own(name) for name in schema["required"]]
    return described


def _own(name: str) -> str:
    """Return the name that Python keeps for itself, if `name` stands in for one."""
    return name.removesuffix("_")
