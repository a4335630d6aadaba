"""The audit trail over HTTP: pages by cursor, replays, erasures."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from acteon.audit import (
    AuditQuery,
    AuditRecord,
    AuditSettings,
    AuditStorageError,
    AuditTrail,
    Position,
    Redaction,
)
from acteon.audit.testing import NOON, PlainAuditStore, make_record
from acteon.core import Caller
from acteon.gateway.testing import ScriptedProvider
from acteon.provider import ProviderConnectionError
from acteon.server.config import ServerSection
from acteon.server.http import RequestError
from acteon.server.http.cursors import read_cursor, write_cursor
from acteon.server.testing import Api, OpenApi

A: dict[str, Any] = {
    "namespace": "n",
    "tenant": "t",
    "provider": "email",
    "action_type": "x",
    "payload": {"to": "ann"},
}
SHAPE = "Failed to deserialize the JSON body into the target type: "


def many(number: int) -> list[AuditRecord]:
    """Return records, the newest first, two of each instant."""
    return [
        make_record(
            id=f"r{number - each:04}",
            action_id=f"a{each}",
            dispatched_at=NOON - timedelta(microseconds=each // 2),
            tenant="acme" if each % 3 else "zeta",
        )
        for each in range(number)
    ]


@asynccontextmanager
async def kept(
    open_api: OpenApi, records: list[AuditRecord], **changes: Any
) -> AsyncGenerator[tuple[Api, PlainAuditStore]]:
    """Serve a gateway with an audit trail that has `records`."""
    store = PlainAuditStore()
    await store.write(records)
    async with open_api(audit=AuditTrail(store, AuditSettings(mode="sync")), **changes) as api:
        yield api, store


async def pages(api: Api, target: str) -> list[list[str]]:
    """Follow the cursors from `target` on; return the action ids of each page."""
    found: list[list[str]] = []
    cursor = ""
    while True:
        page = (await api.get(target + cursor)).json()
        found.append([record["action_id"] for record in page["records"]])
        assert page["offset"] == 0
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10, 50])
async def test_cursors_lead_through_all_records(open_api: OpenApi, limit: int) -> None:
    async with kept(open_api, many(10)) as (api, _):
        found = await pages(api, f"/v1/audit?limit={limit}")

    assert [name for page in found for name in page] == [f"a{each}" for each in range(10)]
    assert {len(page) for page in found[:-1]} <= {limit}


async def test_cursors_keep_to_the_filters(open_api: OpenApi) -> None:
    async with kept(open_api, many(10)) as (api, _):
        found = await pages(api, "/v1/audit?limit=2&tenant=zeta")

    assert found == [["a0", "a3"], ["a6", "a9"], []]


async def test_records_that_come_in_move_no_page(open_api: OpenApi) -> None:
    async with kept(open_api, many(4)) as (api, store):
        first = (await api.get("/v1/audit?limit=2")).json()
        await store.write([make_record(dispatched_at=NOON + timedelta(days=1))])
        second = (await api.get(f"/v1/audit?limit=2&cursor={first['next_cursor']}")).json()

    assert [record["action_id"] for record in second["records"]] == ["a2", "a3"]
    assert second["total"] == 5


async def test_a_page_by_offset_has_a_cursor_too(open_api: OpenApi) -> None:
    async with kept(open_api, many(5)) as (api, _):
        page = (await api.get("/v1/audit?limit=2&offset=1")).json()
        after = (await api.get(f"/v1/audit?cursor={page['next_cursor']}")).json()

    assert [record["action_id"] for record in after["records"]] == ["a3", "a4"]


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "WzFd", "a" * 5000, "%00", "bnVsbA", "WzIsIjIwMjUtMDEtMDFUMDA6MDA6MDBaIiwiYSJd"],
)
async def test_a_bad_cursor_is_refused(open_api: OpenApi, cursor: str) -> None:
    async with kept(open_api, []) as (api, _):
        answer = await api.get(f"/v1/audit?cursor={cursor}")

    assert answer.status == 400
    assert answer.json()["error"] == "cursor: give `next_cursor` of an answer, as it came"


async def test_a_cursor_and_an_offset_are_too_much(open_api: OpenApi) -> None:
    cursor = write_cursor(Position(NOON, "r"))
    async with kept(open_api, []) as (api, _):
        answer = await api.get(f"/v1/audit?offset=0&cursor={cursor}")

    assert answer.status == 400
    assert (
        answer.json()["error"] == "offset: has no place beside `cursor`, which says where to begin"
    )


@given(st.datetimes(timezones=st.just(NOON.tzinfo)), st.text(max_size=40))
def test_a_cursor_is_read_as_it_was_written(instant: Any, id: str) -> None:
    position = Position(instant, id)
    text = write_cursor(position)

    assert read_cursor(text) == position
    assert text.replace("-", "").replace("_", "").isalnum()
    assert text.isascii()


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda octets: octets.decode("latin-1")))
def test_other_texts_are_no_cursors(text: str) -> None:
    with pytest.raises(RequestError):
        read_cursor(text)


async def dispatched(api: Api, *actions: dict[str, Any]) -> None:
    for action in actions:
        assert (await api.post("/v1/dispatch", {**A, **action})).status == 200


async def test_past_actions_are_replayed_oldest_first(
    open_api: OpenApi, email: ScriptedProvider
) -> None:
    async with kept(open_api, []) as (api, _):
        await dispatched(api, {"id": "a1"}, {"id": "a2"}, {"id": "b1", "tenant": "u"})
        answer = await api.post("/v1/audit/replay", {"tenant": "t"})
        told = answer.json()
        new = (await api.get(f"/v1/audit/{told['results'][0]['new_action_id']}")).json()

    assert answer.status == 200
    assert {name: told[name] for name in told if name != "results"} == {
        "replayed": 2,
        "failed": 0,
        "skipped": 0,
        "total": 2,
        "next_cursor": None,
        "dry_run": False,
    }
    assert [each["action_id"] for each in told["results"]] == ["a1", "a2"]
    assert [each["new_action_id"] for each in told["results"]] == [
        call.id for call in email.calls[3:]
    ]
    for each in told["results"]:
        assert (each["success"], each["outcome"]) == (True, "executed")
        assert (each["error"], each["code"]) == (None, None)
    assert (new["metadata"], new["outcome"]) == ({"replayed_from": "a1"}, "executed")
    assert new["auth_method"] == "anonymous"


async def test_a_replay_is_bounded_and_goes_on_with_its_cursor(
    open_api: OpenApi, email: ScriptedProvider
) -> None:
    async with kept(open_api, []) as (api, _):
        await dispatched(api, *({"id": f"a{each}"} for each in range(5)))
        email.calls.clear()
        wanted: dict[str, Any] = {"tenant": "t", "to": NOON.replace(year=2999).isoformat()}
        sent: list[list[str]] = []
        while True:
            told = (await api.post("/v1/audit/replay", {**wanted, "limit": 2})).json()
            sent.append([each["action_id"] for each in told["results"]])
            if told["next_cursor"] is None:
                break
            wanted["cursor"] = told["next_cursor"]

    assert sent == [["a3", "a4"], ["a1", "a2"], ["a0"]]
    assert [call.metadata["replayed_from"] for call in email.calls] == [*sent[0], *sent[1], "a0"]


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/v1/audit/replay", {"tenant": "t", "dry_run": True}),
        ("/v1/audit/replay?dry_run=true", {"tenant": "t"}),
        ("/v1/audit/a1/replay", {"dry_run": True}),
        ("/v1/audit/a1/replay?dry_run=true", None),
        ("/v1/audit/a1/replay?dry_run=true", {}),
    ],
)
async def test_a_dry_run_sends_nothing(
    open_api: OpenApi, email: ScriptedProvider, target: str, body: Any
) -> None:
    async with kept(open_api, []) as (api, store):
        await dispatched(api, {"id": "a1"})
        told = (await api.post(target, body)).json()
        assert len(store.records) == 1

    assert len(email.calls) == 1
    (item,) = told.get("results", [told])
    assert item == {
        "action_id": "a1",
        "new_action_id": None,
        "success": True,
        "outcome": "executed",
        "error": None,
        "code": None,
    }
    assert told.get("dry_run", True)


async def test_what_cannot_be_sent_is_told_one_by_one(
    open_api: OpenApi, email: ScriptedProvider
) -> None:
    trail = AuditTrail(PlainAuditStore(), AuditSettings(redaction=Redaction(["token"])))
    async with open_api(audit=trail) as api:
        await dispatched(api, {"id": "gone"}, {"id": "away"}, {"id": "well"})
        await dispatched(api, {"id": "redacted", "payload": {"token": "t"}})
        await trail.record(make_record(action_id="bare", tenant="t", action_payload=None))
        email.answers.append(ProviderConnectionError("no route"))
        told = (await api.post("/v1/audit/replay", {"tenant": "t"})).json()

    counts = (told["replayed"], told["failed"], told["skipped"], told["total"])
    assert counts == (2, 1, 2, 5)
    assert {each["action_id"]: each["code"] for each in told["results"]} == {
        "bare": "PAYLOAD_MISSING",
        "gone": "CONNECTION",
        "away": None,
        "well": None,
        "redacted": "PAYLOAD_REDACTED",
    }
    failed = next(each for each in told["results"] if each["action_id"] == "gone")
    assert failed["outcome"] == "failed"
    assert "no route" in failed["error"]
    assert failed["new_action_id"] is not None


async def test_the_newest_record_of_an_action_is_replayed(
    open_api: OpenApi, email: ScriptedProvider
) -> None:
    async with kept(open_api, []) as (api, _):
        await dispatched(api, {"id": "a1"}, {"id": "a1", "payload": {"to": "bob"}})
        answer = await api.post("/v1/audit/a1/replay")
        told = answer.json()
        failing = ProviderConnectionError("no route")
        email.answers.append(failing)
        failed = await api.post("/v1/audit/a1/replay")

    assert answer.status == 200
    assert (told["action_id"], told["success"], told["outcome"]) == ("a1", True, "executed")
    assert email.calls[2].payload == {"to": "bob"}
    assert (failed.status, failed.json()["success"], failed.json()["code"]) == (
        200,
        False,
        "CONNECTION",
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"action_payload": None}, "PAYLOAD_MISSING"),
        ({"action_payload": b'{"a":"[REDACTED]"}'}, "PAYLOAD_REDACTED"),
        ({"action_payload": None, "provider": "", "action_type": "audit.erase"}, "NOT_REPLAYABLE"),
    ],
)
async def test_one_that_cannot_be_sent_is_a_conflict(
    open_api: OpenApi, email: ScriptedProvider, changes: dict[str, Any], code: str
) -> None:
    async with kept(open_api, [make_record(**changes)]) as (api, _):
        for query in ("", "?dry_run=true"):
            answer = await api.post(f"/v1/audit/a-1/replay{query}")
            assert (answer.status, answer.json()["code"]) == (409, code)
            assert answer.json()["retryable"] is False

    assert email.calls == []


async def test_one_that_is_not_there_is_not_found(open_api: OpenApi) -> None:
    async with kept(open_api, []) as (api, _):
        answer = await api.post("/v1/audit/a%2F1/replay")

    assert answer.status == 404
    assert answer.json()["error"] == "no audit record found for action: a/1"


async def test_a_gateway_that_is_closing_replays_nothing(open_api: OpenApi) -> None:
    async with kept(open_api, [make_record()]) as (api, _):
        await api.gateway.drain()
        one = await api.post("/v1/audit/a-1/replay")
        all_of_them = await api.post("/v1/audit/replay", {"tenant": "acme"})

    assert (one.status, all_of_them.status) == (503, 503)


async def test_payloads_are_erased(open_api: OpenApi) -> None:
    records = [
        make_record(id="1", action_id="a1", action_payload=b'{"to":["ann","bob"]}'),
        make_record(id="2", action_id="a2", action_payload=b'{"to":"bob"}'),
        make_record(id="3", action_id="a3", action_payload=b'{"to":"ann"}', tenant="zeta"),
    ]
    async with kept(open_api, records) as (api, store):
        wanted: dict[str, Any] = {"tenant": "acme", "path": "to", "value": "ann"}
        assert (await api.post("/v1/audit/erase", {**wanted, "dry_run": True})).json() == {
            "matched": 1,
            "erased": 0,
        }
        await api.post("/v1/audit/erase?dry_run=true", wanted)
        assert list(store.records.values()) == records
        answer = await api.post("/v1/audit/erase", wanted)
        assert (answer.status, answer.json()) == (200, {"matched": 1, "erased": 1})
        assert store.records["1"] == evolve(records[0], action_payload=None)
        assert [store.records["2"], store.records["3"]] == records[1:]
        told = (await api.get("/v1/audit?action_type=audit.erase")).json()

    (record,) = told["records"]
    assert record["outcome_details"] == {
        "filters": {"tenant": "acme"},
        "path": "to",
        "matched": 1,
        "erased": 1,
    }
    assert record["auth_method"] == "anonymous"


async def test_an_erasure_by_filters_alone(open_api: OpenApi) -> None:
    async with kept(open_api, many(6)) as (api, _):
        answer = await api.post(
            "/v1/audit/erase", {"tenant": "zeta", "to": "2025-01-01T11:59:59.999999Z"}
        )

    assert answer.json() == {"matched": 1, "erased": 1}


async def test_null_and_false_are_values(open_api: OpenApi) -> None:
    records = [
        make_record(action_payload=b'{"a":null}'),
        make_record(action_payload=b'{"a":false}'),
        make_record(action_payload=b"{}"),
    ]
    async with kept(open_api, records) as (api, _):
        for value in (None, False):
            answer = await api.post("/v1/audit/erase", {"path": "a", "value": value})
            assert answer.json() == {"matched": 1, "erased": 1}


class TornStore(PlainAuditStore):
    """Finds records, and fails to erase anything."""

    async def erase(self, record_ids: object) -> int:
        raise AuditStorageError("it is torn")


async def test_an_erasure_that_fails_is_an_error_and_recorded(open_api: OpenApi) -> None:
    store = TornStore()
    await store.write([make_record()])
    async with open_api(audit=AuditTrail(store, AuditSettings(mode="sync"))) as api:
        answer = await api.post("/v1/audit/erase", {"tenant": "acme"})
        page = await api.gateway.trail.query(AuditQuery(action_type="audit.erase"))

    assert (answer.status, answer.json()["error"]) == (500, "storage error: it is torn")
    assert answer.json()["retryable"] is True
    assert [record.outcome for record in page.records] == ["failed"]


BAD: dict[str, tuple[Any, int, str]] = {
    "nothing": (b"", 400, "Failed to parse the request body as JSON: "),
    "no JSON": (b"{", 400, "Failed to parse the request body as JSON: "),
    "null": (b"null", 422, SHAPE),
    "a list": ([], 422, SHAPE),
    "everything": ({}, 422, f"{SHAPE}wanted a filter, such as "),
    "only nulls": ({"tenant": None, "from": None}, 422, f"{SHAPE}wanted a filter"),
    "a misspelt filter": (
        {"tenant": "t", "tenat": "u"},
        422,
        f"{SHAPE}unknown field `tenat`; did you mean `tenant`?",
    ),
    "an unknown one": ({"tenant": "t", "zzz": 1}, 422, f"{SHAPE}unknown field `zzz`"),
    "a number for a text": ({"tenant": 1}, 422, SHAPE),
    "a list for a text": ({"tenant": ["t"]}, 422, SHAPE),
    "no instant": ({"from": "yesterday"}, 422, f"{SHAPE}from: 'yesterday' is no timestamp"),
    "no instant at the end": ({"tenant": "t", "to": ""}, 422, f"{SHAPE}to: "),
    "a text for a truth": ({"tenant": "t", "dry_run": "false"}, 422, SHAPE),
    "twice the same": (b'{"tenant":"t","tenant":"u"}', 422, f"{SHAPE}duplicate field `tenant`"),
    "a lone surrogate": (rb'{"tenant":"\ud800"}', 400, "Failed to parse the request body"),
    "too deep": (b'{"tenant":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "Failed to parse"),
    "too large": (b'{"tenant":"' + b"t" * 3_000_000 + b'"}', 413, "Failed to buffer"),
}  # fmt: skip
BAD_REPLAYS: dict[str, tuple[Any, int, str]] = {
    "no records": ({"tenant": "t", "limit": 0}, 422, SHAPE),
    "too many": ({"tenant": "t", "limit": 1001}, 422, SHAPE),
    "half a record": ({"tenant": "t", "limit": 1.5}, 422, SHAPE),
    "a bad cursor": ({"tenant": "t", "cursor": "x"}, 400, "cursor: give `next_cursor`"),
    "a path": ({"tenant": "t", "path": "to"}, 422, f"{SHAPE}unknown field `path`"),
}
BAD_ERASURES: dict[str, tuple[Any, int, str]] = {
    "a path alone": ({"path": "to"}, 422, f"{SHAPE}`path` and `value` belong together"),
    "a value alone": ({"tenant": "t", "value": 1}, 422, f"{SHAPE}`path` and `value` belong"),
    "an empty path": ({"path": "", "value": 1}, 422, SHAPE),
    "a null path": ({"path": None, "value": None}, 422, f"{SHAPE}`path` and `value` belong"),
    "a limit": ({"tenant": "t", "limit": 1}, 422, f"{SHAPE}unknown field `limit`"),
    "no instant beside a path": ({"path": "a", "value": 1, "to": "x"}, 422, f"{SHAPE}to: "),
}
_ALL = [
    *(("replay", name, *case) for name, case in {**BAD, **BAD_REPLAYS}.items()),
    *(("erase", name, *case) for name, case in {**BAD, **BAD_ERASURES}.items()),
]


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [(path, *case) for path, _, *case in _ALL],
    ids=[f"{path}-{name}" for path, name, *_ in _ALL],
)
async def test_a_bad_body_is_refused_and_nothing_is_done(
    open_api: OpenApi, email: ScriptedProvider, path: str, body: Any, status: int, error: str
) -> None:
    async with kept(open_api, [make_record(tenant="t")]) as (api, store):
        before = dict(store.records)
        answer = await api.post(f"/v1/audit/{path}", body)
        assert store.records == before

    assert answer.status == status
    assert answer.json()["error"].startswith(error)
    assert email.calls == []


@pytest.mark.parametrize("body", [b"{", {"dry_run": 1}, {"dryrun": True}, [], {"tenant": "t"}])
async def test_a_bad_body_of_a_single_replay_sends_nothing(
    open_api: OpenApi, email: ScriptedProvider, body: Any
) -> None:
    async with kept(open_api, [make_record()]) as (api, _):
        answer = await api.post("/v1/audit/a-1/replay", body)

    assert answer.status in (400, 422)
    assert email.calls == []


@pytest.mark.parametrize("path", ["replay", "erase", "a-1/replay"])
async def test_a_dry_run_that_is_misspelt_does_nothing(
    open_api: OpenApi, email: ScriptedProvider, path: str
) -> None:
    async with kept(open_api, [make_record()]) as (api, store):
        before = dict(store.records)
        for query in ("dryrun=true", "dry_run=1", "dry_run=true&dry_run=false"):
            answer = await api.post(f"/v1/audit/{path}?{query}", {"dry_run": False})
            assert answer.status == 400
        assert store.records == before

    assert email.calls == []


@pytest.mark.parametrize("path", ["replay", "erase", "a1/replay"])
async def test_without_an_audit_trail_there_is_nothing(open_api: OpenApi, path: str) -> None:
    async with open_api() as api:
        answer = await api.post(f"/v1/audit/{path}", {"tenant": "t"})

    assert (answer.status, answer.json()["error"]) == (404, "audit is not enabled")


@pytest.mark.parametrize("name", ["replay", "erase"])
async def test_an_action_may_be_called_like_what_is_done(open_api: OpenApi, name: str) -> None:
    async with kept(open_api, []) as (api, _):
        assert (await api.get(f"/v1/audit/{name}")).status == 404
        await dispatched(api, {"id": name})
        assert (await api.get(f"/v1/audit/{name}")).json()["action_id"] == name
        assert (await api.post(f"/v1/audit/{name}/replay")).json()["action_id"] == name
        refused = await api.send("PUT", f"/v1/audit/{name}")

    assert (refused.status, refused.header("allow")) == (405, "POST,GET,HEAD")


async def test_whoever_asks_is_named(open_api: OpenApi) -> None:
    async with kept(open_api, [make_record()]) as (api, _):
        await api.gateway.trail.erase(AuditQuery(tenant="acme"), caller=Caller("root", "jwt"))
        (record,) = (await api.get("/v1/audit?caller_id=root")).json()["records"]

    assert record["action_type"] == "audit.erase"


async def test_a_body_that_is_too_large_for_this_server_is_refused(open_api: OpenApi) -> None:
    server = ServerSection(max_body_bytes=100)
    body = json.dumps({"tenant": "t" * 100}).encode()
    async with kept(open_api, [], server=server) as (api, _):
        for path in ("replay", "erase", "a/replay"):
            assert (await api.post(f"/v1/audit/{path}", body)).status == 413
