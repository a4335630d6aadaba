"""Query strings."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.server.http import RequestError
from acteon.server.http.queries import flag, instant, integer, read_query


def query(text: str, *known: str) -> dict[str, str]:
    return dict(read_query({"query_string": text.encode("latin-1")}, known))


def refusal(text: str, name: str) -> str:
    with pytest.raises(RequestError) as caught:
        integer(query(text, name), name, 0)
    assert caught.value.status == 400
    start, _, detail = str(caught.value).partition(": ")
    assert start == "Failed to deserialize query string"
    return detail


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_what_was_written_is_read(values: dict[str, str]) -> None:
    text = "&".join(f"{name}={quote(value)}" for name, value in values.items())
    assert query(text, "a", "b", "c") == values


def test_what_is_unknown_is_not_looked_at() -> None:
    assert query("x=1&a=2&x=3&&=&%ff", "a") == {"a": "2"}


@pytest.mark.parametrize("name", ["dryrun", "dry-run", "Dry_Run", "dry_rum"])
def test_what_is_likely_a_misspelt_one_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match=f"unknown field `{name}`; did you mean `dry_run`"):
        query(f"{name}=true", "dry_run")


def test_escapes_that_are_no_text_are_replaced() -> None:
    assert query("a=%ff+%zz", "a") == {"a": "\ufffd %zz"}
    assert query("a=\xff", "a") == {"a": "\ufffd"}


def test_an_empty_value_is_a_value() -> None:
    assert query("a=&b", "a", "b") == {"a": "", "b": ""}


def test_names_may_be_escaped_and_count_all_the_same() -> None:
    with pytest.raises(RequestError, match="duplicate field `a`"):
        query("a=1&%61=2", "a")


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("007", 7), ("%2B5", 5), ("4294967295", 4294967295), ("0" * 50 + "1", 1)],
)
def test_numbers_are_plain(text: str, value: int) -> None:
    assert integer(query(f"n={text}", "n"), "n", 50) == value


def test_a_number_that_is_not_given_has_its_default() -> None:
    assert integer({}, "n", 50) == 50


@pytest.mark.parametrize(
    "text", ["-1", "+5", "1.0", "1e3", "0x1", "1_0", "x", "\u0661", "2 ", " 2"]
)
def test_other_numbers_are_refused(text: str) -> None:
    assert refusal(f"n={quote(text, safe='+')}", "n") == "n: invalid digit found in string"


@pytest.mark.parametrize("text", ["4294967296", "9" * 5000])
def test_numbers_end_somewhere(text: str) -> None:
    assert refusal(f"n={text}", "n") == "n: number too large to fit in target type"


def test_an_empty_number_is_none() -> None:
    assert refusal("n=", "n") == "n: cannot parse integer from empty string"


def test_instants_need_a_zone() -> None:
    given = query("t=2025-01-01T00:00:00Z&u=2025-01-01T00:00:00", "t", "u")
    assert instant(given, "t") == datetime(2025, 1, 1, tzinfo=UTC)
    assert instant(given, "v") is None
    with pytest.raises(RequestError, match="u: "):
        instant(given, "u")


def test_flags_are_true_or_false() -> None:
    assert flag({"f": "true"}, "f") is True
    assert flag({"f": "false"}, "f") is False
    assert flag({}, "f") is False
    with pytest.raises(RequestError):
        flag({"f": "True"}, "f")
