"""Records that are hard to hold: they are kept all the same, and found."""

import pytest
from attrs import evolve

from acteon.audit import AuditQuery, AuditStore, Position, Scope
from acteon.audit.testing import NOON, make_record
from acteon.audit_clickhouse import ClickHouseAuditStore

pytestmark = pytest.mark.server

ODD = ("a\0b", "\ud800", "🎉\udc00\0", "x" * 100_000, "é" * 5000, "\\'; DROP TABLE x --")
FILTERS = ("namespace", "tenant", "provider", "action_type", "outcome", "verdict", "caller_id")


def replaced(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= one <= "\udfff" else one for one in text)


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("name", [*FILTERS, "matched_rule"])
async def test_an_odd_text_is_found_by_itself(store: AuditStore, name: str, text: str) -> None:
    odd, other = make_record(**{name: text}), make_record(**{name: text[:-1] + "c"})
    await store.write([make_record(), odd, other])

    page = await store.query(AuditQuery(**{name: text}))  # type: ignore[arg-type] # one of many
    assert page.records == (make_record(**{"id": odd.id, name: replaced(text)}),)
    assert (await store.query(AuditQuery())).total == 3


@pytest.mark.parametrize("text", ODD)
async def test_odd_ids_are_ids(store: AuditStore, text: str) -> None:
    await odd_id(store, text)


@pytest.mark.parametrize("text", ODD)
async def test_odd_ids_are_ids_on_a_current_engine(
    current: ClickHouseAuditStore, text: str
) -> None:
    await odd_id(current, text)


async def odd_id(store: AuditStore, text: str) -> None:
    odd = make_record(id=text, action_id=text, tenant=text, auth_method=text)
    usual = make_record(action_id="other")
    await store.write([odd, usual])
    await store.write([odd])

    same = replaced(text)
    kept = evolve(odd, id=same, action_id=same, tenant=same, auth_method=same)
    assert await store.get(text) == kept
    assert await store.latest(text) == kept
    scope = Scope(tenants=frozenset({text, "nobody"}))
    assert (await store.query(AuditQuery(scopes=(scope,)))).total == 1
    behind = (await store.query(AuditQuery(after=Position(NOON, text)))).records
    assert behind == tuple(one for one in [usual] if one.id < same)
    assert await store.erase([text]) == 1
    assert await store.get(text) == evolve(kept, action_payload=None)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"nul":"\\u0000","half":"\\ud800"}',
        b'{"deep":' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"big":1e400,"long":' + b"9" * 5000 + b"}",
        b'{"text":"' + b"x" * 3_000_000 + b'"}',
        b"1",
        b"{",
        b"",
    ],
)
async def test_odd_documents_come_back_byte_by_byte(store: AuditStore, payload: bytes) -> None:
    record = make_record(action_payload=payload)
    await store.write([record])
    assert await store.get(record.id) == record


async def test_octets_that_are_no_text_do_not_cost_the_record(store: AuditStore) -> None:
    record = make_record(action_payload=b'"\xff\xfe"')
    await store.write([record])
    assert await store.get(record.id) == evolve(record, action_payload='"\ufffd\ufffd"'.encode())


async def test_durations_beyond_64_bits_are_cut(store: AuditStore) -> None:
    record = make_record(duration_ms=2**80)
    await store.write([record])
    assert await store.get(record.id) == evolve(record, duration_ms=2**63 - 1)


@pytest.mark.parametrize("year", [1, 1969, 2107, 9999])
async def test_instants_of_other_times_are_kept_and_found(store: AuditStore, year: int) -> None:
    then = NOON.replace(year=year)
    record = make_record(dispatched_at=then, completed_at=then, expires_at=then)
    await store.write([record, make_record()])

    assert await store.get(record.id) == record
    assert (await store.query(AuditQuery(since=then, until=then))).records == (record,)


async def test_what_is_below_a_millisecond_is_left_out_of_records_and_bounds(
    store: AuditStore,
) -> None:
    exact = make_record(dispatched_at=NOON.replace(microsecond=1999))
    await store.write([exact])
    bounds = exact.dispatched_at

    (found,) = (await store.query(AuditQuery(since=bounds, until=bounds))).records
    assert found == evolve(exact, dispatched_at=NOON.replace(microsecond=1000))


async def test_of_one_id_at_two_instants_the_first_is_given(store: AuditStore) -> None:
    first = make_record()
    await store.write([first])
    await store.write([evolve(first, dispatched_at=NOON.replace(year=2026), outcome="failed")])
    assert await store.get(first.id) == first


async def test_rows_made_by_hand_have_defaults(
    store: ClickHouseAuditStore,
) -> None:
    table = store.layout.table
    await store.engine.ask(f"INSERT INTO {table} (id, metadata) SELECT 'by-hand', '{{}}'")
    found = await store.get("by-hand")
    assert found is not None
    assert found.dispatched_at.timestamp() == 0
    assert (found.expires_at, found.matched_rule) == (None, None)
