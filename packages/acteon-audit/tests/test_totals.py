from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from acteon.audit import AuditQuery, Position, Scope
from acteon.audit.testing import NOON
from acteon.audit.totals import FIRST_PAGE, LONG, MOST, NEXT_PAGES, Totals
from acteon.core import ManualClock

TICK = timedelta(milliseconds=1)
FIRST = AuditQuery(tenant="acme", scopes=(Scope(namespaces=frozenset({"shop"})),))
NEXT = [evolve(FIRST, after=Position(NOON, "a"), limit=7), evolve(FIRST, offset=1)]


async def counted(
    clock: ManualClock, query: AuditQuery = FIRST, *, took: timedelta = TICK
) -> Totals:
    """Return totals that know of 41 records, counted from now on in the time `took`."""
    totals = Totals(clock)
    total = totals.of(query)
    await clock.advance(took)
    assert total.count(41) == 41
    return totals


def test_what_was_never_counted_is_unknown() -> None:
    assert Totals().of(FIRST).known is None


async def test_a_first_page_shows_a_total_for_two_seconds() -> None:
    clock = ManualClock()
    totals = await counted(clock)
    await clock.advance(FIRST_PAGE - 2 * TICK)
    assert totals.of(FIRST).known == 41

    await clock.advance(TICK)
    assert totals.of(FIRST).known is None


@pytest.mark.parametrize("query", NEXT)
async def test_further_pages_show_it_for_half_a_minute(query: AuditQuery) -> None:
    clock = ManualClock()
    totals = await counted(clock)
    await clock.advance(NEXT_PAGES - 2 * TICK)
    assert totals.of(query).known == 41

    await clock.advance(TICK)
    assert totals.of(query).known is None


@pytest.mark.parametrize("query", [FIRST, *NEXT])
async def test_what_is_changed_here_is_counted_again(query: AuditQuery) -> None:
    clock = ManualClock()
    totals = await counted(clock)
    with totals.changing():
        assert totals.of(query).known is None
    assert totals.of(query).known is None


@pytest.mark.parametrize("query", [FIRST, *NEXT])
async def test_a_count_during_a_change_is_of_no_use_after_it(query: AuditQuery) -> None:
    totals = Totals(ManualClock())
    with totals.changing():
        totals.of(query).count(41)
    assert totals.of(query).known is None


async def test_a_change_during_a_count_makes_it_of_no_use() -> None:
    totals = Totals(ManualClock())
    total = totals.of(FIRST)
    with totals.changing():
        pass
    total.count(41)
    assert totals.of(FIRST).known is None


async def test_a_change_that_fails_may_have_changed_something() -> None:
    totals = await counted(ManualClock())
    with pytest.raises(OSError, match="lost"), totals.changing():
        raise OSError("lost")
    assert totals.of(FIRST).known is None


async def test_what_took_long_to_count_serves_further_pages_after_changes() -> None:
    clock = ManualClock()
    totals = await counted(clock, took=LONG)
    with totals.changing():
        pass
    assert totals.of(FIRST).known is None
    assert [totals.of(query).known for query in NEXT] == [41, 41]

    await clock.advance(NEXT_PAGES - LONG)
    assert [totals.of(query).known for query in NEXT] == [None, None]


async def test_its_age_is_that_of_what_was_counted() -> None:
    clock = ManualClock()
    totals = await counted(clock, took=NEXT_PAGES)
    assert totals.of(NEXT[0]).known is None


async def test_of_two_counts_the_one_begun_later_stays() -> None:
    clock = ManualClock()
    totals = Totals(clock)
    earlier = totals.of(FIRST)
    await clock.advance(TICK)
    totals.of(FIRST).count(42)
    earlier.count(41)
    assert totals.of(FIRST).known == 42


@given(
    name=st.sampled_from(["namespace", "tenant", "outcome", "matched_rule", "caller_id"]),
    value=st.sampled_from([None, "", "other"]),
)
async def test_other_filters_have_other_totals(name: str, value: str | None) -> None:
    totals = await counted(ManualClock(), AuditQuery(**{name: "this"}))  # type: ignore[arg-type]
    assert totals.of(AuditQuery(**{name: value})).known is None  # type: ignore[arg-type]
    assert totals.of(AuditQuery(**{name: "this"})).known == 41  # type: ignore[arg-type]


def test_bounds_and_scopes_are_filters() -> None:
    totals = Totals(ManualClock())
    totals.of(AuditQuery()).count(41)
    for query in (AuditQuery(since=NOON), AuditQuery(until=NOON), AuditQuery(scopes=())):
        assert totals.of(query).known is None


def test_those_that_were_not_asked_for_the_longest_time_are_forgotten() -> None:
    totals = Totals(ManualClock())
    queries = [AuditQuery(tenant=str(number)) for number in range(MOST + 1)]
    for query in queries[:-1]:
        totals.of(query).count(1)
    assert totals.of(queries[0]).known == 1
    totals.of(queries[-1]).count(1)

    unknown = [query.tenant for query in queries if totals.of(query).known is None]
    assert unknown == ["1"]
