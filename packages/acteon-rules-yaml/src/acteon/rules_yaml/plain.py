"""Nodes as the values that they write down: what rules compare with, and merge patches."""

import math
from typing import Any, Final

from acteon.rules.expression import Expression, ListOf, Literal, MapOf
from acteon.rules_yaml.nodes import Mapping, Node, Scalar, Sequence
from acteon.rules_yaml.reading import NO_TAG, in_quotes, is_bare_template, text_of, wrong_kind
from acteon.rules_yaml.report import Place
from acteon.rules_yaml.scalars import CORE, ScalarError, value_of
from acteon.rules_yaml.templates import text_or_template

_INT64: Final = range(-(2**63), 2**63)
_WRITABLE: Final = range(-(2**63), 2**64)
_COLLECTION_TAGS: Final = frozenset({None, f"{CORE}seq", f"{CORE}map"})


def read_operand(node: Node, place: Place) -> Expression:
    """Return the expression that `node` writes down; integers beyond 64 bits become floats.

    What is wrong is noted; the result then does not count.
    """
    return _within_64_bits(_read(node, place))


def read_changes(node: Node, place: Place) -> Any:
    """Return `node` as a value of JSON, or as an expression if there are templates in it.

    What is wrong is noted; the result then does not count.
    """
    expression = _read(node, place)
    return _constant(expression) if _is_constant(expression) else expression


def _read(node: Node, place: Place) -> Expression:
    match node:
        case Scalar():
            return _scalar(node, place)
        case Sequence(items=items):
            _check_tag(node, place)
            return ListOf(
                tuple(_read(item, place.item(number)) for number, item in enumerate(items))
            )
        case Mapping(entries=entries):
            _check_tag(node, place)
            members: dict[str, Expression] = {}
            for key, value in entries:
                name = text_of(key)
                if name is None:
                    hint = in_quotes(node if is_bare_template(node) else key)
                    place.error(wrong_kind(key, "a text as a key", hint), key)
                    continue
                if name in members:
                    place.warning(f"key `{name[:100]}` is given twice; the last one counts", key)
                members[name] = _read(value, place.at(name))
            return MapOf(tuple(members.items()))


def _scalar(node: Scalar, place: Place) -> Expression:
    try:
        value = value_of(node)
    except ScalarError as error:
        place.error(str(error), node)
        return Literal(None)
    if value is None and place.report.comment_at(node):
        place.advice("here is nothing, which is null", node)
    if isinstance(value, str):
        return text_or_template(value, node, place) or Literal(value)
    if type(value) is int and value not in _WRITABLE:
        place.error(wrong_kind(node, "a number of at most 64 bits"), node)
    if type(value) is float and not math.isfinite(value):
        return Literal(None)
    return Literal(value)


def _check_tag(node: Sequence | Mapping, place: Place) -> None:
    if node.tag not in _COLLECTION_TAGS:
        place.error(f"wanted a value {NO_TAG}", node)


def _is_constant(expression: Expression) -> bool:
    match expression:
        case Literal():
            return True
        case ListOf(items):
            return all(_is_constant(item) for item in items)
        case MapOf(entries):
            return all(_is_constant(value) for _, value in entries)
        case _:
            return False


def _constant(expression: Expression) -> Any:
    """Return the value of JSON that a constant expression is."""
    match expression:
        case Literal(value):
            return value
        case ListOf(items):
            return [_constant(item) for item in items]
        case MapOf(entries):
            return {name: _constant(value) for name, value in entries}
        case _:
            raise TypeError(f"no constant: {expression!r}")


def _within_64_bits(expression: Expression) -> Expression:
    match expression:
        case Literal(int(value)) if value not in _INT64:
            return Literal(float(value))
        case ListOf(items):
            return ListOf(tuple(_within_64_bits(item) for item in items))
        case MapOf(entries):
            return MapOf(tuple((name, _within_64_bits(value)) for name, value in entries))
        case _:
            return expression
