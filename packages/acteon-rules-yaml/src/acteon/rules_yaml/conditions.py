"""The condition of a rule: what its keys mean."""

import json
from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from acteon.rules.expression import (
    All,
    AnyOf,
    Binary,
    BinaryOperator,
    Expression,
    Literal,
    StateCounter,
    StateTimeSince,
)
from acteon.rules.stored import NEVER
from acteon.rules_yaml import nodes
from acteon.rules_yaml.embedded import read_embedded
from acteon.rules_yaml.hints import RULE_KEYS, did_you_mean
from acteon.rules_yaml.nodes import Node, Scalar, Sequence
from acteon.rules_yaml.operators import (
    FIELD_OPERATORS,
    NUMBER_OPERATORS,
    ONE_EACH,
    negated,
    read_comparison,
)
from acteon.rules_yaml.reading import (
    NO_TAG,
    given,
    in_quotes,
    is_bare_template,
    keys_of,
    members,
    named,
    read_int,
    seconds_in,
    text_of,
    wrong_kind,
)
from acteon.rules_yaml.report import Place, Report
from acteon.rules_yaml.scalars import is_null
from acteon.rules_yaml.templates import read_path, text_or_template

MAX_NESTING: Final = 64
"""How many conditions may be inside of each other."""
_UINT: Final = range(2**64)

Members = Mapping[str, Node]


@frozen
class _Form:
    """One way to write a condition, known by its key.

    Attributes:
        key: The key.
        fits: Whether what stands there is of the right kind; if not, other forms are tried.
        wanted: What that is, for messages.
        read: Reads the form.
        others: The keys that belong to it besides.
    """

    key: str
    fits: Callable[[Node], bool]
    wanted: str
    read: Callable[[Node, Members, Place], Expression | None]
    others: tuple[str, ...] = ()


def _is_text(node: Node) -> bool:
    return text_of(node) is not None


def _is_sequence(node: Node) -> bool:
    return isinstance(node, Sequence)


def _is_mapping(node: Node) -> bool:
    return isinstance(node, nodes.Mapping)


def _read_field(key: Node, found: Members, place: Place) -> Expression | None:
    field = read_path(text_of(key) or "", key, place.at("field"))
    if field is None:
        return None
    return read_comparison(field, key, found, place, FIELD_OPERATORS)


def _read_state_counter(key: Node, found: Members, place: Place) -> Expression | None:
    id = _read_id(key, place.at("state_counter"))
    if id is None:
        return None
    return read_comparison(StateCounter(id), key, found, place, NUMBER_OPERATORS)


def _read_state_seen(key: Node, found: Members, place: Place) -> Expression | None:
    id = _read_id(key, place.at("state_seen"))
    limit: int | None = NEVER
    node = given(found, "within_seconds")
    if node is not None:
        there = place.at("within_seconds")
        limit = read_int(node, there.path, place.report, _UINT, "a whole number, 0 or more")
        if limit is not None and limit > NEVER:
            there.error(f"within_seconds overflow: {limit}, at most {NEVER}", node)
    if limit is None or id is None:
        return None
    return Binary(BinaryOperator.LESS, StateTimeSince(id), Literal(limit))


def _read_id(key: Node, place: Place) -> str | Expression | None:
    """Read the name of a state entry."""
    template = text_or_template(text_of(key) or "", key, place)
    match template:
        case Literal(str() as id):
            return id
        case _:
            return template


def _read_all(key: Node, found: Members, place: Place) -> Expression | None:
    items = _read_items(key, place.at("all"))
    return None if items is None else All(items)


def _read_any(key: Node, found: Members, place: Place) -> Expression | None:
    items = _read_items(key, place.at("any"))
    return None if items is None else AnyOf(items)


def _read_none(key: Node, found: Members, place: Place) -> Expression | None:
    items = _read_items(key, place.at("none"))
    return None if items is None else negated(AnyOf(items))


def _read_not(key: Node, found: Members, place: Place) -> Expression | None:
    condition = _read_form(key, _INSIDE, place.at("not").inside())
    return None if condition is None else negated(condition)


def _read_cel(key: Node, found: Members, place: Place) -> Expression | None:
    text = text_of(key)
    if text is None or not isinstance(key, Scalar):
        return None
    return read_embedded("cel", text, key, f"{place.path}.cel", place.report)


def _read_items(node: Node, place: Place) -> tuple[Expression, ...] | None:
    if not isinstance(node, Sequence):
        return None
    read = [
        _read_form(item, _INSIDE, place.item(number).inside())
        for number, item in enumerate(node.items)
    ]
    items = [item for item in read if item is not None]
    return tuple(items) if len(items) == len(read) else None


_LIST: Final = "a list of conditions, each behind a dash"
_TEXT: Final = "a text"
_ALL: Final = _Form("all", _is_sequence, _LIST, _read_all)
_ANY: Final = _Form("any", _is_sequence, _LIST, _read_any)
_CHECKS: Final = (
    _Form(
        "field", _is_text, "a field, such as action.payload.to", _read_field, tuple(FIELD_OPERATORS)
    ),
    _Form("state_seen", _is_text, _TEXT, _read_state_seen, ("within_seconds",)),
    _Form("state_counter", _is_text, _TEXT, _read_state_counter, tuple(NUMBER_OPERATORS)),
)
_LATER: Final = (
    _Form("not", _is_mapping, "a condition, as a map", _read_not),
    _Form("none", _is_sequence, _LIST, _read_none),
    _Form("cel", _is_text, "an expression as a text", _read_cel),
)
# Which form counts if a map fits several depends on where it is, as it always did.
_AT_TOP: Final = (_ALL, _ANY, *_CHECKS, *_LATER)
_INSIDE: Final = (*_CHECKS, _ALL, _ANY, *_LATER)
_FORM_KEYS: Final = tuple(form.key for form in _AT_TOP)
KEYS: Final = frozenset(_FORM_KEYS).union(*(form.others for form in _AT_TOP))
_ALWAYS: Final = "`condition: {all: []}` matches always"
_WANTED: Final = f"a map with one of {named(_FORM_KEYS)}"


def read_condition(node: Node, path: str, report: Report) -> Expression | None:
    """Return the condition that `node` writes down; None if it is none, which is noted."""
    return _read_form(node, _AT_TOP, Place(path, report))


def _read_form(node: Node, forms: tuple[_Form, ...], place: Place) -> Expression | None:
    """Read the first of `forms` that fits."""
    if node.tag is not None and node.tag.startswith("!"):
        place.error(f"wanted a condition {NO_TAG}", node)
        return None
    if place.depth > MAX_NESTING:
        place.error(f"nested too deep: at most {MAX_NESTING} conditions inside each other", node)
        return None
    found = members(
        node,
        KEYS,
        place.path,
        place.report,
        wanted=_WANTED,
        hint=_instead_of_a_map(node),
        unknown=_meant,
        strict_keys=True,
    )
    if found is None:
        return None
    for form in _LATER:
        if form.key in found and given(found, form.key) is None:
            # Whoever forgot to indent what is negated must not get the opposite.
            message = "there is nothing; indent what belongs to it further than the key"
            place.at(form.key).error(message, found[form.key])
            return None
    for form in forms:
        key = found.get(form.key)
        if key is not None and form.fits(key):
            if form.key == "field" and _negates_operator(found):
                message = "`not` goes around the field, too: write `not: {field: …, eq: …}`"
                place.at("not").error(message, found["not"])
                return None
            for other, value in found.items():
                if other != form.key and other not in form.others:
                    place.warning(_does_not_go(other, form.key), value)
            return form.read(key, found, place)
    unfit = [(form, found[form.key]) for form in forms if form.key in found]
    if unfit:
        form, value = unfit[0]
        place.at(form.key).error(wrong_kind(value, form.wanted, _as(form, value)), value)
    elif found:
        place.error(
            f"{named(found)}: of what? Add `field: action.payload.to`, behind the same dash", node
        )
    elif isinstance(node, nodes.Mapping) and not node.entries:
        place.error(f"not a condition: wanted {_WANTED}; {_ALWAYS}", node)
    else:
        place.error(f"not a condition: wanted {_WANTED}", node)
    return None


def _as(form: _Form, node: Node) -> str:
    """Return a hint how to make `node` fit `form`."""
    if form.fits is _is_sequence:
        return "write a dash before each condition" if isinstance(node, nodes.Mapping) else ""
    if form.key == "field":
        if isinstance(node, Sequence):
            return ONE_EACH
        return "write its path without braces" if is_bare_template(node) else ""
    if form.fits is _is_text:
        return in_quotes(node)
    return "`none` takes a list" if isinstance(node, Sequence) else ""


def _does_not_go(other: str, key: str) -> str:
    message = f"ignored key: `{other}` does not go with `{key}`"
    if key == "state_seen" and other in NUMBER_OPERATORS:
        return f"{message}; write `within_seconds: 3600`: seen within the last hour"
    both = other in _FORM_KEYS
    return f"{message}; put each in a condition of its own, under `all`" if both else message


def _negates_operator(found: Members) -> bool:
    """Return whether a field has nothing beside it but `not: {eq: …}`."""
    inside = keys_of(found["not"]) if "not" in found else set[str]()
    operators = FIELD_OPERATORS.keys()
    return bool(inside) and inside <= operators and not operators & found.keys()


def _instead_of_a_map(node: Node) -> str:
    """Return a hint if `node` is another way to write a condition that one may think of."""
    if isinstance(node, Sequence):
        return "write `all:` or `any:` above the list"
    if isinstance(node, Scalar) and node.text.lower() in {"true", "always", "all", "any", "*"}:
        return _ALWAYS
    if isinstance(node, Scalar) and node.text.lower() in {"false", "never", "none"}:
        return "a rule that is not to be asked has `enabled: false`"
    text = text_of(node)
    if not text or " " not in text:
        return ""
    if len(text) > 100 or "\n" in text:
        return "an expression stands under `cel:`, which stands under `condition:`"
    return f"write {{cel: {json.dumps(text, ensure_ascii=False)}}}"


_EQ: Final = "; did you mean `eq`?"
_NE: Final = "; did you mean `ne`?"


def _meant(name: str, value: Node) -> str:
    """Return a hint for a key of a condition that is not known."""
    word = name.lower()
    if name in RULE_KEYS:
        return "; it belongs to the rule: indent it less, beside `condition`"
    if word in {"like", "ilike"}:
        return "; write `contains`, `starts_with`, `ends_with`, or `matches` and a pattern"
    plain = word.removeprefix("not_")
    if plain not in {word, "eq", "in_list"} and plain in KEYS:
        return f"; write `not: {{field: …, {plain}: …}}`"
    if word in {"op", "operator", "operation", "comparison"}:
        return "; the operator is a key itself: `eq: 5`"
    if word in {"value", "values"}:
        return "; write it behind the operator: `eq: 5`"
    if word == "between":
        return "; write `gte` and `lte`"
    if "." in name:
        return f"; write `field: {name[:100]}`, and the operator as another key"
    hint = did_you_mean(name, KEYS)
    if isinstance(value, Scalar) and is_null(value) and value.text:
        hint = {_EQ: "; write `is_null: true`", _NE: "; write `exists: true`"}.get(hint, hint)
    seconds = seconds_in(text_of(value) or "")
    if seconds is not None and "`within_seconds`" in hint:
        return f"; write `within_seconds: {seconds}`"
    return hint
