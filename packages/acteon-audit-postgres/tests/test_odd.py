"""Records that PostgreSQL cannot hold as they are: they are kept, found, and come back."""

from random import Random

import pytest
from attrs import evolve

from acteon.audit import (
    AuditQuery,
    AuditSerializationError,
    AuditSettings,
    AuditStore,
    AuditTrail,
    Position,
    Scope,
    walk,
)
from acteon.audit.testing import NOON, make_record
from acteon.audit_postgres.rows import kept

pytestmark = pytest.mark.server

ODD = ("a\0b", "a\x1a0000b", "\ud800", "🎉\udc00\0", "x" * 100_000, "é" * 5000 + "\0")
FILTERS = ("namespace", "tenant", "provider", "action_type", "outcome", "verdict", "caller_id")


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("name", [*FILTERS, "matched_rule"])
async def test_an_odd_text_is_found_by_itself(store: AuditStore, name: str, text: str) -> None:
    odd, other = make_record(**{name: text}), make_record(**{name: text[:-1] + "c"})
    usual = make_record()
    await store.write([usual, odd, other])

    page = await store.query(AuditQuery(**{name: text}))  # type: ignore[arg-type]
    assert page.records == (odd,)
    assert (await store.query(AuditQuery())).total == 3


@pytest.mark.parametrize("text", ODD)
async def test_odd_ids_are_ids(store: AuditStore, text: str) -> None:
    odd = make_record(id=text, action_id=text, tenant=text, auth_method=text)
    await store.write([odd, make_record()])
    await store.write([odd])

    assert await store.get(text) == odd
    assert await store.latest(text) == odd
    scope = Scope(tenants=frozenset({text, "nobody"}))
    assert (await store.query(AuditQuery(scopes=(scope,)))).total == 1
    assert (await store.query(AuditQuery(after=Position(NOON, text)))).total == 2
    assert await store.erase([text]) == 1


async def test_texts_that_are_kept_in_another_form_are_nobody_elses(store: AuditStore) -> None:
    names = ["a\0b", "a\ufffdb", "a\x1a0000b", "a\x1a001a0000b", "ab", "\ud83c\udf89", "🎉"]
    long = ["x" * 5000, "x" * 4999 + "y", kept("x" * 5000)]
    records = [make_record(tenant=name) for name in [*names, *long]]
    await store.write(records)

    for record in records:
        for tenants in ({record.tenant}, {record.tenant, "nobody"}):
            scope = Scope(tenants=frozenset(tenants))
            assert scope.covers(record)
            assert (await store.query(AuditQuery(scopes=(scope,)))).records == (record,)


async def test_any_text_comes_back_as_it_was(store: AuditStore) -> None:
    chance = Random(1)

    def odd() -> str:
        text = "".join(chance.choices('\0\x1a\ud83d\udf8901ad83é\\"{,x ', k=chance.randrange(12)))
        return text * chance.choice((1, 1, 1, 1000))

    records = [make_record(tenant=odd(), matched_rule=odd(), auth_method=odd()) for _ in range(300)]
    await store.write(records)
    assert {one async for one in walk(store, AuditQuery())} == set(records)


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
