import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.state import (
    Claimed,
    Settle,
    StateKey,
    StateSerializationError,
    lock_name,
    read_claim,
)
from acteon.state.dispatch import Ending

PARTS = st.text(alphabet="ab:%", max_size=4)


@given(st.tuples(PARTS, PARTS, PARTS, PARTS), st.tuples(PARTS, PARTS, PARTS, PARTS))
def test_no_two_keys_have_one_text(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    assert (StateKey(*one).text == StateKey(*other).text) == (one == other)


@given(st.tuples(PARTS, PARTS, PARTS), st.tuples(PARTS, PARTS, PARTS))
def test_no_two_dispatches_have_one_lock(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (lock_name(*one) == lock_name(*other)) == (one == other)


def test_ordinary_names_stay_as_they_are() -> None:
    key = StateKey("shop", "acme", "dedup", "order:17%")
    assert str(key) == key.text == "shop:acme:dedup:order:17%"


@pytest.mark.parametrize(
    ("text", "standing"),
    [
        ("pending:mine", (Claimed.OURS, "")),
        ("pending:mine2", (Claimed.PENDING, "")),
        ("done", (Claimed.DONE, "")),
        ("unknown:2025-01-01T00:00:00Z", (Claimed.UNKNOWN, "2025-01-01T00:00:00Z")),
    ],
)
def test_a_claim_reads_as_it_stands(text: str, standing: tuple[Claimed, str]) -> None:
    assert read_claim(text, "mine") == standing


@pytest.mark.parametrize("text", ["", "1", "Done", "doner", "pending"])
def test_any_other_text_is_no_claim(text: str) -> None:
    with pytest.raises(StateSerializationError, match="expected a claim"):
        read_claim(text, "mine")


@pytest.mark.parametrize(
    ("ending", "text"),
    [(Ending.RELEASE, None), (Ending.DONE, "done"), (Ending.UNKNOWN, "unknown:now")],
)
def test_a_settle_knows_the_text_of_its_claim(ending: Ending, text: str | None) -> None:
    assert Settle(token="mine", ending=ending, instant="now").text == text
