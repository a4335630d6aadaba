import importlib
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acteon.rules import EvaluationError, InvalidRegexError
from acteon.rules.regex import MAX_SIZE, cached_regex, compile_regex
from acteon.rules.searching import MAX_STEPS, MIN_WINDOW, Search


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"^\w+$", "żółw_٣", True),
        (r"^[\w.]+$", "é.a", True),
        (r"^\W$", "é", False),
        (r"^[\W]$", "!", True),
        (r"^[^\W\d_]+$", "éa", True),
        (r"^[^\W\d_]+$", "a1", False),
        (r"^\s$", "\u3000", True),
        (r"^[\s]$", "\u00a0", True),
        (r"^\S$", "\u3000", False),
        (r"^[\S]$", "x", True),
        (r"^[\S]$", " ", False),
        (r"^\D$", "٣", False),
        (r"^\u00e9$", "é", True),
        (r"^\U0001d4b3\x{41}$", "\U0001d4b3A", True),
        (r"^[]a]$", "]", True),
        (r"^[^]a]$", "]", False),
        (r"^[[:alpha:]]$", "é", False),
        (r"^\pL$", "é", True),
        (r"^a\.b$", "a.b", True),
        (r"(?P<n>a)(?<m>b)", "ab", True),
        ("", "", True),
    ],
)
def test_it_matches_as_meant(pattern: str, text: str, expected: bool) -> None:
    assert compile_regex(pattern)(text) is expected


@pytest.mark.parametrize(
    "pattern",
    ["(", "a**", r"(a)\1", "(?=a)", "(?<!a)", "[a-z&&[^b]]", "[a[b]]", r"\C", r"\Qa\E", r"\Z"],
)
def test_what_is_not_understood_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidRegexError, match=r"^invalid regex: "):
        compile_regex(pattern)


@pytest.mark.parametrize(
    "pattern",
    [r"\w{1000}", r"\w{1,255}@", r"(\w{30}){10}", r"\w" * 2000, "[a-z]{900}" * 3, "a" * 20_000],
)
def test_a_pattern_that_takes_long_to_compile_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidRegexError, match=r"too (large|long|many)"):
        compile_regex(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,255}\.[A-Za-z]{2,63}",
        "^.{1,500}$",
        r"(?i)(password|secret|token)=\S{8,60}",
        r"\w{2,40}-\d{4}",
    ],
)
def test_a_pattern_of_long_repetitions_takes_long_texts(pattern: str) -> None:
    assert compile_regex(pattern)("so it goes, über alles, " * 100) is False


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("urgent", False),
        (r"(?i)(URGENT|critical).*(now|today)", False),
        (r"(x+x+)+y", False),
        (r"\bend$", True),
        (r"^\w+ ", True),
        (r"(?m)^the ", True),
        (r"\Afoo\b", False),
    ],
)
def test_an_ordinary_pattern_takes_long_texts(pattern: str, expected: bool) -> None:
    text = "so it goes, über alles, " * 10_000 + "\nthe end"
    assert compile_regex(pattern)(text) is expected


def test_a_pattern_that_is_slow_on_a_long_text_is_refused() -> None:
    chance = Random(1)
    text = "".join(chance.choices("abcdefgh@", k=400_000))
    with pytest.raises(EvaluationError, match=r"^evaluation error: matches: .* takes too long"):
        compile_regex(r"[a-d][^@]{20}[^@]{20}x")(text)


def test_a_pattern_that_comes_with_an_action_must_be_smaller() -> None:
    assert cached_regex(r"^\w+@\w+$")("a@b")
    for _ in range(2):
        with pytest.raises(InvalidRegexError, match="pattern too large"):
            cached_regex(r"\w{40}")
    with pytest.raises(InvalidRegexError, match="the pattern has too many classes"):
        cached_regex(r"\w" * 30)
    with pytest.raises(InvalidRegexError, match="the pattern is too long"):
        cached_regex("a" * 1_000)


def plain_search(pattern: str) -> Callable[[bytes, int], Any]:
    re2: Any = importlib.import_module("re2")
    search: Callable[[bytes, int], Any] = re2.compile(pattern.encode()).search
    return search


PIECES = st.sampled_from(
    [
        "a",
        "b",
        "^",
        "$",
        r"\b",
        r"\B",
        r"\A",
        r"\z",
        ".",
        "a*",
        "b+",
        "(?m:^a)",
        "(?m:b$)",
        "|",
        "\n",
    ]
)
TEXTS = st.text(alphabet="ab \né", max_size=40)


@settings(max_examples=400)
@given(pattern=st.lists(PIECES, max_size=6).map("".join), text=TEXTS, window=st.integers(1, 6))
def test_windows_change_no_answer(pattern: str, text: str, window: int) -> None:
    search = plain_search(pattern)
    by_windows = Search(search, size=1, max_steps=2 * window, min_window=1)
    assert by_windows.found_in(text) is (search(text.encode(), 0) is not None)


@given(size=st.integers(1, MAX_SIZE), length=st.integers(0, 20_000))
def test_no_window_may_take_more_than_its_share(size: int, length: int) -> None:
    asked: list[int] = []

    def search(data: bytes, start: int) -> None:
        asked.append(len(data))

    Search(search, size).found_in("a" * length)
    *windows, last = asked
    assert last == length
    if windows:
        assert length * size > MAX_STEPS
        assert sum(windows) == length
        assert all(window <= MIN_WINDOW or window * size <= MAX_STEPS // 2 for window in windows)
