"""What becomes of texts and documents that PostgreSQL cannot hold."""

from hypothesis import given
from hypothesis import strategies as st

from acteon.audit.testing import make_record
from acteon.audit_postgres.layout import COLUMNS
from acteon.audit_postgres.rows import LONGEST, columns, kept
from acteon.state_postgres.texts import text_array

ODD = st.text(st.characters(exclude_categories=())) | st.text(  # halves of pairs, too
    st.sampled_from("\0\x1a\ufffd\ud83d01ad83dx")
)
UNUSUAL = st.text(st.sampled_from('a",\\{} \x01\n\0\ud83dé')) | st.just("NULL")


def test_what_can_be_held_is_kept_as_it_is() -> None:
    for text in ("", "acme", "Grüße, 世界 🎉", "x" * LONGEST, "\x01\n"):
        assert kept(text) == text


def test_what_cannot_be_held_is_escaped() -> None:
    assert kept("a\0b\ud83d") == "a\x1a0000b\x1ad83d"
    assert kept("a\x1a0000b") == "a\x1a001a0000b"


@given(st.lists(ODD, min_size=2, max_size=2, unique=True), st.sampled_from([1, 300]))
def test_texts_that_differ_differ_as_they_are_kept(texts: list[str], times: int) -> None:
    held = [kept(text * times) for text in texts]
    assert held[0] != held[1]
    for one in held:
        assert "\0" not in one
        assert len(one.encode()) < LONGEST + 100


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
