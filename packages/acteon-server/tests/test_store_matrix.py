"""Any state backend with any audit backend: all of them behave alike."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from acteon.audit import AuditQuery
from acteon.server.audittools import export
from acteon.server.config import Asgi, Config, parse_config
from acteon.server.http import create_app
from acteon.server.opening import open_audit_store, open_gateway
from acteon.server.testing import Api, RunningServer
from servers import clickhouse, dynamodb, elasticsearch, postgres, redis
from servers.process import Server

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

SERVERS: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "clickhouse": clickhouse.running,
    "dynamodb": dynamodb.running,
    "elasticsearch": elasticsearch.running,
    "postgres": postgres.running,
    "redis": redis.running,
}
STATES = {
    "memory": "",
    "redis": "",
    "postgres": "",
    "dynamodb": "",
    "clickhouse": "allow_weak_locks = true",
    "sqlite": "",
}
AUDITS = ("memory", "postgres", "clickhouse", "elasticsearch")
PAIRS = list(product(STATES, AUDITS))
RULES = """
rules:
  - name: once
    priority: 1
    condition: {field: action.action_type, eq: once}
    action: {type: deduplicate, ttl_seconds: 600}
  - name: few
    priority: 2
    condition: {field: action.action_type, eq: few}
    action: {type: throttle, max_count: 1, window_seconds: 600}
  - name: elsewhere
    priority: 3
    condition: {field: action.action_type, eq: elsewhere}
    action: {type: reroute, target_provider: log}
"""
CONFIG = """
[state]
backend = "{state}"
{state_settings}
[audit]
enabled = true
backend = "{audit}"
{audit_settings}
[audit.redact]
enabled = true
[rules]
directory = "rules"
[executor]
max_retries = 0
[[providers]]
name = "log"
type = "log"
"""
VARIES = re.compile(
    r'"[0-9a-f]{8}-[0-9a-f-]{27}"|"20\d\d-[^"]*Z"'
    r'|"(?:secs|retry_after_secs|duration_ms)": \d+|"next_cursor": (?:null|"[^"]*")'
)
"""Ids that we make, instants, and times that were measured."""


def act(number: int, kind: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"a{number}",
        "namespace": "shop",
        "tenant": "acme",
        "provider": "log",
        "action_type": kind,
        "payload": {"to": f"u{number % 3}@example.com", "token": "t0k3n"},
        "metadata": {"team": "growth"},
        **changes,
    }


ASKED: list[tuple[str, str, Any]] = [
    ("POST", "/v1/dispatch", act(1, "once", dedup_key="k")),
    ("POST", "/v1/dispatch", act(2, "once", dedup_key="k")),
    ("POST", "/v1/dispatch", act(3, "few")),
    ("POST", "/v1/dispatch", act(5, "elsewhere", provider="ghost")),
    ("POST", "/v1/dispatch", act(4, "few")),
    ("POST", "/v1/dispatch/batch", [act(6, "plain")]),
    ("POST", "/v1/dispatch/batch", [act(7, "plain", provider="ghost")]),
    ("GET", "/v1/audit?tenant=acme&limit=3", None),
    ("GET", "/v1/audit?action_type=once&outcome=deduplicated", None),
    ("GET", "/v1/audit?namespace=mill", None),
    ("GET", "/v1/audit/a6", None),
    ("GET", "/v1/audit/none", None),
    ("POST", "/v1/audit/a6/replay", {"dry_run": True}),
    ("POST", "/v1/audit/a6/replay", None),
    ("POST", "/v1/audit/erase", {"tenant": "acme", "path": "to", "value": "u0@example.com"}),
    ("POST", "/v1/audit/erase", {"action_type": "elsewhere"}),
    ("GET", "/v1/audit?action_type=audit.erase", None),
    ("POST", "/v1/audit/replay", {"action_type": "elsewhere"}),
    ("GET", "/v1/audit?tenant=acme", None),
    ("GET", "/ready", None),
]
"""In this order; each is answered alike everywhere."""


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    """Give where each server is."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(start()).url for name, start in SERVERS.items()}


def configuration(state: str, audit: str, urls: dict[str, str], folder: Path) -> Config:
    """Return a configuration in which nothing is there yet."""
    (folder / "rules").mkdir()
    (folder / "rules" / "rules.yaml").write_text(RULES)
    prefix = f'prefix = "{state}_{audit}_"\n'
    state_settings = f'url = "{urls[state]}"\n{prefix}' if state in urls else ""
    if state == "dynamodb":
        state_settings = f'url = "{urls[state]}"\ntable_name = "with_{audit}"\n'
    if state == "sqlite":
        state_settings = f'path = "{folder}/state.db"\n'
    audit_settings = f'url = "{urls[audit]}"\n{prefix}' if audit in urls else ""
    text = CONFIG.format(
        state=state,
        audit=audit,
        state_settings=state_settings + STATES[state],
        audit_settings=audit_settings,
    )
    return parse_config(text, directory=folder)


@asynccontextmanager
async def served(config: Config) -> AsyncGenerator[Api]:
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(stack, config)
        server = await stack.enter_async_context(RunningServer(Asgi.UVICORN))
        server.app = create_app(gateway)
        yield Api(gateway, server.url)


async def answers(api: Api) -> list[tuple[str, int, str]]:
    """Return what is answered to all that is asked, but for what varies."""
    found: list[tuple[str, int, str]] = []
    for method, target, body in ASKED:
        # ClickHouse keeps whole milliseconds; records of one have no order that all share.
        await asyncio.sleep(0.002)
        answer = await api.send(method, target, body)
        said = json.dumps(answer.json(), sort_keys=True)
        found.append((target, answer.status, VARIES.sub("…", said)))
    return found


@pytest.fixture(scope="module")
def expected() -> list[Any]:
    """Give where the answers with everything in memory are kept, once they are known."""
    return []


@pytest.mark.parametrize(("state", "audit"), PAIRS)
async def test_each_pair_answers_alike(
    state: str, audit: str, urls: dict[str, str], tmp_path: Path, expected: list[Any]
) -> None:
    config = configuration(state, audit, urls, tmp_path)
    async with served(config) as api:
        found = await answers(api)
        total = (await api.gateway.trail.query(AuditQuery())).total
    if not expected:
        assert (state, audit) == PAIRS[0]
        expected.extend(found)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine == theirs
    if audit == "memory":
        return

    # Another process finds it all, and removes what has expired.
    exported = tmp_path / "all.jsonl"
    assert await export(config, AuditQuery(), exported) == total
    lines = exported.read_text().splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == total
    assert "t0k3n" not in exported.read_text()
    async with AsyncExitStack() as stack:
        store = await open_audit_store(stack, config)
        now = datetime.now(UTC)
        assert await store.clean_up(now) == 0
        await removed(store, now + timedelta(days=40))
        assert (await store.query(AuditQuery())).total == 0


async def removed(store: Any, now: datetime) -> None:
    """Have what has expired removed, by stores that begin it and by others."""
    for _ in range(50):
        await store.clean_up(now)
        if not (await store.query(AuditQuery())).total:
            return
