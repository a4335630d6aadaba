"""Both engines give the same for expressions and values made at random."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from acteon.rules import EvaluationError
from acteon.rules_cel.engines import evaluate_with
from acteon.rules_cel.values import from_json, is_list, is_map

TEXTS = st.text("ab\u00e9", max_size=3)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.integers(-(2**65), 2**65),
        st.floats(allow_nan=False),
        TEXTS,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=1)
    ),
    max_leaves=6,
)
ROOTS = ["x", "y", "x.a", "y[0]", "x.a.b", "y['a']", "x[y]"]
KINDS = ["bool", "number", "text", "list", "any"]
LEAVES: dict[str, st.SearchStrategy[str]] = {
    "bool": st.sampled_from(["true", "false"]),
    "number": st.one_of(
        st.sampled_from(["0", "1", "-2", "1.5", "-0.5", "2u", "1e300"]),
        st.integers(-(2**63), 2**63 - 1).map(str),
    ),
    "text": TEXTS.map(repr),
    "list": st.sampled_from(["[]", "[1, 2]", "['a', 1.0]", "{}", "{'b': [2]}", "{1: 2}"]),
    "any": st.just("null"),
}
FORMS: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "bool": [
        ("{} == {}", ("any", "any")),
        ("{} != {}", ("number", "number")),
        ("{} < {}", ("number", "number")),
        ("{} >= {}", ("text", "text")),
        ("{} in {}", ("any", "list")),
        ("{} && {}", ("bool", "bool")),
        ("{} || {}", ("bool", "bool")),
        ("!{}", ("bool",)),
        ("{}.all({name}, {})", ("list", "bool")),
        ("{}.exists({name}, {})", ("list", "bool")),
        ("{}.exists_one({name}, {})", ("list", "bool")),
        ("{}.contains({})", ("text", "text")),
        ("{}.startsWith({})", ("text", "text")),
        ("{}.matches('^a|b$')", ("text",)),
        ("has({{'a': {}}}.a)", ("any",)),
        ("has(x.a) && {}", ("bool",)),
        ("type({}) == type({})", ("any", "any")),
    ],
    "number": [
        *((f"{{}} {operator} {{}}", ("number", "number")) for operator in "+-*/%"),
        ("-{}", ("number",)),
        ("size({})", ("list",)),
        ("{}.size()", ("text",)),
        ("double({})", ("number",)),
        ("int(double({}))", ("number",)),
        ("{} ? {} : {}", ("bool", "number", "number")),
    ],
    "text": [
        ("{} + {}", ("text", "text")),
        ("{}.lowerAscii()", ("text",)),
        ("{}.replace({}, {})", ("text", "text", "text")),
        ("{}.join({})", ("list", "text")),
        ("string(size({}))", ("list",)),
        ("{} ? {} : {}", ("bool", "text", "text")),
    ],
    "list": [
        ("[{}, {}]", ("any", "any")),
        ("{} + {}", ("list", "list")),
        ("{}.map({name}, {})", ("list", "any")),
        ("{}.map({name}, {}, {})", ("list", "bool", "any")),
        ("{}.filter({name}, {})", ("list", "bool")),
        ("{}.split({})", ("text", "text")),
        ("{{'a': {}}}", ("any",)),
    ],
    "any": [("{}[{}]", ("list", "number")), ("{}.a", ("any",)), ("dyn({})", ("any",))],
}


@st.composite
def expressions(draw: st.DrawFn, kind: str, names: tuple[str, ...] = (), depth: int = 3) -> str:
    """Return an expression over `x` and `y`, of a kind for the most part."""
    if kind == "any" or draw(st.integers(0, 15)) == 0:
        kind = draw(st.sampled_from(KINDS))
    if not depth or draw(st.integers(0, 5)) == 0:
        return draw(st.one_of(st.sampled_from([*ROOTS, *names]), LEAVES[kind], LEAVES[kind]))
    form, kinds = draw(st.sampled_from(FORMS[kind]))
    name = f"v{len(names)}"
    first, *rest = kinds
    inner = (*names, name) if "{name}" in form else names
    parts = [draw(expressions(first, names, depth - 1))]
    parts += [draw(expressions(each, inner, depth - 1)) for each in rest]
    return form.format(*(f"({part})" for part in parts), name=name)


def value_of(engine: str, expression: str, variables: dict[str, Any]) -> str:
    """Return the value as text, in which 1, 1.0 and true are not the same.

    Maps are made with one member, as the order of more is not settled.
    """
    try:
        return shown(evaluate_with(engine, expression, variables))
    except EvaluationError:
        return "an error"


def shown(value: Any) -> str:
    if is_map(value):
        members = sorted((repr(key), shown(member)) for key, member in value.items())
        return f"{{{members}}}"
    return f"[{[shown(each) for each in value]}]" if is_list(value) else repr(from_json(value))


@settings(deadline=None, max_examples=400)
@given(expressions("bool"), JSON, JSON)
def test_both_engines_agree(expression: str, x: Any, y: Any) -> None:
    variables = {"x": x, "y": y}
    assert value_of("python", expression, variables) == value_of("native", expression, variables)
