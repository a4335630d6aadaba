"""The condition of a rule: what its keys mean."""

from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from acteon.rules import TemplateError, parse_field_path
from acteon.rules.expression import (
    All,
    AnyOf,
    Binary,
    BinaryOperator,
    Expression,
    ListOf,
    Literal,
    StateCounter,
    StateTimeSince,
)
from acteon.rules_yaml.document import Node, Scalar, Sequence
from acteon.rules_yaml.plain import read_constant
from acteon.rules_yaml.report import (
    NO_TAG,
    Report,
    given,
    members,
    read_int,
    text_of,
    wrong_kind,
)
from acteon.rules_yaml.scalars import is_null

NEVER: Final = 2**63 - 1
"""The seconds since what has never been seen."""
_UINT: Final = range(2**64)

Members = Mapping[str, Node]


@frozen
class Place:
    """Where something is read, and where its problems go.

    Attributes:
        path: The keys that lead there.
        report: Takes the problems.
    """

    path: str
    report: Report

    def error(self, message: str, node: Node) -> None:
        self.report.error(message, self.path, node)

    def at(self, key: str) -> "Place":
        return Place(f"{self.path}.{key}", self.report)

    def item(self, number: int) -> "Place":
        return Place(f"{self.path}[{number}]", self.report)


def _any_operand(node: Node, place: Place) -> Expression | None:
    return read_constant(node, place.path, place.report)


def _text_operand(node: Node, place: Place) -> Expression | None:
    text = text_of(node)
    if text is None:
        place.error(wrong_kind(node, "a text", _in_quotes(node)), node)
        return None
    return Literal(text)


def _list_operand(node: Node, place: Place) -> Expression | None:
    if not isinstance(node, Sequence):
        place.error(wrong_kind(node, "a list, such as [a, b]"), node)
        return None
    constant = read_constant(node, place.path, place.report)
    return constant if isinstance(constant, ListOf) else None


_OPERATORS: Final[
    Mapping[str, tuple[BinaryOperator, Callable[[Node, Place], Expression | None]]]
] = {
    "eq": (BinaryOperator.EQUAL, _any_operand),
    "ne": (BinaryOperator.NOT_EQUAL, _any_operand),
    "gt": (BinaryOperator.GREATER, _any_operand),
    "lt": (BinaryOperator.LESS, _any_operand),
    "gte": (BinaryOperator.GREATER_OR_EQUAL, _any_operand),
    "lte": (BinaryOperator.LESS_OR_EQUAL, _any_operand),
    "contains": (BinaryOperator.CONTAINS, _text_operand),
    "starts_with": (BinaryOperator.STARTS_WITH, _text_operand),
    "ends_with": (BinaryOperator.ENDS_WITH, _text_operand),
    "matches": (BinaryOperator.MATCHES, _text_operand),
    "in_list": (BinaryOperator.IN, _list_operand),
}
"""The operators of a comparison, in the order in which several of one are evaluated."""
_NAMES: Final = ", ".join(f"`{name}`" for name in _OPERATORS)


def _in_quotes(node: Node) -> str:
    return "put it in quotes" if isinstance(node, Scalar) and not is_null(node) else ""


@frozen
class _Form:
    """One way to write a condition, known by its key.

    Attributes:
        key: The key.
        fits: Whether what stands there is of the right kind; if not, other forms are tried.
        read: Reads the form.
        others: The keys that belong to it besides.
    """

    key: str
    fits: Callable[[Node], bool]
    read: Callable[[Node, Members, Place], Expression | None]
    others: tuple[str, ...] = ()


def _is_text(node: Node) -> bool:
    return text_of(node) is not None


def _is_sequence(node: Node) -> bool:
    return isinstance(node, Sequence)


def _read_field(key: Node, found: Members, place: Place) -> Expression | None:
    try:
        field = parse_field_path(text_of(key) or "")
    except TemplateError as error:
        place.at("field").error(error.message, key)
        return None
    return _read_comparisons(field, key, found, place)


def _read_state_counter(key: Node, found: Members, place: Place) -> Expression | None:
    return _read_comparisons(StateCounter(text_of(key) or ""), key, found, place)


def _read_comparisons(
    left: Expression, key: Node, found: Members, place: Place
) -> Expression | None:
    """Read the operators beside `key`; all of them must hold."""
    comparisons: list[Expression] = []
    operators = 0
    for name, (operator, read) in _OPERATORS.items():
        node = given(found, name)
        if node is None:
            if name in found:
                place.report.warning(
                    f"`{name}: null` counts as not given; `in_list: [null]` finds null",
                    place.path,
                    found[name],
                )
            continue
        operators += 1
        right = read(node, place.at(name))
        if right is not None:
            comparisons.append(Binary(operator, left, right))
    if not operators:
        place.error(f"field operation has no comparison operator; add one of {_NAMES}", key)
        return None
    if len(comparisons) < operators:
        return None
    return comparisons[0] if operators == 1 else All(tuple(comparisons))


def _read_state_seen(key: Node, found: Members, place: Place) -> Expression | None:
    limit: int | None = NEVER
    node = given(found, "within_seconds")
    if node is not None:
        there = place.at("within_seconds")
        limit = read_int(node, there.path, place.report, _UINT, "a whole number, 0 or more")
        if limit is not None and limit > NEVER:
            there.error(f"within_seconds overflow: {limit}, at most {NEVER}", node)
    if limit is None:
        return None
    return Binary(BinaryOperator.LESS, StateTimeSince(text_of(key) or ""), Literal(limit))


def _read_all(key: Node, found: Members, place: Place) -> Expression | None:
    items = _read_items(key, place.at("all"))
    return None if items is None else All(items)


def _read_any(key: Node, found: Members, place: Place) -> Expression | None:
    items = _read_items(key, place.at("any"))
    return None if items is None else AnyOf(items)


def _read_items(node: Node, place: Place) -> tuple[Expression, ...] | None:
    if not isinstance(node, Sequence):
        return None
    read = [
        _read_form(item, _IN_LISTS, place.item(number)) for number, item in enumerate(node.items)
    ]
    items = [item for item in read if item is not None]
    return tuple(items) if len(items) == len(read) else None


_ALL: Final = _Form("all", _is_sequence, _read_all)
_ANY: Final = _Form("any", _is_sequence, _read_any)
_CHECKS: Final = (
    _Form("field", _is_text, _read_field, tuple(_OPERATORS)),
    _Form("state_seen", _is_text, _read_state_seen, ("within_seconds",)),
    _Form("state_counter", _is_text, _read_state_counter, tuple(_OPERATORS)),
)
_AT_TOP: Final = (_ALL, _ANY, *_CHECKS)
_IN_LISTS: Final = (*_CHECKS, _ALL, _ANY)
_KEYS: Final = frozenset(
    {form.key for form in _AT_TOP} | {other for form in _AT_TOP for other in form.others}
)
_WANTED: Final = {
    "all": "a list of conditions, each behind a dash",
    "any": "a list of conditions, each behind a dash",
    "field": "a field, such as action.payload.to",
}
_FORM_NAMES: Final = ", ".join(f"`{form.key}`" for form in _AT_TOP)


def read_condition(node: Node, path: str, report: Report) -> Expression | None:
    """Return the condition that `node` writes down; None if it is none, which is noted."""
    return _read_form(node, _AT_TOP, Place(path, report))


def _read_form(node: Node, forms: tuple[_Form, ...], place: Place) -> Expression | None:
    """Read the first of `forms` that fits."""
    if node.tag is not None and node.tag.startswith("!"):
        place.error(
            f"wanted a condition {NO_TAG}",
            node,
        )
        return None
    wanted = f"a map with one of {_FORM_NAMES}"
    found = members(node, _KEYS, place.path, place.report, wanted=wanted, strict_keys=True)
    if found is None:
        return None
    for form in forms:
        key = found.get(form.key)
        if key is not None and form.fits(key):
            for other, value in found.items():
                if other != form.key and other not in form.others:
                    place.report.warning(
                        f"ignored key: `{other}` does not go with `{form.key}`", place.path, value
                    )
            return form.read(key, found, place)
    unfit = [(form.key, found[form.key]) for form in forms if form.key in found]
    if unfit:
        name, value = unfit[0]
        place.at(name).error(wrong_kind(value, _WANTED.get(name, "a text")), value)
    else:
        place.error(f"not a condition: wanted {wanted}", node)
    return None
