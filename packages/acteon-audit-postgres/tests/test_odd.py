"""Records that PostgreSQL cannot hold as they are: they are kept all the same, and found."""

import pytest
from attrs import asdict, evolve

from acteon.audit import (
    AuditQuery,
    AuditSerializationError,
    AuditSettings,
    AuditStore,
    AuditTrail,
    Position,
    Scope,
)
from acteon.audit.testing import NOON, make_record

pytestmark = pytest.mark.server

ODD = ("a\0b", "\ud800", "🎉\udc00\0", "x" * 100_000, "é" * 5000)
FILTERS = ("namespace", "tenant", "provider", "action_type", "outcome", "verdict", "caller_id")


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("name", [*FILTERS, "matched_rule"])
async def test_an_odd_text_is_found_by_itself(store: AuditStore, name: str, text: str) -> None:
    odd, other = make_record(**{name: text}), make_record(**{name: text[:-1] + "c"})
    usual = make_record()
    await store.write([usual, odd, other])

    page = await store.query(AuditQuery(**{name: text}))  # type: ignore[arg-type]
    assert [record.id for record in page.records] == [odd.id]
    found = page.records[0]
    assert make_record(**{**asdict(found), name: text}) == odd
    assert (await store.query(AuditQuery())).total == 3


@pytest.mark.parametrize("text", ODD)
async def test_odd_ids_are_ids(store: AuditStore, text: str) -> None:
    odd = make_record(id=text, action_id=text, tenant=text, auth_method=text)
    await store.write([odd, make_record()])
    await store.write([odd])

    for found in (await store.get(text), await store.latest(text)):
        assert found is not None
        assert evolve(found, id=text, action_id=text, tenant=text, auth_method=text) == odd
    scope = Scope(tenants=frozenset({text, "nobody"}))
    assert (await store.query(AuditQuery(scopes=(scope,)))).total == 1
    assert (await store.query(AuditQuery(after=Position(NOON, text)))).total == 2
    assert await store.erase([text]) == 1


@pytest.mark.parametrize(
    "payload",
    [
        b'{"nul":"\\u0000","half":"\\ud800"}',
        b'{"deep":' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"big":1e400,"long":' + b"9" * 5000 + b"}",
        b'{"text":"' + b"x" * 3_000_000 + b'"}',
        b'"{\\"a\\":\\"b\\\\\\"}"',
        b"1",
    ],
)
async def test_odd_documents_come_back_byte_by_byte(store: AuditStore, payload: bytes) -> None:
    record = make_record(action_payload=payload)
    await store.write([record])
    assert await store.get(record.id) == record


async def test_bytes_that_are_no_text_do_not_cost_the_record(store: AuditStore) -> None:
    record = make_record(action_payload=b'"\xff\xfe"')
    await store.write([record])
    assert await store.get(record.id) == evolve(record, action_payload='"\ufffd\ufffd"'.encode())


@pytest.mark.parametrize("payload", [b"{", b"", b"{'a':1}", b"[" * 200_000 + b"]" * 200_000])
async def test_what_is_no_document_costs_no_other_record(store: AuditStore, payload: bytes) -> None:
    broken = make_record(action_payload=payload)
    with pytest.raises(AuditSerializationError, match="postgres cannot keep it: ") as raised:
        await store.write([make_record(), broken])
    assert "\n" not in str(raised.value)
    assert "'a'" not in str(raised.value)

    many = [make_record() for _ in range(100)]
    async with AuditTrail(store, AuditSettings(batch_size=101)) as trail:
        for record in [*many[:70], broken, *many[70:]]:
            await trail.record(record)
        await trail.flush()
        assert (trail.written, trail.dropped) == (100, 1)
    assert (await store.query(AuditQuery())).total == 100


async def test_durations_beyond_64_bits_are_cut(store: AuditStore) -> None:
    record = make_record(duration_ms=2**80)
    await store.write([record])
    assert await store.get(record.id) == evolve(record, duration_ms=2**63 - 1)
