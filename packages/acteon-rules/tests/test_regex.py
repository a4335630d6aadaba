import time

import pytest

from acteon.rules import InvalidRegexError
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


def test_a_pattern_that_makes_others_backtrack_is_quick() -> None:
    matches = compile_regex("(a+)+$")
    started = time.perf_counter()
    assert not matches("a" * 50_000 + "b")
    assert time.perf_counter() - started < 5
