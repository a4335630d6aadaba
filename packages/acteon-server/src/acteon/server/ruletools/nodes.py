"""Taking YAML documents apart strictly: whatever is not wanted is noted, with its place."""

import difflib
import math
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from acteon.core import parse_instant
from acteon.rules import Problem, RuleParseError
from acteon.rules_yaml import (
    DocumentError,
    Mapping,
    Node,
    Report,
    Scalar,
    ScalarError,
    Sequence,
    described,
    is_null,
    read_document,
    scalar_of,
    value_of,
    wrong_kind,
)
from acteon.server.ruletools.durations import parse_duration


def read_root(text: str, file: str) -> Node:
    """Return the root of the document in `text`.

    Raises:
        RuleParseError: It is no YAML document, or an empty one.
    """
    try:
        root = read_document(text)
    except DocumentError as error:
        problem = Problem(message=error.message, file=file, line=error.line, column=error.column)
        raise RuleParseError((problem,)) from None
    if root is None:
        raise RuleParseError((Problem(message="the file is empty", file=file),))
    return root


def value_in(text: str, *, file: str) -> Any:
    """Return the value of JSON that a YAML document writes down.

    Raises:
        RuleParseError: It writes down none.
    """
    report = Report(file)
    value = read_value(read_root(text, file), "", report)
    report.warnings(strict=True)
    return value


def read_value(node: Node, path: str, report: Report) -> Any:
    """Return the value of JSON that `node` writes down; if it is none, that is noted."""
    match node:
        case Scalar():
            try:
                value = value_of(node)
            except ScalarError as error:
                report.error(str(error), path, node)
                return None
            if isinstance(value, float) and not math.isfinite(value):
                report.error(f"JSON has no number {node.text}", path, node)
            return value
        case Sequence(items=items):
            return [
                read_value(item, f"{path}[{number}]", report) for number, item in enumerate(items)
            ]
        case Mapping():
            members = read_named(node, path, report, "a map")
            return {
                name: read_value(each, f"{path}.{name}" if path else name, report)
                for name, each in members.items()
            }


def read_members(
    node: Node, known: Collection[str], path: str, report: Report, wanted: str
) -> dict[str, Node]:
    """Return the members of a map by their names; all that is not right about it is noted."""
    if not isinstance(node, Mapping):
        report.error(wrong_kind(node, wanted), path, node)
        return {}
    found: dict[str, Node] = {}
    for key, value in node.entries:
        name = _name(key)
        if name is None or name not in known:
            shown = described(key) if name is None else f"`{name[:100]}`"
            close = difflib.get_close_matches((name or "")[:100], known, n=1)
            there_are = f"; there are: {', '.join(known)}"
            hint = f"; did you mean `{close[0]}`?" if close else there_are
            report.error(f"unknown key {shown}{hint}", path, key)
        elif name in found:
            report.error(f"`{name}` is given twice", path, key)
        else:
            found[name] = value
    return found


def _name(key: Node) -> str | None:
    value = scalar_of(key)
    return value if isinstance(value, str) else None


def read_named(node: Node, path: str, report: Report, wanted: str) -> dict[str, Node]:
    """Return the members of a map whose keys are names of the author's own."""
    if not isinstance(node, Mapping):
        report.error(wrong_kind(node, wanted), path, node)
        return {}
    found: dict[str, Node] = {}
    for key, value in node.entries:
        if not isinstance(key, Scalar) or is_null(key):
            report.error(wrong_kind(key, "a name as a key"), path, key)
        elif key.text in found:
            report.error(f"`{key.text[:100]}` is given twice", path, key)
        else:
            found[key.text] = value
    return found


def read_text(node: Node, path: str, report: Report, wanted: str = "a text") -> str:
    """Return the text of a scalar, whatever its type would be elsewhere."""
    if isinstance(node, Scalar) and not is_null(node):
        return node.text
    report.error(wrong_kind(node, wanted), path, node)
    return ""


def read_texts(node: Node, path: str, report: Report, wanted: str) -> tuple[str, ...]:
    """Return the texts of a list; one text stands for a list of it."""
    if isinstance(node, Scalar):
        return (read_text(node, path, report, wanted),)
    if not isinstance(node, Sequence):
        report.error(wrong_kind(node, wanted), path, node)
        return ()
    return tuple(
        read_text(item, f"{path}[{number}]", report) for number, item in enumerate(node.items)
    )


def read_count(node: Node, path: str, report: Report) -> int:
    """Return a whole number from 1 on."""
    value = scalar_of(node)
    if type(value) is int and 0 < value <= _MOST:
        return value
    report.error(wrong_kind(node, f"a whole number from 1 to {_MOST}"), path, node)
    return 1


_MOST: Final = 100_000


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a hint at the one of `known` that `name` looks like; empty if none does."""
    close = difflib.get_close_matches(name[:100], known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def read_instant(node: Node, path: str, report: Report) -> datetime | None:
    """Return an instant."""
    text = read_text(node, path, report, "an instant, such as 2025-01-31T13:30:00Z")
    try:
        return parse_instant(text) if text else None
    except ValueError as error:
        report.error(str(error), path, node)
        return None


def read_duration(node: Node, path: str, report: Report) -> timedelta | None:
    """Return a duration, written as `10m` or `1h30m`."""
    text = read_text(node, path, report, _WANTED)
    duration = parse_duration(text)
    if duration is None and text:
        hint = f"; write {text}s" if text.isdecimal() else ""
        report.error(f"wanted {_WANTED}, found {described(node)}{hint}", path, node)
    return duration


_WANTED: Final = "a duration, such as 90s, 10m or 1h30m"
