"""Collecting what is wrong with a file, and taking maps apart on the way."""

import re
from collections.abc import Collection, Mapping
from typing import Final

from attrs import define, evolve, field

from acteon.rules import Problem, RuleParseError
from acteon.rules_yaml import document
from acteon.rules_yaml.document import Node, Scalar, Sequence
from acteon.rules_yaml.hints import did_you_mean
from acteon.rules_yaml.scalars import ScalarError, is_null, resolved, value_of

_MAX_PROBLEMS: Final = 200
NO_TAG: Final = "without a tag of its own; take out the word that begins with !"


@define(eq=False)
class Report:
    """The problems of one file, in the order in which they were found.

    Attributes:
        file: What the file is called.
        rule: The name of the rule that is being read; empty outside of rules.
    """

    file: str
    rule: str = ""
    _errors: list[Problem] = field(factory=list[Problem], init=False)
    _warnings: list[Problem] = field(factory=list[Problem], init=False)

    def error(self, message: str, path: str = "", node: Node | None = None) -> None:
        """Note what keeps the file from being loaded."""
        self._errors.append(self._problem(message, path, node))

    def warning(self, message: str, path: str = "", node: Node | None = None) -> None:
        """Note what is odd, and is an error for those who are strict."""
        self._warnings.append(self._problem(message, path, node))

    def warnings(self, *, strict: bool) -> tuple[Problem, ...]:
        """Return what is odd, unless there is worse.

        Raises:
            RuleParseError: There were errors, or `strict` made some of the warnings.
        """
        if not self._errors and not (strict and self._warnings):
            return tuple(self._warnings)
        # What is odd often is the cause of what is wrong: a misspelt key is a missing one, too.
        wrong = [*self._errors, *self._warnings]
        shown = sorted(wrong, key=lambda problem: (problem.line, problem.column))
        if len(shown) > _MAX_PROBLEMS:
            more = Problem(
                message=f"and {len(shown) - _MAX_PROBLEMS} more problems", file=self.file
            )
            shown = [*shown[:_MAX_PROBLEMS], more]
        raise RuleParseError(tuple(shown))

    def name_since(self, start: tuple[int, int], rule: str) -> None:
        """Name the rule in all that was noted since `marks` gave `start`."""
        for noted, first in zip((self._errors, self._warnings), start, strict=True):
            noted[first:] = [evolve(problem, rule=rule) for problem in noted[first:]]

    def marks(self) -> tuple[int, int]:
        """Return how much was noted until now."""
        return len(self._errors), len(self._warnings)

    def _problem(self, message: str, path: str, node: Node | None) -> Problem:
        line, column = (node.line, node.column) if node else (0, 0)
        return Problem(
            message=message,
            file=self.file,
            rule=self.rule,
            path=path,
            line=line,
            column=column,
        )


def described(node: Node) -> str:
    """Return what `node` is, as messages say it."""
    match node:
        case Sequence():
            return "a list"
        case document.Mapping():
            return "a map"
        case Scalar():
            try:
                value = value_of(node)
            except ScalarError:
                return "a value with a tag of its own"
            match value:
                case None:
                    return "null"
                case bool():
                    return str(value).lower()
                case int():
                    return f"the number {value}"
                case float():
                    return f"the number {value}"
                case str():
                    shown = value if len(value) <= 100 else f"{value[:100]}…"
                    return f'the text "{shown}"'


def wrong_kind(node: Node, wanted: str, hint: str = "") -> str:
    """Return the text for a `node` that is not what is `wanted`, and how to mend it."""
    behind = f"; {hint or _quotes(node)}" if hint or _quotes(node) else ""
    return f"wanted {wanted}, found {described(node)}{behind}"


def _quotes(node: Node) -> str:
    """Return a hint if `node` is a template that lost its quotes: YAML takes it for a map."""
    if isinstance(node, document.Mapping) and node.entries:
        key, _ = node.entries[0]
        if isinstance(key, document.Mapping):
            return "put quotes around a text that begins with {{"
    return ""


def members(
    node: Node,
    known: Collection[str],
    path: str,
    report: Report,
    *,
    wanted: str = "a map",
    hint: str = "",
    strict_keys: bool = False,
) -> dict[str, Node] | None:
    """Return the members of a map by their names; those that are not known are noted.

    Args:
        node: What should be a map; if it is none, that is noted, and the result is None.
        known: The names that count.
        path: Where the map is.
        report: Where to note what is wrong.
        wanted: What the map describes.
        hint: How to mend it if it is no map.
        strict_keys: Whether keys must be texts or non-negative integers, even unknown ones.
    """
    if not isinstance(node, document.Mapping):
        report.error(wrong_kind(node, wanted, hint), path, node)
        return None
    found: dict[str, Node] = {}
    for key, value in node.entries:
        name = _key_name(key)
        if name is None:
            report.error(wrong_kind(key, "a name as a key"), path, key)
        elif not isinstance(name, str):
            if strict_keys and (type(name) is not int or name < 0):
                report.error(wrong_kind(key, "a name as a key"), path, key)
            else:
                report.warning(f"ignored key: {described(key)}", path, key)
        elif name not in known:
            report.warning(f"ignored key: `{name[:100]}`{_hint(name, known)}", path, key)
        elif name in found:
            report.error(f"duplicate field `{name}`", path, key)
        else:
            found[name] = value
    return found


def _key_name(key: Node) -> "str | bool | float | _Null | None":
    """Return the value of a scalar key; None if it cannot be one."""
    if not isinstance(key, Scalar):
        return None
    try:
        value = value_of(key)
    except ScalarError:
        return None
    return NULL if value is None else value


class _Null:
    """A key that is null."""


NULL: Final = _Null()


def _hint(name: str, known: Collection[str]) -> str:
    return " (maps are not merged)" if name == "<<" else did_you_mean(name, known)


def text_of(node: Node) -> str | None:
    """Return the text of `node` if it is a scalar that is a text, by its type; else None."""
    if not isinstance(node, Scalar):
        return None
    try:
        value = value_of(node)
    except ScalarError:
        return None
    return value if isinstance(value, str) else None


def given(found: Mapping[str, Node], name: str) -> Node | None:
    """Return the member `name` unless it is missing or null, which is the same."""
    node = found.get(name)
    return None if isinstance(node, Scalar) and is_null(node) else node


def read_int(node: Node, path: str, report: Report, allowed: range, wanted: str) -> int | None:
    """Return the integer that `node` is; if it is none of the `allowed`, note that."""
    value: object = None
    if isinstance(node, Scalar):
        try:
            value = value_of(node)
        except ScalarError:
            value = None
    if type(value) is int and value in allowed:
        return value
    hint = _as_number(value, path) if isinstance(value, str) else ""
    report.error(wrong_kind(node, wanted, hint), path, node)
    return None


def _as_number(text: str, path: str) -> str:
    """Return a hint if `text` is a number in quotes, or a duration with its unit."""
    if type(resolved(text)) is int:
        return "write it without quotes"
    duration = _DURATION.fullmatch(text)
    if duration is None or not path.endswith("_seconds"):
        return ""
    return f"write {int(duration[1]) * _SECONDS[duration[2].lower()]}"


_DURATION: Final = re.compile(r"([0-9]{1,9}) ?(s|sec|m|min|h|d)", re.IGNORECASE)
_SECONDS: Final = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
