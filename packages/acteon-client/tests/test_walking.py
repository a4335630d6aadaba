"""Walks over the audit trail while it grows."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from acteon.client import AuditPage, AuditQuery, AuditRecord
from acteon.client.talking import AuditWalk

START = datetime(2026, 1, 1, tzinfo=UTC)


def record(number: int, moment: int) -> AuditRecord:
    return AuditRecord(
        id=f"{number:06}",
        action_id="a",
        namespace="n",
        tenant="t",
        provider="p",
        action_type="x",
        verdict="allow",
        outcome="executed",
        dispatched_at=START + timedelta(seconds=moment),
    )


def page_by_offset(trail: list[AuditRecord], query: AuditQuery, *, counts: bool) -> AuditPage:
    """Return what a server without cursors answers: the newest first."""
    fitting = sorted(
        (each for each in trail if query.until is None or each.dispatched_at <= query.until),
        key=lambda each: (each.dispatched_at, each.id),
        reverse=True,
    )
    limit, offset = query.limit or 50, query.offset or 0
    return AuditPage(
        records=tuple(fitting[offset : offset + limit]),
        total=len(fitting) if counts else None,
        limit=limit,
        offset=offset,
    )


@given(
    st.lists(st.integers(0, 20), max_size=60),
    st.lists(st.lists(st.integers(0, 5), max_size=5), max_size=30),
    st.integers(1, 12),
    st.one_of(st.none(), st.integers(0, 40)),
    st.booleans(),
)
def test_a_walk_by_offset_meets_every_record_once_while_others_are_written(
    moments: list[int],
    growth: list[list[int]],
    size: int,
    limit: int | None,
    counts: bool,
) -> None:
    trail = [record(number, moment) for number, moment in enumerate(moments)]
    there = sorted(trail, key=lambda each: (each.dispatched_at, each.id), reverse=True)
    latest = max(moments, default=0)
    walk = AuditWalk.of(AuditQuery(limit=limit), size)
    met: list[AuditRecord] = []
    while walk.query is not None:
        met += walk.take(page_by_offset(trail, walk.query, counts=counts))
        for later in growth.pop(0) if growth else []:
            # The clock goes on: what is written later was dispatched later.
            trail.append(record(len(trail), latest + 1 + later))

    assert met == there[:limit]


def test_a_server_with_cursors_is_asked_by_them() -> None:
    walk = AuditWalk.of(AuditQuery(tenant="t"), 2)
    assert walk.query == AuditQuery(tenant="t", limit=2)
    first = AuditPage(
        records=(record(2, 2), record(1, 1)), limit=2, offset=0, total=3, next_cursor="c"
    )
    assert len(walk.take(first)) == 2
    assert walk.query == AuditQuery(tenant="t", limit=2, cursor="c")
    assert len(walk.take(AuditPage(records=(record(0, 0),), limit=2, total=3))) == 1
    assert walk.query is None
