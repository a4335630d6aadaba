"""Names and times, without a server."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from acteon.state_postgres.texts import LONGEST, is_storable, microseconds, name_of, text_array

TEXTS = st.text(st.characters(exclude_categories=[])) | st.text(min_size=LONGEST - 2)


@given(TEXTS)
def test_any_text_gives_a_name_that_can_be_kept_and_indexed(text: str) -> None:
    name = name_of(text)
    assert is_storable(name)
    assert len(name.encode()) <= LONGEST


@given(TEXTS, TEXTS)
def test_different_texts_give_different_names(one: str, other: str) -> None:
    assert (name_of(one) == name_of(other)) is (one == other)
    assert name_of(name_of(one + "\0")) != name_of(one + "\0")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200))
def test_usual_texts_are_their_own_names(text: str) -> None:
    assert name_of(f"ns:tenant:{text}") == f"ns:tenant:{text}"


@given(st.timedeltas())
def test_times_are_exact_and_within_the_calendar(time: timedelta) -> None:
    count = microseconds(time)
    assert 0 <= count <= 10**18
    if timedelta(0) <= time <= timedelta(days=365_000):
        assert timedelta(microseconds=count) == time


def test_nothing_is_nothing() -> None:
    assert microseconds(None) is None
    assert text_array([]) == "{}"
    assert text_array([None, "NULL", ""]) == '{NULL,"NULL",""}'
