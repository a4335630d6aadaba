import re
import time

import pytest

from acteon.rules import EvaluationError, InvalidRegexError
from acteon.rules.regex import compile_regex


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
    [
        (r"\w{1,255}@", 2_000),
        (r"\w{0,1000}Z", 500),
        (r"[\w.]{0,1000}Z", 500),
        (r"\p{Lu}{0,1000}Z", 500),
        (r"\w*\d{0,900}Z", 500),
        (r"\pL*[[:alpha:]]{0,900}Z", 500),
        (r"(a+)+$", 200_000),
        (r"^\w+@[\w.]+$", 200_000),
        (r"", 200_000),
    ],
)
@pytest.mark.parametrize("letter", ["a", "é", "漢", "\U0001d4b3"])
def test_a_text_is_matched_soon_or_refused(pattern: str, room: int, letter: str) -> None:
    matches = compile_regex(pattern)
    size = len(letter.encode())
    with pytest.raises(EvaluationError, match=r"takes texts of at most \d+ bytes") as refusal:
        matches(letter * (4_000_000 // size))
    limit = int(re.findall(r"\d+", str(refusal.value))[0])
    assert room <= limit <= 3_000_000
    text = letter * (limit // size)
    started = time.process_time()
    matches(text)
    # A tenth of a second on a machine of our days, with room for slow ones.
    assert time.process_time() - started < 0.5
    with pytest.raises(EvaluationError, match=rf"this one has {(limit // size + 1) * size}$"):
        matches(text + letter)


@pytest.mark.parametrize("pattern", [r"\w{1,255}@", r"\w{0,1000}Z", "(a+)+$"])
def test_half_a_megabyte_does_not_hold_anybody_up(pattern: str) -> None:
    matches = compile_regex(pattern)
    started = time.process_time()
    with pytest.raises(EvaluationError, match=r"and this one has 500000$"):
        matches("a" * 500_000)
    assert time.process_time() - started < 0.1
