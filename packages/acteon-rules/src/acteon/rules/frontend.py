"""The interface of the authors of rule languages."""

from abc import ABC, abstractmethod
from typing import ClassVar

from attrs import frozen

from acteon.rules.errors import Problem
from acteon.rules.expression import Expression
from acteon.rules.rule import Rule


@frozen
class ParsedRules:
    """What a rule file holds.

    Attributes:
        rules: Its rules, in order.
        warnings: What is odd about it.
    """

    rules: tuple[Rule, ...]
    warnings: tuple[Problem, ...] = ()


class RuleFrontend(ABC):
    """Reads rule files of one language; made without arguments, and used from any thread.

    A package registers it in the entry-point group `acteon.rules`, once for every extension,
    under the extension without its dot.

    Attributes:
        language: What it is called in errors: `"YAML"`.
    """

    language: ClassVar[str]

    @abstractmethod
    def parse(self, text: str, *, file: str = "", strict: bool = False) -> ParsedRules:
        """Return the rules in `text`.

        Args:
            text: The content of the file.
            file: What it is called, for errors and `Rule.source`.
            strict: What would be a warning is an error.

        Raises:
            RuleParseError: With every problem of the text.
        """


@frozen
class ParsedCondition:
    """What the text of one condition says.

    Attributes:
        expression: The condition.
        warnings: What is odd about it.
    """

    expression: Expression
    warnings: tuple[str, ...] = ()


class ConditionLanguage(ABC):
    """What a frontend is besides if other languages may embed its conditions.

    The YAML frontend finds it for a key of a condition under that key's name in the entry-point
    group: `cel: "action.payload.amount > 500"` is read by the plugin `cel`.
    """

    @abstractmethod
    def parse_condition(self, text: str) -> ParsedCondition:
        """Return the condition in `text`.

        Raises:
            ConditionError: It is none.
        """
