"""Payloads are removed for good, and that is recorded."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.audit import (
    Act,
    AuditQuery,
    AuditRecord,
    AuditSettings,
    AuditStorageError,
    AuditTrail,
    Erased,
    Scope,
    is_administrative,
)
from acteon.audit.erasing import same_json
from acteon.audit.testing import NOON, PlainAuditStore, UnreliableAuditStore, make_record
from acteon.core import Caller, ManualClock, encode_json

ANN = AuditQuery(tenant="acme")


def holding(payload: Any, **changes: Any) -> AuditRecord:
    return make_record(action_payload=encode_json(payload), **changes)


async def erased(
    kept: Sequence[AuditRecord], query: AuditQuery, path: str | None = None, value: Any = None
) -> set[str]:
    """Return the ids of the records whose payloads an erasure removes."""
    store = PlainAuditStore()
    await store.write(kept)
    async with AuditTrail(store) as trail:
        done = await trail.erase(query, path=path, value=value)
    gone = {record.id for record in kept if store.records[record.id].action_payload is None}
    gone -= {record.id for record in kept if record.action_payload is None}
    assert done == Erased(len(gone), len(gone))
    return gone


VALUES: dict[str, tuple[object, str, object]] = {
    "a name at any depth": ({"a": [{"to": "ann"}]}, "to", "ann"),
    "a path": ({"user": {"mail": "ann"}}, "user.mail", "ann"),
    "a path through lists": ({"users": [{"mail": "bob"}, {"mail": "ann"}]}, "users.mail", "ann"),
    "any case of the path": ({"User": {"Mail": "ann"}}, "uSER.mAIL", "ann"),
    "one of a list": ({"to": ["bob", ["ann"]]}, "to", "ann"),
    "a whole list": ({"to": ["bob", "ann"]}, "to", ["bob", "ann"]),
    "an object in any order": ({"to": {"a": 1, "b": [2.0]}}, "to", {"b": [2], "a": 1.0}),
    "a number": ({"id": 42}, "id", 42),
    "null": ({"to": None}, "to", None),
    "truth": ({"vip": True}, "vip", True),
    "the empty text": ({"to": ""}, "to", ""),
    "a text beyond ASCII": ({"to": "Ünal\u0000"}, "to", "Ünal\u0000"),
}
OTHERS: dict[str, tuple[object, str, object]] = {
    "part of a text": ({"to": "ann@x"}, "to", "ann"),
    "another case of the value": ({"to": "Ann"}, "to", "ann"),
    "another path": ({"x": {"user": {"mail": "ann"}}}, "user.mail", "ann"),
    "another name": ({"cc": "ann"}, "to", "ann"),
    "a number for a text": ({"id": 42}, "id", "42"),
    "a truth for a number": ({"vip": True}, "vip", 1),
    "a number for null": ({"to": 0}, "to", None),
    "part of a list": ({"to": [["ann", "bob"]]}, "to", ["ann"]),
    "part of an object": ({"to": {"a": 1, "b": 2}}, "to", {"a": 1}),
    "what was redacted": ({"to": "[REDACTED]"}, "to", "ann"),
    "a payload that is a text": ("ann", "to", "ann"),
}


@pytest.mark.parametrize(("payload", "path", "value"), VALUES.values(), ids=VALUES)
async def test_payloads_that_hold_a_value_are_erased(
    payload: object, path: str, value: object
) -> None:
    one, other = holding(payload), holding({"to": "bob", "user": {"mail": "bob"}})

    assert await erased([one, other], AuditQuery(), path, value) == {one.id}


@pytest.mark.parametrize(("payload", "path", "value"), OTHERS.values(), ids=OTHERS)
async def test_other_payloads_stay(payload: object, path: str, value: object) -> None:
    assert await erased([holding(payload)], AuditQuery(), path, value) == set()


async def test_filters_and_value_must_both_fit() -> None:
    ours = holding({"to": "ann"})
    kept = [
        ours,
        holding({"to": "ann"}, tenant="other"),
        holding({"to": "bob"}),
        make_record(action_payload=None),
    ]

    assert await erased(kept, ANN, "to", "ann") == {ours.id}
    assert await erased(kept, ANN) == {ours.id, kept[2].id}
    assert await erased(kept, AuditQuery(since=NOON + timedelta(days=1))) == set()


async def test_more_than_a_page_is_erased_and_what_else_is_told_stays() -> None:
    kept = [
        holding({"to": "ann", "n": each}, dispatched_at=NOON - timedelta(seconds=each))
        for each in range(2_500)
    ]
    store = PlainAuditStore()
    await store.write(kept)

    async with AuditTrail(store) as trail:
        assert await trail.erase(ANN, path="to", value="ann", dry_run=True) == Erased(2_500, 0)
        assert list(store.records.values()) == kept
        assert await trail.erase(ANN, path="to", value="ann") == Erased(2_500, 2_500)
        assert await trail.erase(ANN, path="to", value="ann") == Erased(0, 0)

    found = store.records[kept[7].id]
    assert found.action_payload is None
    assert (found.action_id, found.outcome, found.metadata) == ("a-1", "executed", b"{}")


async def told(trail: AuditTrail) -> list[AuditRecord]:
    page = await trail.query(AuditQuery(action_type=Act.ERASE.value))
    return list(page.records)


async def test_an_erasure_is_recorded_without_the_value() -> None:
    clock = ManualClock()
    async with AuditTrail(PlainAuditStore(), AuditSettings(), clock=clock) as trail:
        await trail.record(holding({"to": "ann-the-secret"}))
        query = AuditQuery(tenant="acme", namespace="shop", since=NOON)
        await trail.erase(
            query, path="to", value="ann-the-secret", caller=Caller("root", "api_key")
        )
        (record,) = await told(trail)

    assert is_administrative(record)
    assert (record.namespace, record.tenant, record.provider) == ("shop", "acme", "")
    assert (record.verdict, record.outcome, record.action_payload) == ("allow", "executed", None)
    assert (record.caller_id, record.auth_method) == ("root", "api_key")
    assert (record.dispatched_at, record.duration_ms) == (clock.now(), 0)
    assert record.expires_at == clock.now() + timedelta(days=30)
    assert json.loads(record.outcome_details) == {
        "filters": {"namespace": "shop", "tenant": "acme", "since": "2025-01-01T12:00:00Z"},
        "path": "to",
        "matched": 1,
        "erased": 1,
    }
    assert b"ann-the-secret" not in record.to_json()


async def test_a_dry_run_is_not_recorded() -> None:
    async with AuditTrail(PlainAuditStore()) as trail:
        await trail.erase(ANN, dry_run=True)
        assert await told(trail) == []


async def test_records_of_erasures_are_not_erased() -> None:
    async with AuditTrail(PlainAuditStore()) as trail:
        await trail.erase(ANN)
        assert await trail.erase(AuditQuery(action_type=Act.ERASE.value)) == Erased(0, 0)
        assert len(await told(trail)) == 2


async def test_an_action_of_that_type_is_none_of_them() -> None:
    record = holding({"to": "ann"}, action_type=Act.ERASE.value, provider="")

    assert not is_administrative(record)
    assert await erased([record], AuditQuery(), "to", "ann") == {record.id}


class FailingStore(PlainAuditStore):
    """Fails at its second erasure."""

    erasures = 0

    async def erase(self, record_ids: Sequence[str]) -> int:
        self.erasures += 1
        if self.erasures == 2:
            raise AuditStorageError("away")
        return await super().erase(record_ids)


class HalfStore(PlainAuditStore):
    """Erases one of those that it is given, and fails with the others."""

    async def erase(self, record_ids: Sequence[str]) -> int:
        error = AuditStorageError("some not done")
        error.done = await super().erase(record_ids[:1])
        raise error


async def test_what_a_failing_store_has_done_all_the_same_is_counted() -> None:
    store = HalfStore()
    await store.write([make_record() for _ in range(3)])
    async with AuditTrail(store) as trail:
        with pytest.raises(AuditStorageError, match="some not done"):
            await trail.erase(ANN)
        (record,) = await told(trail)
    details = json.loads(record.outcome_details)
    assert (details["matched"], details["erased"]) == (3, 1)


async def test_one_that_fails_midway_is_recorded_with_what_it_did() -> None:
    store = FailingStore()
    await store.write([make_record() for _ in range(1_200)])
    async with AuditTrail(store) as trail:
        with pytest.raises(AuditStorageError, match="away"):
            await trail.erase(ANN)
        (record,) = await told(trail)
        assert record.outcome == "failed"
        details = json.loads(record.outcome_details)
        assert (details["matched"], details["erased"]) == (250, 50)
        assert details["error"] == "storage error: away"

        assert await trail.erase(ANN) == Erased(1_150, 1_150)


class WaitingStore(PlainAuditStore):
    """Waits for ever in its erasure, and tells how many wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 0
        self.most = 0
        self.go = asyncio.Event()
        self.entered = asyncio.Event()

    async def erase(self, record_ids: Sequence[str]) -> int:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        self.entered.set()
        await self.go.wait()
        self.waiting -= 1
        return await super().erase(record_ids)


@pytest.mark.parametrize(("answers", "erased"), [(True, 1), (False, 0)])
async def test_one_that_is_cancelled_is_recorded_with_what_it_did(
    answers: bool, erased: int
) -> None:
    store = WaitingStore()
    await store.write([make_record()])
    async with AuditTrail(store) as trail:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(trail.erase(ANN))
            await store.entered.wait()
            task.cancel()
            if answers:
                store.go.set()
        (record,) = await told(trail)

    details = json.loads(record.outcome_details)
    assert (record.outcome, details["error"], details["erased"]) == (
        "failed",
        "CancelledError",
        erased,
    )


async def test_there_is_one_at_a_time() -> None:
    store = WaitingStore()
    await store.write([make_record()])
    async with AuditTrail(store) as trail, asyncio.TaskGroup() as group:
        tasks = [group.create_task(trail.erase(ANN)) for _ in range(3)]
        await store.entered.wait()
        store.go.set()

    assert store.most == 1
    assert [task.result().erased for task in tasks] == [1, 0, 0]


async def test_what_is_queued_is_erased_too() -> None:
    store = PlainAuditStore()
    settings = AuditSettings(flush_delay=timedelta(hours=1))
    async with AuditTrail(store, settings, clock=ManualClock()) as trail:
        await trail.record(make_record())
        assert await trail.erase(ANN) == Erased(1, 1)


async def test_what_cannot_be_written_now_is_not_overlooked() -> None:
    store, clock = UnreliableAuditStore(), ManualClock()
    store.failures.append(AuditStorageError("away"))
    async with AuditTrail(store, clock=clock) as trail:
        await trail.record(make_record())
        async with asyncio.timeout(5):
            with pytest.raises(AuditStorageError, match="1 records still wait"):
                await trail.erase(ANN)
        await clock.advance(timedelta(seconds=1))


@pytest.mark.parametrize("query", [AuditQuery(), AuditQuery(scopes=(Scope(),), limit=5)])
async def test_everything_is_never_meant(query: AuditQuery) -> None:
    async with AuditTrail(PlainAuditStore()) as trail:
        with pytest.raises(ValueError, match="everything would be erased"):
            await trail.erase(query)
        with pytest.raises(ValueError, match="at a path"):
            await trail.erase(ANN, value="ann")


async def test_scopes_bound_what_is_erased() -> None:
    ours, theirs = holding({"to": "ann"}), holding({"to": "ann"}, tenant="other")
    query = AuditQuery(scopes=(Scope(tenants=frozenset({"acme"})),))

    assert await erased([ours, theirs], query, "to", "ann") == {ours.id}


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner),
    max_leaves=6,
)


@given(_JSON, _JSON)
def test_json_is_the_same_if_it_says_the_same(one: object, other: object) -> None:
    assert same_json(one, json.loads(json.dumps(one)))
    assert same_json(one, other) == same_json(other, one)
    if same_json(one, other):
        assert one == other
