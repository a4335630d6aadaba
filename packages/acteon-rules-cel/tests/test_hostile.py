"""Texts and payloads that are made to break or stall: each ends soon, with an error or a value."""

import re
import time
from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acteon.core import Action, ConfigError
from acteon.rules import ConditionError, EvaluationError, Rule, RuleSet
from acteon.rules_cel import CelRuleFrontend
from acteon.rules_cel.closures import Closures
from acteon.rules_cel.costs import Held, cost_of
from acteon.rules_cel.engines import NOWHERE, engine, evaluate_with
from acteon.rules_cel.reading import read_condition
from acteon.rules_cel.values import BUDGET, FAILURE, Frame

SECONDS = 2.0
"""Far more than anything here takes, even while others use the machine."""
MEGABYTE = 1_000_000
TOO_MUCH = re.compile("too many steps|grows beyond|takes too long|at most")
TOKENS = re.split(
    " +",
    "( ) [ ] { } , . : ? ! - + * / % < <= > >= == != && || in true false null 1 1u 0x1 1.5 1e999 "
    "'a' \"b\" r'\\' b'x' '''c \"\"\" ' \" \\ // /* x action action.payload.a state.get now time "
    "env has( size( .all( .map( .exists( .matches( .getHours( x, for if and or not = & | # $ @ ` "
    "\ud800 \u0000 é \n \t 99999999999999999999 _ google.protobuf.Timestamp {{ }} ${",
)
NESTS = [
    ("(", ")", "1"),
    ("[", "]", ""),
    ("{'a': ", "}", "1"),
    ("[1].map(x, ", ")", "x"),
    ("[1].all(x, ", ")", "true"),
    ("size(", ")", "[]"),
    ("true ? true : ", "", "true"),
    ("!", "", "true"),
    ("-", "", "1"),
    ("!-", "", "1"),
    ("has(a.", ")", "b"),
    ("", ".a", "a"),
    ("", "[0]", "a"),
    ("", ".trim()", "'a'"),
    ("1 + ", "", "1"),
    ("true && ", "", "true"),
    ("true || false && ", "", "true"),
    ("1 in [", "]", "1"),
    ("'", "", "a"),
    ("/*", "*/", ""),
    ("//\n", "", "true"),
]


def read_soon(text: str) -> None:
    """Read a text, which gives a condition or a `ConditionError`, and soon."""
    began = time.process_time()
    error = refusal_of(text)
    assert time.process_time() - began < SECONDS
    if error is not None:
        lines = text.split("\n")
        assert error.message
        assert 0 <= error.line <= len(lines)
        assert not error.line or 0 <= error.column <= len(lines[error.line - 1]) + 1


def refusal_of(text: str) -> ConditionError | None:
    try:
        CelRuleFrontend().parse_condition(text)
    except ConditionError as error:
        return error
    return None


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    read_soon(text)


@settings(deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=60), st.sampled_from(["", " "]))
def test_any_soup_of_tokens_is_read_or_refused(tokens: list[str], glue: str) -> None:
    read_soon(glue.join(tokens))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(NESTS), min_size=1, max_size=3), st.integers(1, 4_000))
def test_any_nesting_is_read_or_refused(nests: list[tuple[str, str, str]], depth: int) -> None:
    opening = "".join(opening for opening, _, _ in nests)
    closing = "".join(closing for _, closing, _ in reversed(nests))
    read_soon(opening * depth + nests[-1][2] + closing * depth)


@pytest.mark.parametrize(("opening", "closing", "inner"), NESTS, ids=[each[0] for each in NESTS])
@pytest.mark.parametrize("depth", [10, 49, 500, 3_900])
def test_each_nesting_is_read_or_refused(
    opening: str, closing: str, inner: str, depth: int
) -> None:
    read_soon(opening * depth + inner + closing * depth)
    read_soon(opening * depth + inner)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("(" * 60 + "true" + ")" * 60, None),
        ("[" * 60 + "]" * 60 + " == []", "nested more than 50 levels deep"),
        ("a" + ".b" * 60 + " == 1", "nested more than 50 levels deep"),
        ("-" * 60 + "1 == 1", "nested more than 50 levels deep"),
        ("!" * 3_000 + "true", None),
        (" && ".join(["true"] * 490), None),
        (" + ".join(["1"] * 990) + " == 990", None),
        ("true" + " " * 4_000, "too long: 4004 characters, at most 4000; make several rules"),
        ("'\ud800' == ''", "surrogate characters are not allowed"),
        ("9" * 3_000 + " > 1", "is no 64-bit integer"),
    ],
    ids=lambda each: str(each)[:20],
)
def test_what_is_flat_is_not_deep(text: str, told: str | None) -> None:
    if told is None:
        assert CelRuleFrontend().parse_condition(text)
    else:
        with pytest.raises(ConditionError, match=re.escape(told)):
            CelRuleFrontend().parse_condition(text)


def ask(rule: Rule, action: Action) -> str:
    """Return what a rule says about an action, which it does soon."""
    rules = RuleSet.compile([rule])
    shortest = SECONDS
    found = ""
    for _ in range(3):
        began = time.thread_time()
        try:
            found = str(rules.decide(action, now=NOWHERE.now).rule)
        except EvaluationError as error:
            found = str(error)
        shortest = min(shortest, time.thread_time() - began)
    assert shortest < 0.25, "fifty times what it should take"
    return found


WORDS = ["ab" * 10] * (MEGABYTE // 24)
PAYLOADS: dict[str, Any] = {
    "numbers": {"x": [1] * (MEGABYTE // 2), "y": [1] * (MEGABYTE // 2)},
    "text": {"x": "a" * MEGABYTE, "y": "a" * (MEGABYTE // 2) + "b"},
    "words": {"x": WORDS, "y": list(WORDS)},
    "lists": {"x": [[[]]] * (MEGABYTE // 5), "y": [[[]]] * (MEGABYTE // 5)},
    "map": {"x": {f"k{n}": n for n in range(MEGABYTE // 12)}, "y": {}},
    "few": {"x": [1] * 120, "y": [1] * 120},
    "long texts": {"x": ["a" * 2_400] * 400, "y": "a" * 1_200 + "b"},
}
X, Y = "action.payload.x", "action.payload.y"


@pytest.mark.parametrize("kind", PAYLOADS)
@pytest.mark.parametrize(
    "condition",
    [
        f"{X}.all(a, {X}.all(b, a == b))",
        f"{X}.all(a, {X}.all(b, {X}.all(c, a == c)))",
        f"{X}.map(a, {X}.map(b, {X}.map(c, a))) == []",
        f"{X}.exists(a, {X} == {Y} && a == 0)",
        f"{X}.exists(a, a.nope)",
        f"{X}.all(a, a.nope || {X}.all(b, b.nope || true))",
        f"{X}.exists(a, a in {X} && a == 0)",
        f"{X}.exists(a, a.contains(a + 'b'))",
        f"{X}.exists(a, a.matches('([a-f]{{1,200}}){{3}}@'))",
        f"{X}.exists(a, a.matches(a + '+@'))",
        f"{X}.matches('(a|a?)+b{{0,100}}c') || {X}.matches('(x+x+)+y') || {X}.contains({Y})",
        " || ".join([f"{X} == {Y}"] * 100),
        " || ".join([f"{X}.contains({Y})"] * 80),
        " || ".join([f"{X}.lowerAscii() == {Y}.upperAscii()"] * 60),
        f"[{X}].map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).exists(a, size(a) == 0)",
        f"[{' + '.join([X] * 100)}].exists(a, size(a) == 0)",
        f"{X}.split('').map(a, a).exists(a, a == 'x')",
        f"{X}.replace('a', {Y}) == ''",
        f"{X}.exists(a, now.getHours(a) == 30)",
        f"double({X}) == 1.0 || int({X}) == 1 || duration({X}) == duration('1s')",
        f"[{', '.join(['1'] * 900)}].all(a, [{', '.join(['1'] * 100)}].map(b, b) == [a])",
    ],
    ids=lambda each: each[:50].replace("action.payload.", ""),
)
def test_no_condition_takes_long_on_a_megabyte(
    rule: Callable[..., Rule], action: Callable[..., Action], condition: str, kind: str
) -> None:
    assert ask(rule(condition), action(PAYLOADS[kind]))


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        (f"{X}.all(a, {X}.all(b, a == b))", "numbers"),
        (f"{X}.all(a, {X}.all(b, {X}.all(c, a == b && b == c)))", "few"),
        (f"{X}.map(a, {X}.map(b, {X}.map(c, a))) == []", "few"),
        (" && ".join([f"{X} == {Y}"] * 40), "numbers"),
        (f"{X}.exists(a, {X} == {Y} && a == 0)", "lists"),
        (f"{X}.exists(k, k == 'nope')", "map"),
        (f"{X}.split('').size() > 1", "text"),
        (f"{X} + {Y} == ''", "text"),
        (f"[{X}].map(a, a + a).exists(a, size(a) == 0)", "text"),
        (f"{X}.replace('a', {Y}) == ''", "text"),
        (f"{X}.exists(a, a.matches('[a-f]{{1,200}}@'))", "long texts"),
    ],
    ids=lambda each: each[:50].replace("action.payload.", ""),
)
def test_what_would_take_long_is_refused(
    rule: Callable[..., Rule], action: Callable[..., Action], condition: str, kind: str
) -> None:
    assert TOO_MUCH.search(ask(rule(condition), action(PAYLOADS[kind])))


def test_what_is_refused_stays_refused_beside_what_holds(
    rule: Callable[..., Rule], action: Callable[..., Action]
) -> None:
    heavy = f"{X}.all(a, {X}.all(b, a == b))"
    assert ask(rule(f"{heavy} || true"), action(PAYLOADS["numbers"])) == "r"
    assert ask(rule(f"{heavy} && false"), action(PAYLOADS["numbers"])) == "None"
    looped = f"[1, 2].all(i, {heavy} || true)"
    assert TOO_MUCH.search(ask(rule(looped), action(PAYLOADS["numbers"])))


def test_the_same_condition_takes_the_same_steps_at_every_run() -> None:
    run = Closures(roots={}).compile(read_condition("x.all(a, a == 1 || a.nope || a == 'b')"))
    frames = [Frame(NOWHERE, {}, UTC, {"x": [1, "b"] * 20}) for _ in range(3)]
    for frame in frames:
        assert run(frame) is True
    left = {frame.left for frame in frames}
    assert len(left) == 1
    assert 0 < left.pop() < BUDGET - 40


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_halves_of_surrogate_pairs_are_texts_like_others(
    rule: Callable[..., Rule], action: Callable[..., Action], text: str
) -> None:
    seen = action({"x": text, "y": [text], text: 1})
    assert ask(rule(f"{X} != 'a' && {X} in {Y} && size({X}) > 0"), seen) == "r"
    assert "no valid Unicode" in ask(rule(f"{X}.matches('a')"), seen)
    assert ask(rule(f"{X}.lowerAscii() == {X} || true"), seen) == "r"


def test_deep_payloads_end_in_an_error_or_a_value(
    rule: Callable[..., Rule], action: Callable[..., Action]
) -> None:
    deep: Any = []
    other: Any = []
    for _ in range(100_000):
        deep, other = [deep], [other]
    try:
        found = ask(rule(f"{X} == {Y}"), action({"x": deep, "y": other}))
        assert "nested too deeply" in found or "too many steps" in found
    finally:
        for each in (deep, other):  # The interpreter would free them one inside of the other.
            while each:
                each = each.pop()


def test_an_engine_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match="ACTEON_CEL_ENGINE: there is no engine 'java'"):
        engine("java")
    assert (engine("python").name, engine("native").name) == ("python", "native")


def test_time_that_a_search_of_texts_takes_counts() -> None:
    with pytest.raises(EvaluationError, match="too many steps"):
        evaluate_with(
            "python",
            "x.exists(a, a.contains(y))",
            {"x": ["a" * 2_400] * 2_000, "y": "a" * 1_200 + "b"},
        )


def test_errors_that_something_overrules_take_steps_too() -> None:
    for expression in ("x.exists(a, a.nope)", "x.all(a, a.nope || true)"):
        with pytest.raises(EvaluationError, match="too many steps"):
            evaluate_with("python", expression, {"x": [{}] * 1_000})


@pytest.mark.parametrize(
    ("expression", "failures"),
    [
        ("x.nope || true", 1),
        ("!(x.nope && false)", 1),
        ("x.nope || x.nope || true", 2),
        ("true || x.nope", 0),
    ],
)
def test_an_error_beside_what_decides_takes_its_steps(expression: str, failures: int) -> None:
    frame = Frame(NOWHERE, {}, UTC, {"x": {}})
    assert Closures(roots={}).compile(read_condition(expression))(frame) is True
    assert frame.left == BUDGET - failures * FAILURE


@pytest.mark.parametrize(
    ("expression", "bounded"),
    [
        ("x == y", True),
        ("x.exists(a, a == 1)", True),
        ("x.exists(a, a.b.exists(c, c > 1))", True),
        ("x.filter(a, a.b).exists(a, a.b)", True),
        ("x.exists(a, a + 1 > 2)", True),
        ("[x].map(a, a + a) == []", False),
        ("x.split('').exists(a, a == 'b')", False),
        ("x.map(a, x).exists(a, a.exists(b, b))", False),
        ("(x ? x : y).all(a, a)", False),
        (" + ".join(["x"] * 30), False),
        ("now.getHours(x) > 1", False),
        ("now.getHours('UTC') > 1", True),
    ],
)
def test_what_cannot_be_bounded_is_not_left_to_an_engine_that_does_not_count(
    expression: str, bounded: bool
) -> None:
    assert cost_of(read_condition(expression)).bounded is bounded


def test_what_a_condition_may_do_grows_with_the_action() -> None:
    small, large = Held(values=10, longest=5), Held(values=4_000, longest=1_000)
    for expression, fits in (
        ("x == 'a'", True),
        ("x.exists(a, a == 'b')", True),
        ("x.exists(a, a == y)", False),
        ("x.all(a, x.all(b, a == 'c'))", False),
        ("x.map(a, a) == []", False),
        (" && ".join(["x == y"] * 10), False),
    ):
        cost = cost_of(read_condition(expression))
        assert cost.fits(small)
        assert cost.fits(large) is fits
