"""Thousands of requests made from the OpenAPI document: each is answered as it says.

That is so for a server that asks nobody who they are, and for one that does, and counts.
"""

# Schemathesis leaves some of its types open.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from attrs import define, field
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from acteon.server.http.openapi import openapi_document

EXAMPLES = {
    "dispatch": 470,
    "dispatch_batch": 250,
    "query_audit": 200,
    "get_audit_by_action": 150,
    "replay_audit": 130,
    "replay_audit_by_action": 100,
    "erase_audit": 130,
    "set_rule_enabled": 130,
    "health": 1,
    "ready": 1,
    "metrics": 1,
    "metrics_prometheus": 1,
    "list_rules": 10,
    "evaluate_rules": 150,
    "list_providers": 1,
    "check_providers": 1,
    "reload_providers": 3,
    "set_provider_circuit": 60,
    "dlq_stats": 1,
    "dlq_drain": 1,
    "login": 60,
    "logout": 5,
    "reload_rules": 130,  # Last: it may put other rules in force.
}
"""How many requests each operation gets that fit the document, and as many that do not."""
EACH = 2_500
"""So many requests at least does each of the two servers get."""
_ONE = ("/v1/dispatch", "/v1/audit/{action_id}/replay")
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]

RULES = """
rules:
  - name: no-spam
    priority: 1
    condition: {field: action.action_type, eq: spam}
    action: {type: suppress}
  - name: no-zeros
    priority: 2
    condition: {field: action.tenant, contains: "0"}
    action: {type: deny}
  - name: elsewhere
    priority: 3
    condition: {field: action.namespace, starts_with: a}
    action: {type: reroute, target_provider: other}
  - name: once
    priority: 4
    condition: {field: action.provider, ne: email}
    action: {type: deduplicate, ttl_seconds: 60}
  - name: few
    priority: 5
    condition: {field: action.id, ne: ""}
    action: {type: throttle, max_count: 5, window_seconds: 60}
"""
CONFIGURATION = """
[server]
port = 0
[audit]
enabled = true
[executor]
dlq_enabled = true
max_retries = 0
[[providers]]
name = "email"
type = "log"
[[providers]]
name = "other"
type = "log"
"""
GUARDED = """
[auth]
enabled = true
[rate_limit]
enabled = true
"""
LIMITS = """
[callers.default]
requests_per_window = 1000000
[callers.overrides.scoped]
requests_per_window = 20
window_seconds = 1
[tenants]
enabled = true
default = { requests_per_window = 50, window_seconds = 1 }
"""
MASTER_KEY = bytes(range(32)).hex()
KEYS = (*("op-key",) * 6, "viewer-key", "scoped-key", "wrong", "")
"""Who asks a server that wants to know: most of the time somebody who may do everything."""


@define(eq=False)
class Server:
    """A server in a process of its own.

    Attributes:
        url: Where it listens.
        guarded: Whether it asks who they are.
        answers: How many of each status it gave.
        actions: How many actions it took.
    """

    url: str
    guarded: bool
    chance: random.Random = field(factory=lambda: random.Random(0))
    session: requests.Session = field(factory=requests.Session)
    answers: Counter[int] = field(factory=Counter[int])
    actions: int = 0

    def send(self, case: Case[Any]) -> None:
        """Send `case`, and check that the answer is a documented one."""
        headers: dict[str, str] = {}
        if self.guarded:
            case.headers.pop("Authorization", None)
            headers["X-API-Key"] = self.chance.choice(KEYS)
        response = case.call(base_url=self.url, session=self.session, headers=headers, timeout=20)
        self.answers[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)
        if response.status_code == 200 and case.path.startswith("/v1/dispatch"):
            said: Any = response.json()
            answers: list[Any] = said if isinstance(said, list) else [said]
            self.actions += sum("DryRun" not in answer for answer in answers)
        elif response.status_code == 200 and case.path.endswith("/replay"):
            replayed: Any = response.json()
            items: list[Any] = replayed.get("results", [replayed])
            self.actions += sum(item["new_action_id"] is not None for item in items)
        elif response.status_code in (500, 503) and case.path in _ONE:
            self.actions += 1


@pytest.fixture(params=[("uvicorn", ""), ("hypercorn", RULES)], ids=["open", "guarded"])
def fuzzed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Give a server, and look at its log in the end."""
    asgi, rules = request.param
    text = CONFIGURATION
    if rules:
        (tmp_path / "rules").mkdir()
        (tmp_path / "rules" / "rules.yaml").write_text(rules)
        text += '[rules]\ndirectory = "rules"\n'
        text += GUARDED
        shutil.copy(Path(__file__).parent / "auth.toml", tmp_path)
        (tmp_path / "ratelimit.toml").write_text(LIMITS)
    (tmp_path / "acteon.toml").write_text(text)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ACTEON_")}
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "acteon.server"],
            cwd=tmp_path,
            env={
                **kept,
                "ACTEON_SERVER_ASGI": asgi,
                "ACTEON_LOG_FORMAT": "json",
                "ACTEON_AUTH_KEY": MASTER_KEY,
            },
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        try:
            yield Server(_announced(log, process), guarded=bool(rules))
        finally:
            process.terminate()
            process.communicate()
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [record for record in records if record["level"].lower() == "error"] == []
    assert "Traceback" not in log.read_text()


def _announced(log: Path, process: "subprocess.Popen[bytes]") -> str:
    while process.poll() is None:
        for line in log.read_text().splitlines():
            record: dict[str, Any] = json.loads(line) if line.endswith("}") else {}
            if record.get("message") == "listening":
                return str(record["acteon.url"])
    raise AssertionError(f"it did not start: {log.read_text()}")


@pytest.mark.fuzz
@pytest.mark.timeout(300)  # A hang of the server ends a request after 20 s.
def test_every_request_is_answered_as_documented(fuzzed: Server) -> None:
    # It does not tell checkers of types what its operations are.
    document: Any = schemathesis.openapi.from_dict(openapi_document())
    found = [result.ok() for result in document.get_all_operations()]
    operations = {operation.definition.raw["operationId"]: operation for operation in found}
    assert operations.keys() == EXAMPLES.keys()
    for name, examples in EXAMPLES.items():
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @settings(
                max_examples=examples,
                derandomize=True,
                database=None,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            )
            @given(operations[name].as_strategy(generation_mode=mode))
            def fuzz(case: Case[Any]) -> None:
                fuzzed.send(case)

            try:
                fuzz()
            except Unsatisfiable:
                # What takes nothing, or any text at all, cannot be asked wrongly.
                assert mode is GenerationMode.NEGATIVE
    counted = requests.get(f"{fuzzed.url}/metrics", timeout=20).json()
    assert counted["dispatched"] == fuzzed.actions
    assert fuzzed.answers.total() >= EACH
    if fuzzed.guarded:
        assert min(fuzzed.answers[status] for status in (200, 401, 403, 429)) > 10
