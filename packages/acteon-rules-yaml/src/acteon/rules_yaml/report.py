"""Collecting what is wrong with a file."""

import re
from typing import Final

from attrs import define, evolve, field, frozen

from acteon.core import ConfigError
from acteon.rules import ConditionLanguage, Problem, RuleParseError
from acteon.rules_yaml.nodes import Node, Scalar
from acteon.rules_yaml.positions import lines_of, place_within

_MAX_PROBLEMS: Final = 200
_ODD: Final = "file"
"""The code of what is no error, among errors and for those who are strict."""
_FAR: Final = 200
_TEXT: Final = re.compile(r"\s#\w")
"""What looks like a comment to YAML, but not like one to people, who put a blank there."""


@define(eq=False)
class Report:
    """The problems of one file, in the order in which they were found.

    Attributes:
        file: What the file is called.
        language: What its conditions are written in.
        source: Its text.
        version: The version of the rule language that it asks for: 1 or 2.
        rule: The name of the rule that is being read; empty outside of rules.
        languages: The other languages in it, by name, or why they are not there.
    """

    file: str
    language: str = "YAML"
    source: str = ""
    version: int = 1
    rule: str = ""
    languages: dict[str, ConditionLanguage | ConfigError] = field(
        factory=dict[str, ConditionLanguage | ConfigError]
    )
    _errors: list[Problem] = field(factory=list[Problem], init=False)
    _warnings: list[Problem] = field(factory=list[Problem], init=False)
    _lines: list[str] | None = field(default=None, init=False)

    def error(self, message: str, path: str = "", node: Node | None = None) -> None:
        """Note what keeps the file from being loaded."""
        self._errors.append(self._problem(message, path, node))

    def error_within(self, message: str, path: str, node: Scalar, line: int, column: int) -> None:
        """Note an error in the text of `node`, at a line and a column of it, counted from 1."""
        line, column = place_within(self._source_lines(), node, line, column)
        self._errors.append(evolve(self._problem(message, path, node), line=line, column=column))

    def warning(self, message: str, path: str = "", node: Node | None = None) -> None:
        """Note what is odd, and is an error for those who are strict."""
        self._warnings.append(self._problem(message, path, node))

    def advice(self, message: str, path: str = "", node: Node | None = None) -> None:
        """Note what is odd, but may be meant, so that there must be a way to write it."""
        self._warnings.append(evolve(self._problem(message, path, node), code=_ODD))

    def comment_at(self, node: Node) -> str:
        """Return a hint if what would stand at `node`, which is empty, is taken for a comment."""
        if not (isinstance(node, Scalar) and node.plain and not node.text):
            return ""
        lines = self._source_lines()
        line = lines[node.line - 1] if 0 < node.line <= len(lines) else ""
        behind = line[node.column - 1 : node.column + _FAR]  # A line may be as long as the file.
        return "; a # begins a comment: put the text in quotes" if _TEXT.search(behind) else ""

    def _source_lines(self) -> list[str]:
        if self._lines is None:
            self._lines = lines_of(self.source)
        return self._lines

    def warnings(self, *, strict: bool) -> tuple[Problem, ...]:
        """Return what is odd, unless there is worse.

        Raises:
            RuleParseError: There were errors, or `strict` made some of the warnings. What is odd
                and no error is among its problems, with a code, which errors do not have.
        """
        if not self._errors and not (strict and any(not one.code for one in self._warnings)):
            return self._shown(self._warnings)
        # What is odd often is the cause of what is wrong: a misspelt key is a missing one, too.
        odd = self._warnings if strict else [evolve(one, code=_ODD) for one in self._warnings]
        wrong = [*self._errors, *odd]
        raise self.refusal(*self._shown(sorted(wrong, key=lambda each: (each.line, each.column))))

    @property
    def full(self) -> bool:
        """Whether there are so many problems that it does not pay to look for good advice."""
        return len(self._errors) + len(self._warnings) >= _MAX_PROBLEMS

    def _shown(self, problems: list[Problem]) -> tuple[Problem, ...]:
        rest = len(problems) - _MAX_PROBLEMS
        if rest <= 0:
            return tuple(problems)
        more = Problem(message=f"and {rest} more problems", file=self.file)
        return (*problems[:_MAX_PROBLEMS], more)

    def refusal(self, *problems: Problem) -> RuleParseError:
        """Return the error that refuses the file."""
        return RuleParseError(problems, language=self.language)

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
            message=f"{message}{self.comment_at(node) if node else ''}",
            file=self.file,
            rule=self.rule,
            path=path,
            line=line,
            column=column,
        )


@frozen
class Place:
    """Where something is read, and where its problems go.

    Attributes:
        path: The keys that lead there.
        report: Takes the problems.
        depth: How many conditions it is inside of.
    """

    path: str
    report: Report
    depth: int = 0

    def error(self, message: str, node: Node) -> None:
        self.report.error(message, self.path, node)

    def warning(self, message: str, node: Node) -> None:
        self.report.warning(message, self.path, node)

    def advice(self, message: str, node: Node) -> None:
        self.report.advice(message, self.path, node)

    def at(self, key: str) -> "Place":
        return Place(f"{self.path}.{key}", self.report, self.depth)

    def item(self, number: int) -> "Place":
        return Place(f"{self.path}[{number}]", self.report, self.depth)

    def inside(self) -> "Place":
        return Place(self.path, self.report, self.depth + 1)
