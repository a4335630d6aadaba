"""The endpoints on rules: what they tell, and that looking changes nothing."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, fields

from acteon.audit import AuditSettings, AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.core import ManualClock
from acteon.gateway import GatewaySettings
from acteon.gateway.testing import ScriptedProvider, until
from acteon.provider import ProviderRegistry
from acteon.rules import OnRuleError
from acteon.rules_yaml import YamlRuleFrontend
from acteon.server.http.evaluating import EvaluateRequest
from acteon.server.testing import Answer, Api, OpenApi
from acteon.state import StateKey
from acteon.state_memory import memory_backend

EVALUATE = "/v1/rules/evaluate"
ACTION: dict[str, Any] = {
    "id": "a1",
    "namespace": "notifications",
    "tenant": "t1",
    "provider": "email",
    "action_type": "send_email",
    "payload": {"to": "u@example.com", "amount": 700},
    "dedup_key": "k1",
}
RULES = """\
  - {name: off, enabled: false, condition: {field: action.tenant, eq: t1}, action: {type: deny}}
  - name: busy
    priority: 1
    condition: {state_counter: daily, gt: 5}
    action: {type: suppress}
  - name: once
    priority: 2
    continue: true
    condition: {field: action.tenant, eq: t1}
    action: {type: deduplicate, ttl_seconds: 60}
  - name: large
    priority: 3
    condition:
      all:
        - {field: action.payload.amount, gt: 500}
        - {field: time.hour, gte: 8}
    action: {type: reroute, target_provider: sms, changes: {to: "+49"}}
  - name: never
    priority: 4
    condition: {field: action.tenant, eq: t2}
    action: {type: deny}
"""
MORNING = "2025-01-31T09:00:00Z"


def by_name(answer: Answer) -> dict[str, dict[str, Any]]:
    assert answer.status == 200, answer.body
    return {rule["rule"]: rule for rule in answer.json()["rules"]}


def two_providers(email: ScriptedProvider) -> ProviderRegistry:
    return ProviderRegistry.of({"email": email, "sms": email})


async def evaluate(api: Api, **supposed: Any) -> Answer:
    return await api.post(EVALUATE, {"action": ACTION, **supposed})


async def test_each_rule_is_explained(open_api: OpenApi, email: ScriptedProvider) -> None:
    async with open_api(RULES, providers=two_providers(email)) as api:
        answer = await evaluate(api, now=MORNING)
        version = api.gateway.rules_version

    told = answer.json()
    assert (told["rules_version"], told["warnings"]) == (version, [])
    assert datetime.fromisoformat(told["now"]) == datetime(2025, 1, 31, 9, tzinfo=UTC)
    results = {name: (rule["result"], rule["decides"]) for name, rule in by_name(answer).items()}
    assert results == {
        "off": ("disabled", False),
        "busy": ("not_matched", False),
        "once": ("matched", False),
        "large": ("matched", True),
        "never": ("not_reached", False),
    }
    rules = by_name(answer)
    assert {"field": "action.payload.amount", "value": 700} in rules["large"]["seen"]
    assert rules["busy"]["clause"] is not None
    assert (rules["off"]["would_match"], rules["never"]["would_match"]) == (True, False)
    assert told["decision"]["verdict"] == "reroute"
    assert told["decision"]["claim"] == {"rule": "once", "key": None, "ttl_seconds": 60}
    assert told["would_be"] == {
        "outcome": "rerouted",
        "provider": "sms",
        "payload": {"to": "+49", "amount": 700},
        "claim_key": "k1",
        "retry_after_seconds": None,
        "error": None,
        "code": None,
    }


async def test_time_and_state_can_be_supposed(open_api: OpenApi, email: ScriptedProvider) -> None:
    async with open_api(RULES, providers=two_providers(email)) as api:
        night = await evaluate(api, now="2025-01-31T02:00:00+01:00")
        busy = await evaluate(api, counters={"daily": 6})
        none = await evaluate(api, counters={"daily": None}, state={"x": None, "y": "text"})
    assert by_name(night)["large"]["result"] == "not_matched"
    assert night.json()["would_be"]["provider"] == "email"
    assert busy.json()["would_be"]["outcome"] == "suppressed"
    assert busy.json()["would_be"]["payload"] is None
    assert by_name(none)["busy"]["result"] == "not_matched"


async def test_what_is_not_supposed_is_read_and_nothing_is_written(
    open_api: OpenApi, email: ScriptedProvider
) -> None:
    state = memory_backend()
    trail = AuditTrail(MemoryAuditStore(), AuditSettings(mode="sync"))
    throttled = RULES + (
        "  - {name: few, priority: 2, continue: true, condition: {all: []},"
        " action: {type: throttle, max_count: 1, window_seconds: 3600}}\n"
    )
    key = StateKey("notifications", "t1", "counter", "daily")
    async with open_api(throttled, state=state, audit=trail, providers=two_providers(email)) as api:
        before = (await api.get("/metrics/prometheus")).body
        for _ in range(3):
            assert (await evaluate(api)).json()["would_be"]["outcome"] in ("executed", "rerouted")
        assert (await api.get("/v1/audit")).json()["total"] == 0
        assert (await api.get("/metrics/prometheus")).body == before
        assert email.calls == []

        await state.store.increment(key, 6, ttl=None)
        assert (await evaluate(api)).json()["would_be"]["outcome"] == "suppressed"
        await state.store.delete(key)

        # Neither the claim nor the only place of the quota has been taken by all that.
        outcome = (await api.post("/v1/dispatch", ACTION)).json()
        assert outcome.keys() & {"Executed", "Rerouted"}
        assert (await evaluate(api)).json()["would_be"]["outcome"] == "deduplicated"
        fresh = await api.post(EVALUATE, {"action": {**ACTION, "id": "a2", "dedup_key": "k2"}})
        assert fresh.json()["would_be"]["outcome"] == "throttled"
        assert 0 < fresh.json()["would_be"]["retry_after_seconds"] <= 3600
        assert (await api.get("/v1/audit")).json()["total"] == 1


async def test_other_rules_can_be_tried(open_api: OpenApi) -> None:
    text = """\
rules:
  - name: mine
    condition: {field: action.payload.amount, gt: 600}
    action: {type: reroute, target_provider: nobody}
"""
    async with open_api(RULES) as api:
        version = api.gateway.rules_version
        answer = await evaluate(api, rules=text)
        assert api.gateway.rules_version == version
    told = answer.json()
    assert list(by_name(answer)) == ["mine"]
    assert told["rules_version"] != version
    assert told["would_be"]["outcome"] == "error"
    assert told["would_be"]["code"] == "PROVIDER_NOT_FOUND"
    assert "which is not configured" in told["warnings"][0]


GUARDED = """\
  - name: guard
    condition:
      any:
        - {field: env.stage, eq: staging}
        - {field: env.stage, is_null: true}
        - {field: env.region, eq: eu}
    action: {type: deny}
"""


async def test_variables_can_be_supposed(open_api: OpenApi) -> None:
    settings = GatewaySettings(environment={"stage": "production", "region": "us"})
    async with open_api(GUARDED, settings=settings) as api:
        told = {
            text: (await evaluate(api, environment=supposed)).json()["would_be"]["outcome"]
            for text, supposed in {
                "as it is": {},
                "elsewhere": {"region": "eu"},
                "staging": {"stage": "staging"},
                "undefined": {"stage": None},
            }.items()
        }
        dispatched = await api.post("/v1/dispatch", ACTION)
    assert told == {
        "as it is": "executed",
        "elsewhere": "suppressed",
        "staging": "suppressed",
        "undefined": "suppressed",
    }
    assert "Executed" in dispatched.json(), "what was supposed is forgotten"


async def test_the_request_that_the_page_shows_is_answered(open_api: OpenApi) -> None:
    page = (Path(__file__).parents[3] / "docs" / "rules-tools.md").read_text()
    (body,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert set(json.loads(body)) == {each.name for each in fields(EvaluateRequest)}
    async with open_api(RULES) as api:
        answer = await api.post(EVALUATE, json.loads(body))
    assert answer.json()["would_be"]["outcome"] == "suppressed"


async def test_a_rule_that_fails_is_told(open_api: OpenApi) -> None:
    rule = "  - {name: odd, condition: {field: action.payload.to, gt: 5}, action: {type: deny}}\n"
    async with open_api(rule) as api:
        answer = await evaluate(api)
    told = answer.json()
    assert told["decision"] is None
    assert told["would_be"]["code"] == "RULE_ERROR"
    assert "(rule 'odd')" in told["would_be"]["error"]
    assert by_name(answer)["odd"]["result"] == "failed"


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"rules": "rules: ["}, 400, "rules: line 1:9: while parsing a flow"),
        ({"rules": "rules:\n - {name: x}"}, 400, "rules: line 2:4: rule 'x': "),
        ({"now": "yesterday"}, 422, "Failed to deserialize"),
        ({"now": "2025-01-31T09:00:00"}, 422, "Failed to deserialize"),
        ({"counters": {"c": "6"}}, 422, "Failed to deserialize"),
        ({"counters": {"c": True}}, 422, "Failed to deserialize"),
        ({"state": {"s": 6}}, 422, "Failed to deserialize"),
        ({"environment": {"stage": 1}}, 422, "Failed to deserialize"),
        ({"counter": {"c": 6}}, 422, "Failed to deserialize the JSON body into the target type: "
         "unknown field `counter`; did you mean `counters`?"),
        ({"action": {"namespace": "n"}}, 422, "Failed to deserialize"),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(
    open_api: OpenApi, change: dict[str, Any], status: int, text: str
) -> None:
    async with open_api(RULES) as api:
        answer = await evaluate(api, **change)
    assert answer.status == status
    assert answer.json()["error"].startswith(text)


async def test_the_list_keeps_to_four_keys_unless_details_are_wanted(
    open_api: OpenApi, email: ScriptedProvider
) -> None:
    async with open_api(RULES, providers=two_providers(email)) as api:
        await api.post("/v1/dispatch", ACTION)
        plain = (await api.get("/v1/rules")).json()
        same = (await api.get("/v1/rules?details=false")).json()
        details = (await api.get("/v1/rules?details=true")).json()
        wrong = await api.get("/v1/rules?details=yes")
    assert plain == same
    assert {frozenset(rule) for rule in plain} == {
        frozenset({"name", "priority", "enabled", "description"})
    }
    (once,) = [rule for rule in details if rule["name"] == "once"]
    assert once == {
        "name": "once",
        "priority": 2,
        "enabled": True,
        "description": None,
        "file": "",
        "line": 7,
        "verdict": "deduplicate",
        "condition": once["condition"],
        "continue": True,
        "shadow": False,
        "on_error": None,
        "timezone": "UTC",
        "matches": 1,
        "errors": 0,
    }
    assert "action.tenant" in once["condition"]
    assert wrong.status == 400


async def test_shadow_rules_are_counted_and_recorded_and_do_nothing(
    open_api: OpenApi, email: ScriptedProvider
) -> None:
    text = (
        "rules:\n"
        "  - {name: tried, condition: {all: []}, action: {type: deny}}\n"
        "  - {name: broken, condition: {field: action.payload.to, gt: 5}, action: {type: deny}}\n"
        "  - {name: real, condition: {all: []}, action: {type: deduplicate, ttl_seconds: 60}}\n"
    )
    tried, broken, real = YamlRuleFrontend().parse(text).rules
    rules = (evolve(tried, shadow=True), evolve(broken, shadow=True), real)
    trail = AuditTrail(MemoryAuditStore(), AuditSettings(mode="sync"))
    async with open_api(initial_rules=rules, audit=trail) as api:
        dry = (await api.post("/v1/dispatch?dry_run=true", ACTION)).json()
        assert "Executed" in (await api.post("/v1/dispatch", ACTION)).json()
        (record,) = (await api.get("/v1/audit")).json()["records"]
        told = (await api.get("/metrics/prometheus")).body.decode()
        details = (await api.get("/v1/rules?details=true")).json()
    assert dry["DryRun"]["shadowed"] == [{"rule": "tried", "verdict": "deny"}]
    assert (record["verdict"], record["matched_rule"]) == ("deduplicate", "real")
    assert record["verdict_details"]["shadow_rules"] == [{"rule": "tried", "verdict": "deny"}]
    assert record["verdict_details"]["matched_rules"] == [
        {"rule": "real", "verdict": "deduplicate"}
    ]
    assert [error["rule"] for error in record["verdict_details"]["rule_errors"]] == ["broken"]
    assert 'acteon_rule_shadow_matches_total{rule="tried"} 1.0' in told
    assert 'acteon_rule_matches_total{rule="real"} 1.0' in told
    assert 'acteon_rule_matches_total{rule="tried"}' not in told
    assert 'acteon_rule_errors_total{rule="broken"} 1.0' in told
    counted = {rule["name"]: (rule["shadow"], rule["matches"]) for rule in details}
    assert counted == {"tried": (True, 1), "broken": (True, 0), "real": (False, 1)}


@pytest.mark.parametrize(
    ("on_error", "outcome", "verdict"),
    [
        (OnRuleError.FAIL, "error", "error"),
        (OnRuleError.SKIP, "Executed", "allow"),
        (OnRuleError.DENY, "Suppressed", "deny"),
    ],
)
async def test_a_rule_says_itself_what_its_failure_does(
    open_api: OpenApi, on_error: OnRuleError, outcome: str, verdict: str
) -> None:
    text = (
        "rules: [{name: odd, condition: {field: action.payload.to, gt: 5}, action: {type: deny}}]"
    )
    (odd,) = YamlRuleFrontend().parse(text).rules
    trail = AuditTrail(MemoryAuditStore(), AuditSettings(mode="sync"))
    async with open_api(initial_rules=(evolve(odd, on_error=on_error),), audit=trail) as api:
        assert outcome in (await api.post("/v1/dispatch", ACTION)).json()
        (record,) = (await api.get("/v1/audit")).json()["records"]
        assert api.gateway.metrics.rule_errors == {"odd": 1}
    assert record["verdict"] == verdict
    assert [error["rule"] for error in record["verdict_details"]["rule_errors"]] == ["odd"]


async def test_a_reload_tells_the_version(open_api: OpenApi, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"rules:\n{RULES}")
    async with open_api(rules_directory=tmp_path) as api:
        told = (await api.post("/v1/rules/reload")).json()
        assert (told["errors"], told["reloaded"], told["loaded"]) == ([], 5, 5)
        assert re.fullmatch("[0-9a-f]{16}", told["version"])
        assert told["version"] == api.gateway.rules_version
        info = f'acteon_rules_info{{version="{told["version"]}"}} 1.0'
        assert info in (await api.get("/metrics/prometheus")).body.decode()
        await api.send("PUT", "/v1/rules/once/enabled", {"enabled": False})
        assert api.gateway.rules_version != told["version"]
    async with open_api() as api:
        again = await api.post("/v1/rules/reload", {"directory": str(tmp_path)})
        assert again.json()["version"] == told["version"]


async def test_rules_that_cannot_be_put_in_force_are_told_by_metrics(
    open_api: OpenApi, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(f"rules:\n{RULES}")
    clock = ManualClock()
    async with open_api(rules_directory=tmp_path, watch_rules=True, clock=clock) as api:
        loaded = clock.now().timestamp()
        (tmp_path / "a.yaml").write_text("rules: [")
        assert (await api.post("/v1/rules/reload")).status == 500
        await until(lambda: api.gateway.rules_stale)
        told = (await api.get("/metrics/prometheus")).body.decode()
        assert (await api.get("/ready")).status == 200
    assert "acteon_rules_stale 1.0" in told
    assert re.search(r"^acteon_rules_load_failures_total [12]\.0$", told, re.MULTILINE)
    (shown,) = re.findall(r"^acteon_rules_loaded_timestamp_seconds (\S+)$", told, re.MULTILINE)
    assert float(shown) == pytest.approx(loaded)
