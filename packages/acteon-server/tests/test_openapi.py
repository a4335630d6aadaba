"""The documentation of the API is true, complete, and works offline."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import msgspec
import pytest

from acteon.audit import AuditSettings, AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.core import Action
from acteon.server.http.openapi import openapi_document
from acteon.server.http.operations import OPERATIONS
from acteon.server.testing import OpenApi

DOCUMENT: dict[str, Any] = openapi_document()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]

OPERATIONS_WANTED = {
    ("/health", "get"): ("health", "Health", "Health check"),
    ("/metrics", "get"): ("metrics", "Health", "Gateway metrics"),
    ("/v1/dispatch", "post"): ("dispatch", "Dispatch", "Dispatch action"),
    ("/v1/dispatch/batch", "post"): ("dispatch_batch", "Dispatch", "Batch dispatch"),
    ("/v1/rules", "get"): ("list_rules", "Rules", "List rules"),
    ("/v1/rules/reload", "post"): ("reload_rules", "Rules", "Reload rules"),
    ("/v1/rules/evaluate", "post"): (
        "evaluate_rules",
        "Rules",
        "Explain what the rules decide about an action, without doing it",
    ),
    ("/v1/rules/{name}/enabled", "put"): ("set_rule_enabled", "Rules", "Toggle rule"),
    ("/v1/audit", "get"): ("query_audit", "Audit", "Query audit records"),
    ("/v1/audit/{action_id}", "get"): (
        "get_audit_by_action",
        "Audit",
        "Get audit record by action ID",
    ),
    ("/v1/audit/replay", "post"): ("replay_audit", "Audit", "Send past actions again"),
    ("/v1/audit/{action_id}/replay", "post"): (
        "replay_audit_by_action",
        "Audit",
        "Send a past action again",
    ),
    ("/v1/audit/erase", "post"): ("erase_audit", "Audit", "Erase payloads of audit records"),
    ("/v1/dlq/stats", "get"): ("dlq_stats", "DLQ", "Get DLQ statistics"),
    ("/v1/dlq/drain", "post"): ("dlq_drain", "DLQ", "Drain DLQ entries"),
    ("/v1/auth/login", "post"): ("login", "Auth", "Get a token for a password"),
    ("/v1/auth/logout", "post"): ("logout", "Auth", "Make a token good for nothing"),
}
SCHEMAS_WANTED = {
    "Action",
    "ActionOutcome",
    "ProviderResponse",
    "ResponseStatus",
    "ActionError",
    "ActionMetadata",
    "HealthResponse",
    "MetricsResponse",
    "RuleSummary",
    "ReloadRequest",
    "ReloadResponse",
    "SetEnabledRequest",
    "SetEnabledResponse",
    "ErrorResponse",
    "AuditRecord",
    "AuditQuery",
    "AuditPage",
    "ReplayRequest",
    "ReplayItem",
    "ReplayResponse",
    "EraseRequest",
    "EraseResponse",
    "DlqStatsResponse",
    "DlqEntry",
    "DlqDrainResponse",
    "ActionId",
    "Namespace",
    "TenantId",
    "ProviderId",
}


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():  # pyright: ignore[reportUnknownVariableType]
            if name == "$ref":
                yield str(member)  # pyright: ignore[reportUnknownArgumentType]
            else:
                yield from references(member)
    elif isinstance(value, list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            yield from references(item)


def test_the_document_is_of_version_3_1_and_under_our_licence() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["title"] == "Acteon Gateway API"
    assert DOCUMENT["info"]["license"]["identifier"] == "Apache-2.0"


@pytest.mark.parametrize(("path", "method"), OPERATIONS_WANTED)
def test_every_operation_has_its_name(path: str, method: str) -> None:
    found = DOCUMENT["paths"][path][method]
    assert (found["operationId"], *found["tags"], found["summary"]) == OPERATIONS_WANTED[
        path, method
    ]


def test_every_schema_is_there() -> None:
    assert set(SCHEMAS) >= SCHEMAS_WANTED


def test_every_reference_leads_somewhere_and_every_schema_is_of_use() -> None:
    found = {reference.removeprefix("#/components/schemas/") for reference in references(DOCUMENT)}
    assert found <= set(SCHEMAS)
    assert set(SCHEMAS) - found == {"AuditQuery"}


def test_what_may_be_missing_may_be_null_and_is_not_required() -> None:
    action = SCHEMAS["Action"]
    assert action["properties"]["dedup_key"]["type"] == ["string", "null"]
    assert "dedup_key" not in action["required"]


def test_an_outcome_is_one_of_six() -> None:
    assert len(SCHEMAS["ActionOutcome"]["oneOf"]) == 6


def test_texts_stand_where_they_belong() -> None:
    assert "Attributes:" not in json.dumps(DOCUMENT)
    assert SCHEMAS["ErrorResponse"]["properties"]["code"]["description"]


def test_the_example_of_an_action_is_an_action() -> None:
    (example,) = SCHEMAS["Action"]["examples"]
    assert msgspec.json.decode(json.dumps(example), type=Action).provider == example["provider"]


def test_every_error_is_documented_as_one() -> None:
    for operation in OPERATIONS:
        answers = DOCUMENT["paths"][operation.path][operation.method]["responses"]
        assert set(answers) == {"200", *map(str, operation.refusals)}
        for status in operation.refusals:
            (reference,) = references(answers[str(status)])
            wrong = ("/ErrorResponse", "/NotReadyResponse", "/RateLimitedResponse")
            assert reference.endswith(wrong)
            assert reference.endswith("/RateLimitedResponse") == (status == 429)


def test_what_not_everybody_may_do_says_how_to_tell_who_asks() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert schemes["bearerAuth"]["scheme"] == "bearer"
    assert schemes["apiKeyAuth"] == {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    for operation in OPERATIONS:
        found = DOCUMENT["paths"][operation.path][operation.method]
        named = {name for choice in found.get("security", ()) for name in choice}
        assert named == (set() if operation.public else set(schemes))
        assert operation.public or {"401", "403"} <= set(found["responses"])


def known(schema: str) -> set[str]:
    return set(SCHEMAS[schema]["properties"])


async def test_answers_have_the_members_that_are_documented(open_api: OpenApi) -> None:
    action: dict[str, Any] = {
        "id": "a1",
        "namespace": "n",
        "tenant": "t",
        "provider": "email",
        "action_type": "x",
        "payload": {},
    }
    trail = AuditTrail(MemoryAuditStore(), AuditSettings(mode="sync"))
    async with open_api(audit=trail) as api:
        outcome = (await api.post("/v1/dispatch", action)).json()
        assert set(outcome["Executed"]) == known("ProviderResponse")
        dry = (await api.post("/v1/dispatch?dry_run=true", action)).json()
        assert set(dry["DryRun"]) == known("DryRun") - {"shadowed"}
        page = (await api.get("/v1/audit")).json()
        assert set(page) == known("AuditPage")
        assert set(page["records"][0]) == known("AuditRecord")
        replayed = (await api.post("/v1/audit/replay", {"tenant": "t"})).json()
        assert set(replayed) == known("ReplayResponse")
        assert set(replayed["results"][0]) == known("ReplayItem")
        one = (await api.post("/v1/audit/a1/replay")).json()
        assert set(one) == known("ReplayItem")
        erased = (await api.post("/v1/audit/erase", {"tenant": "t"})).json()
        assert set(erased) == known("EraseResponse")
        failed = (await api.post("/v1/dispatch", {**action, "provider": "none"})).json()
        assert set(failed["Failed"]) == known("ActionError") - {"details"}  # Groups have them.
        assert set((await api.get("/health")).json()) == known("HealthResponse")
        assert set((await api.get("/ready")).json()) == known("ReadyResponse")
        assert set((await api.get("/v1/dlq/stats")).json()) == known("DlqStatsResponse")
        assert set((await api.post("/v1/dispatch", {})).json()) == known("ErrorResponse")


async def test_the_page_takes_nothing_from_elsewhere_and_is_in_no_other_page(
    open_api: OpenApi,
) -> None:
    async with open_api() as api:
        for name in ("", "swagger-ui-bundle.js"):
            answer = await api.get(f"/swagger-ui/{name}")
            policy = answer.header("content-security-policy") or ""
            rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
            assert (rules["default-src"], rules["script-src"]) == ("'none'", "'self'")
            assert (rules["connect-src"], rules["frame-ancestors"]) == ("'self'", "'none'")
            assert answer.header("x-content-type-options") == "nosniff"
            assert answer.header("referrer-policy") == "no-referrer"
        page = (await api.get("/swagger-ui/")).body.decode()
        # No script stands in the page itself.
        assert re.findall(r"<script(?! src=)", page) == []


async def test_the_page_finds_all_it_asks_for_here(open_api: OpenApi) -> None:
    async with open_api() as api:
        page = (await api.get("/swagger-ui/")).body.decode()
        wanted = re.findall(r'(?:src|href)="\./([^"]+)"', page)
        assert len(wanted) == 5
        for name in wanted:
            answer = await api.get(f"/swagger-ui/{name}")
            assert answer.status == 200
            assert answer.body
        assert "http" not in re.sub(r"<!DOCTYPE.*?>", "", page)
        start = (await api.get("/swagger-ui/swagger-initializer.js")).body.decode()
        assert "/api-doc/openapi.json" in start
        assert "validatorUrl: null" in start


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("index.html", "text/html"),
        ("swagger-ui.css", "text/css"),
        ("swagger-ui-bundle.js", "javascript"),
        ("favicon-32x32.png", "image/png"),
    ],
)
async def test_assets_say_what_they_are_and_are_kept(
    open_api: OpenApi, name: str, kind: str
) -> None:
    async with open_api() as api:
        answer = await api.get(f"/swagger-ui/{name}")
        assert kind in (answer.header("content-type") or "")
        assert "max-age" in (answer.header("cache-control") or "")
        again = await api.get(
            f"/swagger-ui/{name}", **{"if-none-match": answer.header("etag") or ""}
        )
    assert (again.status, again.body) == (304, b"")


def test_the_licence_of_the_assets_is_with_them() -> None:
    folder = files("acteon.server.http") / "swagger"
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert "SmartBear" in (folder / "NOTICE").read_text(encoding="utf-8")
