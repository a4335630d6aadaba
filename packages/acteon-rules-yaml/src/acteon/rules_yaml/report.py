"""Collecting what is wrong with a file, and taking maps apart on the way."""

from collections.abc import Collection, Mapping
from typing import Final

from attrs import define, evolve, field

from acteon.rules import Problem, RuleParseError
from acteon.rules_yaml import document
from acteon.rules_yaml.document import Node, Scalar, Sequence
from acteon.rules_yaml.scalars import ScalarError, is_null, value_of

_MAX_PROBLEMS: Final = 200


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
        wrong = [*self._errors, *self._warnings] if strict else self._errors
        if not wrong:
            return tuple(self._warnings)
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
            return "sequence"
        case document.Mapping():
            return "map"
        case Scalar():
            try:
                value = value_of(node)
            except ScalarError:
                return "enum"
            match value:
                case None:
                    return "unit value"
                case bool():
                    return f"boolean `{str(value).lower()}`"
                case int():
                    return f"integer `{value}`"
                case float():
                    return f"floating point `{value}`"
                case str():
                    shown = value if len(value) <= 100 else f"{value[:100]}…"
                    return f'string "{shown}"'


def members(
    node: Node,
    known: Collection[str],
    path: str,
    report: Report,
    *,
    wanted: str = "a map",
    strict_keys: bool = False,
) -> dict[str, Node] | None:
    """Return the members of a map by their names; those that are not known are noted.

    Args:
        node: What should be a map; if it is none, that is noted, and the result is None.
        known: The names that count.
        path: Where the map is.
        report: Where to note what is wrong.
        wanted: What the map describes.
        strict_keys: Whether keys must be texts or non-negative integers, even unknown ones.
    """
    if not isinstance(node, document.Mapping):
        report.error(f"invalid type: {described(node)}, expected {wanted}", path, node)
        return None
    found: dict[str, Node] = {}
    for key, value in node.entries:
        name = _key_name(key)
        if name is None:
            report.error(f"invalid type: {described(key)} as a key, expected a name", path, key)
        elif not isinstance(name, str):
            if strict_keys and (type(name) is not int or name < 0):
                report.error(f"invalid type: {described(key)} as a key, expected a name", path, key)
            else:
                report.warning(f"ignored key: {described(key)}", path, key)
        elif name not in known:
            report.warning(f"ignored key: `{name[:100]}`{_hint(name)}", path, key)
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


def _hint(name: str) -> str:
    return " (maps are not merged)" if name == "<<" else ""


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
    if type(value) is int:
        if value in allowed:
            return value
        report.error(f"invalid value: {described(node)}, expected {wanted}", path, node)
    else:
        report.error(f"invalid type: {described(node)}, expected {wanted}", path, node)
    return None
