"""The API, where it takes several requests to see what is promised. Ids are case numbers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from acteon.audit import AuditSettings, AuditTrail, Redaction
from acteon.audit_memory import MemoryAuditStore
from acteon.core import ManualClock
from acteon.executor import MemoryDeadLetters
from acteon.gateway.testing import ScriptedProvider, until
from acteon.provider import ExecutionFailedError, ProviderConnectionError, ProviderRegistry
from acteon.server.testing import Api, OpenApi
from acteon.state import lock_name
from acteon.state_memory import memory_backend

A: dict[str, Any] = {
    "id": "a1",
    "namespace": "notifications",
    "tenant": "t1",
    "provider": "email",
    "action_type": "send_email",
    "payload": {"to": "u@example.com"},
    "created_at": "2025-01-01T00:00:00Z",
}
EXECUTED = {"Executed": {"status": "success", "body": {"ok": True}, "headers": {}}}

DISPATCH = "/v1/dispatch"
BATCH = "/v1/dispatch/batch"
RELOAD = "/v1/rules/reload"


def rule(name: str, action: str, when: str = "action.tenant, eq: t1") -> str:
    return f"  - {{name: {name}, condition: {{field: {when}}}, action: {action}}}\n"


SUPPRESS = "{type: suppress}"
DEDUPLICATE = "{type: deduplicate, ttl_seconds: 300}"
TO_GHOST = "{type: reroute, target_provider: ghost}"


@frozen
class Bench:
    """What a story is told with."""

    open: OpenApi
    email: ScriptedProvider
    folder: Path

    def rules_folder(self, name: str, **files: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        for file, text in files.items():
            (folder / f"{file}.yaml").write_text(text)
        return folder


Story = Callable[[Bench], Awaitable[None]]
STORIES: dict[str, Story] = {}


def story(*numbers: str) -> Callable[[Story], Story]:
    """Register a story under the numbers of the cases that it tells."""

    def register(told: Story) -> Story:
        STORIES["+".join(numbers)] = told
        return told

    return register


def audited(ttl: timedelta | None = None, **settings: Any) -> dict[str, Any]:
    made = AuditSettings(mode="sync", ttl=ttl, **settings)
    return {"audit": AuditTrail(MemoryAuditStore(), made)}


async def said(api: Api, target: str) -> Any:
    answer = await api.get(target)
    assert answer.status == 200, answer
    return answer.json()


async def dispatched(api: Api, **changes: Any) -> Any:
    answer = await api.post(DISPATCH, {**A, **changes})
    assert answer.status == 200, answer
    return answer.json()


async def the_record(api: Api, query: str = "") -> Any:
    page = await said(api, f"/v1/audit{query}")
    (record,) = page["records"]
    return record


@story("11")
async def counters_count(bench: Bench) -> None:
    async with bench.open() as api:
        await dispatched(api)
        found = await said(api, "/metrics")
    assert found.pop("dispatched") == found.pop("executed") == 1
    assert set(found.values()) == {0}


@story("42")
async def a_second_one_with_the_key_is_deduplicated(bench: Bench) -> None:
    async with bench.open(rule("once", DEDUPLICATE)) as api:
        assert await dispatched(api, dedup_key="k") == EXECUTED
        assert await dispatched(api, dedup_key="k") == "Deduplicated"


@story("43")
async def a_held_lock_ends_the_wait_after_five_seconds(bench: Bench) -> None:
    clock = ManualClock()
    state = memory_backend(clock)
    name = lock_name("notifications", "t1", "a1")
    await state.locks.try_acquire(name, "another", timedelta(hours=1))
    async with bench.open(state=state, clock=clock) as api, asyncio.TaskGroup() as group:
        asking = group.create_task(api.post(DISPATCH, A))
        await until(lambda: api.gateway.in_flight > 0)
        await until(asking.done, clock, timedelta(seconds=1))
    answer = asking.result()
    assert answer.status == 500
    assert answer.json()["error"] == "lock acquisition failed: operation timed out after 5s"


@story("44")
async def what_fails_for_good_is_told(bench: Bench) -> None:
    bench.email.answers.append(ExecutionFailedError("permanent"))
    async with bench.open() as api:
        assert await dispatched(api) == {
            "Failed": {
                "code": "EXECUTION_FAILED",
                "message": "execution failed: permanent",
                "retryable": False,
                "attempts": 1,
            }
        }


@story("48")
async def one_malformed_element_refuses_the_batch(bench: Bench) -> None:
    async with bench.open() as api:
        assert (await api.post(BATCH, [A, {}])).status == 422
        assert (await said(api, "/metrics"))["dispatched"] == 0


@story("49")
async def an_element_may_fail_alone(bench: Bench) -> None:
    rules = rule("away", TO_GHOST, "action.action_type, eq: x")
    batch = [A, {**A, "id": "ax", "action_type": "x"}, {**A, "id": "a2"}]
    async with bench.open(rules) as api:
        answer = await api.post(BATCH, batch)
    assert answer.status == 200
    first, second, third = answer.json()
    assert first == third == EXECUTED
    assert second["error"] == "provider not found: ghost"


@story("53", "54")
async def rules_are_switched_off_and_on(bench: Bench) -> None:
    async with bench.open(rule("r", SUPPRESS)) as api:
        off = await api.send("PUT", "/v1/rules/r/enabled", {"enabled": False})
        assert off.json() == {"name": "r", "enabled": False, "status": "disabled"}
        assert [found["enabled"] for found in await said(api, "/v1/rules")] == [False]
        assert await dispatched(api) == EXECUTED
        on = await api.send("PUT", "/v1/rules/r/enabled", {"enabled": True})
        assert on.json() == {"name": "r", "enabled": True, "status": "enabled"}
        assert await dispatched(api) == {"Suppressed": {"rule": "r"}}


@story("59")
async def a_directory_is_loaded(bench: Bench) -> None:
    folder = bench.rules_folder("new", one=f"rules:\n{rule('one', SUPPRESS)}")
    async with bench.open() as api:
        answer = await api.post(RELOAD, {"directory": str(folder)})
        assert answer.status == 200, answer
        assert answer.json()["reloaded"] == 1
        assert answer.json()["directory"] == str(folder)
        assert [found["name"] for found in await said(api, "/v1/rules")] == ["one"]


@story("64", "B5")
async def a_bad_file_changes_nothing(bench: Bench) -> None:
    folder = bench.rules_folder("bad", bad="rules: [", good=f"rules:\n{rule('new', SUPPRESS)}")
    async with bench.open(rule("old", SUPPRESS)) as api:
        answer = await api.post(RELOAD, {"directory": str(folder)})
        assert answer.status == 500
        assert answer.json()["error"].startswith("configuration error: parse error:")
        assert [found["name"] for found in await said(api, "/v1/rules")] == ["old"]


@story("65")
async def an_empty_directory_leaves_no_rules(bench: Bench) -> None:
    async with bench.open(rule("old", SUPPRESS)) as api:
        answer = await api.post(RELOAD, {"directory": str(bench.rules_folder("empty"))})
        assert answer.json()["reloaded"] == 0
        assert await said(api, "/v1/rules") == []


@story("69")
async def a_dispatch_is_recorded(bench: Bench) -> None:
    async with bench.open(**audited()) as api:
        await dispatched(api)
        page = await said(api, "/v1/audit")
    (record,) = page.pop("records")
    assert page == {"total": 1, "limit": 50, "offset": 0, "next_cursor": None}
    assert record["verdict"] == "allow"
    assert record["outcome"] == "executed"
    assert record["outcome_details"] == {"status": "Success"}
    # Case 114 is the other one.
    asked = ("op", "api_key") if api.headers else ("", "anonymous")
    assert (record["caller_id"], record["auth_method"]) == asked
    assert record["expires_at"] is None
    assert record["action_payload"] == A["payload"]


@story("70")
async def filters_leave_out_others(bench: Bench) -> None:
    async with bench.open(**audited()) as api:
        await dispatched(api)
        page = await said(api, "/v1/audit?namespace=other")
    assert (page["total"], page["records"]) == (0, [])


@story("71")
async def pages_show_their_part(bench: Bench) -> None:
    async with bench.open(**audited()) as api:
        for number in (1, 2, 3):
            await dispatched(api, id=f"a{number}")
        page = await said(api, "/v1/audit?limit=1&offset=1")
    assert [record["action_id"] for record in page["records"]] == ["a2"]
    assert (page["total"], page["limit"], page["offset"]) == (3, 1, 1)


@story("72")
async def limits_are_clamped(bench: Bench) -> None:
    async with bench.open(**audited()) as api:
        assert (await said(api, "/v1/audit?limit=0"))["limit"] == 1
        assert (await said(api, "/v1/audit?limit=5000"))["limit"] == 1000


@story("73")
async def bad_numbers_are_refused(bench: Bench) -> None:
    async with bench.open(**audited()) as api:
        for query in ("limit=-1", "limit=", "limit=1&limit=2"):
            answer = await api.get(f"/v1/audit?{query}")
            assert answer.status == 400
            assert answer.json()["error"].startswith("Failed to deserialize query string")


@story("74")
async def a_raw_plus_is_a_blank(bench: Bench) -> None:
    async with bench.open(**audited()) as api:
        assert (await api.get("/v1/audit?from=2025-01-01T00:00:00+00:00")).status == 400


@story("75")
async def unknown_parameters_are_ignored(bench: Bench) -> None:
    async with bench.open(**audited()) as api:
        await said(api, "/v1/audit?from=2025-01-01T00:00:00Z&bogus=1")


@story("76", "77")
async def the_record_of_an_action_is_found(bench: Bench) -> None:
    async with bench.open(**audited()) as api:
        await dispatched(api)
        assert (await said(api, "/v1/audit/a1"))["action_id"] == "a1"
        missing = await api.get("/v1/audit/none")
    assert missing.status == 404
    assert missing.json()["error"] == "no audit record found for action: none"


@story("78")
async def payloads_need_not_be_kept(bench: Bench) -> None:
    async with bench.open(**audited(store_payload=False)) as api:
        await dispatched(api)
        assert (await the_record(api))["action_payload"] is None


@story("79")
async def payloads_are_redacted(bench: Bench) -> None:
    async with bench.open(**audited(redaction=Redaction(("to",)))) as api:
        await dispatched(api)
        assert (await the_record(api))["action_payload"] == {"to": "[REDACTED]"}


@story("80")
async def denials_are_recorded(bench: Bench) -> None:
    async with bench.open(rule('"no"', "{type: deny}"), **audited()) as api:
        await dispatched(api)
        record = await the_record(api)
    assert record["verdict"] == "deny"
    assert record["matched_rule"] == "no"
    assert record["outcome"] == "suppressed"
    assert record["outcome_details"] == {"rule": "no"}


@story("83", "84")
async def what_could_not_be_delivered_is_kept_and_taken_out(bench: Bench) -> None:
    bench.email.answers.append(ProviderConnectionError("boom"))
    providers = ProviderRegistry.of({"flaky": bench.email})
    async with bench.open(providers=providers, dead_letters=MemoryDeadLetters()) as api:
        assert await dispatched(api, provider="flaky") == {
            "Failed": {
                "code": "CONNECTION",
                "message": "connection error: boom",
                "retryable": True,
                "attempts": 1,
            }
        }
        assert await said(api, "/v1/dlq/stats") == {"enabled": True, "count": 1}
        drained = (await api.send("POST", "/v1/dlq/drain")).json()
        assert drained["count"] == 1
        (entry,) = drained["entries"]
        assert await said(api, "/v1/dlq/stats") == {"enabled": True, "count": 0}
    assert isinstance(entry.pop("timestamp"), int)
    assert entry == {
        "action_id": "a1",
        "namespace": "notifications",
        "tenant": "t1",
        "provider": "flaky",
        "action_type": "send_email",
        "target": "flaky",
        "error": "connection error: boom",
        "attempts": 1,
        "code": "CONNECTION",
        "payload": A["payload"],
        "metadata": {},
        "dedup_key": None,
        "created_at": "2025-01-01T00:00:00Z",
    }


@story("85")
async def what_nobody_can_deliver_is_no_dead_letter(bench: Bench) -> None:
    async with bench.open(dead_letters=MemoryDeadLetters()) as api:
        await dispatched(api, provider="unknown")
        assert (await said(api, "/v1/dlq/stats"))["count"] == 0


@story("B6")
async def without_a_body_the_configured_directory_is_loaded(bench: Bench) -> None:
    folder = bench.rules_folder("mine", one=f"rules:\n{rule('one', SUPPRESS)}")
    async with bench.open(rules_directory=folder) as api:
        answer = await api.send("POST", RELOAD)
        version = api.gateway.rules_version
    assert answer.status == 200
    assert answer.json() == {
        "reloaded": 1,
        "directory": str(folder),
        "loaded": 1,
        "version": version,
        "errors": [],
        "warnings": [],
    }


@story("B8")
async def a_failed_dispatch_holds_no_lock(bench: Bench) -> None:
    async with bench.open(rule("away", TO_GHOST)) as api:
        for _ in range(2):
            answer = await api.post(DISPATCH, A)
            assert answer.status == 500
            assert answer.json()["error"] == "provider not found: ghost"
        assert api.gateway.held == 0


@story("B11")
async def records_expire_after_thirty_days_unless_said_otherwise(bench: Bench) -> None:
    trail = AuditTrail(MemoryAuditStore(), AuditSettings(mode="sync"))
    async with bench.open(audit=trail) as api:
        await dispatched(api)
        record = await the_record(api)
    kept = datetime.fromisoformat(record["expires_at"]) - datetime.fromisoformat(
        record["dispatched_at"]
    )
    assert kept == timedelta(days=30)


@story("B14")
async def callers_are_filtered(bench: Bench) -> None:
    async with bench.open(**audited()) as api:
        await dispatched(api)
        assert (await said(api, "/v1/audit?caller_id=x"))["total"] == 0
        caller = "op" if api.headers else ""
        assert (await said(api, f"/v1/audit?caller_id={caller}"))["total"] == 1


@pytest.mark.parametrize("number", STORIES)
async def test_each_story_goes_as_documented(
    number: str, open_either: OpenApi, email: ScriptedProvider, tmp_path: Path
) -> None:
    await STORIES[number](Bench(open_either, email, tmp_path))
