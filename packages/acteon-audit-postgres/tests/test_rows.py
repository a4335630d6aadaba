"""What becomes of texts and documents that PostgreSQL cannot hold."""

from hypothesis import given
from hypothesis import strategies as st

from acteon.audit.testing import make_record
from acteon.audit_postgres.rows import COLUMNS, LONGEST, columns, kept
from acteon.state_postgres.texts import text_array

ANYTHING = st.text(st.characters(exclude_categories=()))  # halves of pairs, too
UNUSUAL = st.text(st.sampled_from('a",\\{} \x01\n\0\ud83dé')) | st.just("NULL")


def test_what_can_be_held_is_kept_as_it_is() -> None:
    for text in ("", "acme", "Grüße, 世界 🎉", "x" * LONGEST, "\x01\n"):
        assert kept(text) == text


def test_what_cannot_be_held_is_replaced() -> None:
    assert kept("a\0b\ud83d") == "a\ufffdb\ufffd"
    assert kept("\ud83c\udf89") == "🎉"


@given(ANYTHING.map(lambda text: text * 300))
def test_what_is_kept_can_be_held_and_is_kept_as_it_is(text: str) -> None:
    held = kept(text)
    assert "\0" not in held
    assert len(held.encode()) < LONGEST + 100
    assert len(held.encode()) > LONGEST or kept(held) == held


def test_long_texts_that_differ_anywhere_differ_as_they_are_kept() -> None:
    one, other = "é" * 5000, "é" * 4999 + "e"
    assert kept(one) != kept(other)
    assert kept(one).startswith("é" * 900 + "…sha256:")
    assert kept(one) == kept(one)


@given(st.lists(st.tuples(UNUSUAL, st.none() | UNUSUAL), min_size=1, max_size=5))
def test_arrays_are_those_that_are_made_one_by_one(texts: list[tuple[str, str | None]]) -> None:
    records = [make_record(tenant=one, matched_rule=other) for one, other in texts]
    arrays = dict(zip(COLUMNS, columns(records), strict=True))
    assert arrays["tenant"] == text_array([kept(one) for one, _ in texts])
    rules = [None if other is None else kept(other) for _, other in texts]
    assert arrays["matched_rule"] == text_array(rules)
