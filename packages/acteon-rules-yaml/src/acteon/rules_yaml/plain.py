"""Nodes as the values that they write down: what rules compare with, and merge patches."""

import math
from collections.abc import Iterable
from typing import Any, Final, cast

from acteon.rules.expression import Expression, ListOf, Literal, MapOf
from acteon.rules_yaml.document import Mapping, Node, Scalar, Sequence
from acteon.rules_yaml.report import NO_TAG, Report, text_of, wrong_kind
from acteon.rules_yaml.scalars import CORE, ScalarError, value_of

_INT64: Final = range(-(2**63), 2**63)
_WRITABLE: Final = range(-(2**63), 2**64)
_COLLECTION_TAGS: Final = frozenset({None, f"{CORE}seq", f"{CORE}map"})


def read_value(node: Node, path: str, report: Report) -> Any:
    """Return `node` as a value of JSON: infinite numbers and NaN become None.

    What cannot be one is noted; the result then does not count.
    """
    match node:
        case Scalar():
            return _scalar(node, path, report)
        case Sequence(items=items):
            _check_tag(node, path, report)
            return [
                read_value(item, f"{path}[{number}]", report) for number, item in enumerate(items)
            ]
        case Mapping(entries=entries):
            _check_tag(node, path, report)
            members: dict[str, Any] = {}
            for key, value in entries:
                name = text_of(key)
                if name is None:
                    hint = "put it in quotes" if isinstance(key, Scalar) else ""
                    report.error(wrong_kind(key, "a text as a key", hint), path, key)
                    continue
                if name in members:
                    report.warning(
                        f"key `{name[:100]}` is given twice; the last one counts", path, key
                    )
                members[name] = read_value(value, f"{path}.{name}", report)
            return members


def read_constant(node: Node, path: str, report: Report) -> Expression:
    """Return the constant that `node` writes down; integers beyond 64 bits become floats."""
    return as_expression(read_value(node, path, report))


def as_expression(value: Any) -> Expression:
    """Return the constant expression for a value of JSON."""
    if isinstance(value, list):
        items = cast(Iterable[Any], value)
        return ListOf(tuple(as_expression(item) for item in items))
    if isinstance(value, dict):
        members = cast(dict[str, Any], value)
        return MapOf(tuple((name, as_expression(member)) for name, member in members.items()))
    if type(value) is int and value not in _INT64:
        return Literal(float(value))
    return Literal(value)


def _scalar(node: Scalar, path: str, report: Report) -> Any:
    try:
        value = value_of(node)
    except ScalarError as error:
        report.error(str(error), path, node)
        return None
    if type(value) is int and value not in _WRITABLE:
        report.error(wrong_kind(node, "a number of at most 64 bits"), path, node)
    if type(value) is float and not math.isfinite(value):
        return None
    return value


def _check_tag(node: Sequence | Mapping, path: str, report: Report) -> None:
    if node.tag not in _COLLECTION_TAGS:
        report.error(
            f"wanted a value {NO_TAG}",
            path,
            node,
        )
