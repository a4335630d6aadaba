import json
from typing import Any

import pytest

from acteon.audit import AuditQuery, AuditRecord, Scope
from acteon.audit.testing import NOON, make_record


def test_a_record_as_json_has_all_members_in_order() -> None:
    record = make_record(id="r-1", expires_at=NOON)

    assert record.to_json() == (
        b'{"action_id":"a-1","action_payload":{"to":"ann@example.com"},"action_type":"send_email",'
        b'"auth_method":"","caller_id":"","completed_at":"2025-01-01T12:00:00.012Z",'
        b'"dispatched_at":"2025-01-01T12:00:00Z","duration_ms":12,'
        b'"expires_at":"2025-01-01T12:00:00Z","id":"r-1","matched_rule":null,"metadata":{},'
        b'"namespace":"shop","outcome":"executed","outcome_details":{"status":"Success"},'
        b'"provider":"email","tenant":"acme","verdict":"allow",'
        b'"verdict_details":{"verdict":"allow"}}'
    )


def test_what_a_record_has_not_is_null() -> None:
    document = json.loads(make_record(action_payload=None).to_json())

    assert (document["action_payload"], document["expires_at"]) == (None, None)


def test_the_size_of_a_record_grows_with_what_it_holds() -> None:
    small = make_record(action_payload=None).size
    assert 500 < small < 2_000, "about what Python takes for its members"

    for name in ("action_payload", "verdict_details", "outcome_details", "metadata"):
        assert make_record(**{name: b"1" * 100_000}).size >= small + 99_000, name
    for name in ("action_id", "namespace", "tenant", "provider", "action_type"):
        assert make_record(**{name: "x" * 100_000}).size >= small + 99_000, name


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 1001}, {"offset": -1}])
def test_a_query_keeps_within_bounds(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AuditQuery(**wrong)


@pytest.mark.parametrize(
    ("scope", "covers"),
    [
        (Scope(), True),
        (Scope(tenants=frozenset({"acme"}), namespaces=frozenset({"shop", "x"})), True),
        (Scope(tenants=frozenset({"acme"}), namespaces=frozenset({"x"})), False),
        (Scope(action_types=frozenset()), False),
    ],
)
def test_a_scope_covers_what_fits_all_its_parts(scope: Scope, covers: bool) -> None:
    record: AuditRecord = make_record()

    assert scope.covers(record) is covers
