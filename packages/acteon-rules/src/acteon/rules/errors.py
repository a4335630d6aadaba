"""What goes wrong with rules: when they are loaded, and when they are evaluated."""

import re
from typing import ClassVar, Final

from attrs import frozen

from acteon.core import ActeonError


class RuleError(ActeonError):
    """A rule cannot be loaded or evaluated."""

    code = "RULE_ERROR"


@frozen(kw_only=True)
class Problem:
    """One thing that is wrong with a rule file, or odd about it.

    Attributes:
        message: What was found, what was wanted.
        file: The file, as it was named; empty for a text that has none.
        rule: The name of the rule, if it is known.
        path: Where in the document: `rules[2].condition.all[0]`; empty for the document.
        line: The line, counted from 1; 0 if unknown.
        column: The column, counted from 1; 0 if unknown.
        code: What kind of thing it is, for programs: `unreachable`; empty if it has no kind.
    """

    message: str
    file: str = ""
    rule: str = ""
    path: str = ""
    line: int = 0
    column: int = 0
    code: str = ""

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        rule = f" (rule {self.rule!r})" if self.rule else ""
        column = f" column {self.column}" if self.column else ""
        line = f" at line {self.line}{column}" if self.line else ""
        return f"{place}{self.message}{rule}{line}"

    @property
    def located(self) -> str:
        """The problem as one line that begins with its place, as editors and compilers have it."""
        lines = [str(number) for number in (self.line, self.column) if number]
        place = ":".join([self.file, *lines] if self.file else [f"line {':'.join(lines)}"])
        parts = [place] if self.file or lines else []
        path = self.path
        if self.rule:
            parts.append(f"rule {self.rule!r}")
            path = _WHICH_RULE.sub("", path)
        parts += [path] if path else []
        return " ".join(": ".join([*parts, self.message]).splitlines())


_WHICH_RULE: Final = re.compile(r"rules\[\d+\]\.?")


class RuleParseError(RuleError):
    """One or more rule files cannot be used; nothing was loaded.

    Attributes:
        problems: All that is wrong, in the order of the files.
    """

    def __init__(self, problems: tuple[Problem, ...], *, language: str = "YAML") -> None:
        self.problems = problems
        texts: list[str] = []
        for problem in problems:
            where = f" in {problem.file}" if problem.file else ""
            texts.append(f"{language} parse error{where}: {problem}")
        super().__init__("parse error: " + "; ".join(texts))


class TemplateError(RuleError):
    """A template or a field path cannot be read.

    Attributes:
        message: What is wrong, without the prefix.
    """

    def __init__(self, message: str) -> None:
        super().__init__(f"parse error: {message}")
        self.message = message


class ConditionError(RuleError):
    """The text of one condition cannot be read.

    Attributes:
        message: What is wrong, and how to mend it.
        line: The line in the text, counted from 1; 0 if unknown.
        column: The column in it, counted from 1; 0 if unknown.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"parse error: {message}")
        self.message = message
        self.line = line
        self.column = column


class EvaluationError(RuleError):
    """An expression has no value.

    Attributes:
        rule: The name of the rule, once it is known; the text ends with it then.
    """

    prefix: ClassVar[str] = "evaluation error: "

    def __init__(self, message: str) -> None:
        super().__init__(f"{self.prefix}{message}")
        self.rule = ""

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text} (rule {self.rule!r})" if self.rule else text


class TypeMismatchError(EvaluationError):
    """An operator or a function was given values that it does not take."""

    prefix = "type error: "


class UndefinedVariableError(EvaluationError):
    """A name stands for nothing."""

    prefix = "undefined variable: "


class UndefinedFunctionError(EvaluationError):
    """There is no function of that name."""

    prefix = "undefined function: "


class StateAccessError(EvaluationError):
    """A state entry cannot be read, or holds something else than the rule expects."""

    prefix = "state access error: "


class InvalidRegexError(EvaluationError):
    """A pattern is no regular expression."""

    prefix = "invalid regex: "
