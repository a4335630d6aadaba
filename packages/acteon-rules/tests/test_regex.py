import importlib
import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acteon.rules import EvaluationError, InvalidRegexError
from acteon.rules.regex import cached_regex, compile_regex
from acteon.rules.searching import MAX_STEPS, Search


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
    ("pattern", "room"),
    [(r"\w{1,255}@", 200), (r"[\w.]{0,1000}Z", 50), (r"\pL*[[:alpha:]]{0,900}Z", 50)],
)
@pytest.mark.parametrize("letter", ["a", "é", "漢", "\U0001d4b3"])
def test_a_large_pattern_takes_short_texts(pattern: str, room: int, letter: str) -> None:
    matches = compile_regex(pattern)
    size = len(letter.encode())
    with pytest.raises(EvaluationError, match=r"takes texts of at most \d+ bytes") as refusal:
        matches(letter * (4_000_000 // size))
    limit = int(re.findall(r"\d+", str(refusal.value))[0])
    assert room <= limit <= 1_000
    text = letter * (limit // size)
    matches(text)
    with pytest.raises(EvaluationError, match=rf"this one has {(limit // size + 1) * size};"):
        matches(text + letter)


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
    with pytest.raises(InvalidRegexError, match="pattern too large"):
        cached_regex(r"\w{1,255}@")
    with pytest.raises(InvalidRegexError, match="the pattern is too long"):
        cached_regex("a" * 70_000)


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


@given(size=st.integers(1, 2_000), length=st.integers(0, 20_000))
def test_no_window_may_take_more_than_its_share(size: int, length: int) -> None:
    asked: list[int] = []

    def search(data: bytes, start: int) -> None:
        asked.append(len(data) * size)

    text = "a" * length
    try:
        Search(search, size).found_in(text)
    except EvaluationError:
        assert length * size > MAX_STEPS
        assert not asked
    else:
        *windows, last = asked
        assert last == length * size
        assert all(steps <= MAX_STEPS // 2 for steps in windows)
        assert sum(windows) == (last if windows else 0)
