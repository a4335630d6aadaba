"""Records and queries to test with."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import evolve
from hypothesis import strategies as st

from acteon.audit.query import AuditQuery, Position, Scope
from acteon.audit.record import AuditRecord
from acteon.core import new_id

NOON: Final = datetime(2025, 1, 1, 12, tzinfo=UTC)
"""When the records of the tests were dispatched, unless they say otherwise."""


def make_record(**changes: Any) -> AuditRecord:
    """Return a record with an id of its own, changed in the members that are given."""
    record = AuditRecord(
        id=new_id(),
        action_id="a-1",
        namespace="shop",
        tenant="acme",
        provider="email",
        action_type="send_email",
        verdict="allow",
        matched_rule=None,
        outcome="executed",
        action_payload=b'{"to":"ann@example.com"}',
        verdict_details=b'{"verdict":"allow"}',
        outcome_details=b'{"status":"Success"}',
        metadata=b"{}",
        dispatched_at=NOON,
        completed_at=NOON + timedelta(milliseconds=12),
        duration_ms=12,
        expires_at=None,
    )
    return evolve(record, **changes)


_INSTANTS: Final = [NOON + timedelta(milliseconds=step) for step in range(4)]
_TWO: Final = st.sampled_from(["a", "b"])
_SOME: Final = st.none() | _TWO
_SETS: Final = st.none() | st.frozensets(_TWO, max_size=2)


def records() -> st.SearchStrategy[AuditRecord]:
    """Return a strategy for records that have much in common, so that filters find several."""
    return st.builds(
        make_record,
        id=st.uuids().map(str),
        action_id=_TWO,
        namespace=_TWO,
        tenant=_TWO,
        provider=_TWO,
        action_type=_TWO,
        verdict=_TWO,
        matched_rule=_SOME,
        outcome=_TWO,
        caller_id=_TWO,
        dispatched_at=st.sampled_from(_INSTANTS),
        expires_at=st.none() | st.sampled_from(_INSTANTS),
    )


def queries() -> st.SearchStrategy[AuditQuery]:
    """Return a strategy for queries that such records answer."""
    return st.builds(
        AuditQuery,
        namespace=_SOME,
        tenant=_SOME,
        provider=_SOME,
        action_type=_SOME,
        outcome=_SOME,
        verdict=_SOME,
        matched_rule=_SOME,
        caller_id=_SOME,
        since=st.none() | st.sampled_from(_INSTANTS),
        until=st.none() | st.sampled_from(_INSTANTS),
        scopes=st.none() | st.lists(scopes(), max_size=2).map(tuple),
        after=st.none() | st.builds(Position, st.sampled_from(_INSTANTS), st.uuids().map(str)),
        limit=st.integers(1, 10),
        offset=st.integers(0, 5),
    )


def scopes() -> st.SearchStrategy[Scope]:
    """Return a strategy for scopes that cover some of such records."""
    return st.builds(Scope, tenants=_SETS, namespaces=_SETS, action_types=_SETS)
