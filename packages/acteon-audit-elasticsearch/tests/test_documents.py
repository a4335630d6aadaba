"""Texts of any kind are kept, and found by what they were written as."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from acteon.audit import AuditQuery, AuditRecord, AuditSerializationError, AuditStore, Scope
from acteon.audit.testing import make_record
from acteon.audit_elasticsearch.documents import (
    LONGEST,
    TEXTS,
    document,
    document_id,
    kept,
    record,
    term,
)

ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.integers(8000, 8300).map("ü".__mul__)
INSTANTS = st.datetimes(timezones=st.just(UTC))
ODD = {
    "NUL": "a\0b",
    "a lone surrogate": "a\ud800b",
    "a text too long for an index": "x" * 40_000,
    "another one of these": "x" * 40_001,
    "four bytes a letter, as long as may be": "🎉" * LONGEST,
    "what looks like the hash of one": term("x" * 40_000),
}
IDS = ("", ".", "..", "a/b?c#d%", "_all", "*", "x" * 512, "x" * 513, "ü" * 300, "a\0b", "\ud800")


@given(st.builds(make_record, **dict.fromkeys(TEXTS, ANY_TEXT)), INSTANTS, st.none() | INSTANTS)
def test_a_document_holds_the_record(
    one: AuditRecord, instant: datetime, expires_at: datetime | None
) -> None:
    one = evolve(one, dispatched_at=instant, completed_at=instant, expires_at=expires_at)
    _, source = document(one)

    texts: dict[str, Any] = {name: kept(getattr(one, name)) for name in TEXTS}
    assert record(msgspec.json.decode(source)) == evolve(one, **texts)


@given(ANY_TEXT, ANY_TEXT)
def test_different_texts_stay_different(first: str, second: str) -> None:
    first, second = kept(first), kept(second)
    assert (term(first) == term(second)) is (first == second)
    assert (document_id(first) == document_id(second)) is (first == second)


@given(ANY_TEXT)
def test_what_stands_for_a_text_fits_the_index(text: str) -> None:
    assert len(term(kept(text)).encode()) < 32_766
    assert 0 < len(document_id(kept(text)).encode()) <= 512
    # Nothing is hashed twice by mistake: what an index has is found by what stands for it.
    assert term(kept(text)) in {text, kept(text)} or term(kept(text)).startswith("sha256:")


@pytest.mark.parametrize("source", [{}, {"id": 1}, {"id": "1", "metadata": 5}, {"whole": "no"}])
def test_other_documents_are_no_records(source: dict[str, object]) -> None:
    with pytest.raises(AuditSerializationError, match="is no record"):
        record(source)


@pytest.mark.server
async def test_odd_texts_are_kept_and_found(store: AuditStore) -> None:
    odd = {name: make_record(tenant=text, action_id=text) for name, text in ODD.items()}
    await store.write([*odd.values(), make_record()])

    for name, one in odd.items():
        text = one.tenant
        wanted = evolve(one, tenant=kept(text), action_id=kept(text))
        assert await store.get(one.id) == wanted, name
        assert await store.latest(text) == wanted, name
        assert (await store.query(AuditQuery(tenant=text))).records == (wanted,), name
        scope = Scope(tenants=frozenset({text}))
        assert (await store.query(AuditQuery(scopes=(scope,)))).records == (wanted,), name


@pytest.mark.server
async def test_any_id_will_do(store: AuditStore) -> None:
    records = [make_record(id=name) for name in IDS]
    await store.write(records)
    await store.write([evolve(one, tenant="later") for one in records])

    for one in records:
        assert await store.get(one.id) == evolve(one, id=kept(one.id)), one.id
    assert (await store.query(AuditQuery(tenant="acme"))).total == len(IDS)
    assert await store.erase(IDS) == len(IDS)
    assert (await store.query(AuditQuery())).records[0].action_payload is None


@pytest.mark.server
async def test_a_payload_of_megabytes_is_kept(store: AuditStore) -> None:
    records = [make_record(action_payload=b'"' + b"x" * 3 * 1024**2 + b'"') for _ in range(8)]
    records.append(make_record(action_payload=b'"' + b"y" * 12 * 1024**2 + b'"'))
    await store.write(records)

    for one in records:
        assert await store.get(one.id) == one
