"""Conditions in languages that bring their own evaluator."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, ClassVar

from acteon.rules.context import Context
from acteon.rules.decision import StateRead

if TYPE_CHECKING:
    from acteon.rules.expression import Expression


class Program(ABC):
    """A condition, read and checked, in a language with its own evaluator.

    Programs of one language with one source are equal. Shared by all tasks, so it holds nothing of
    an evaluation.

    Attributes:
        language: What the language is called: `"CEL"`.
        source: The condition as it was written.
        reads: The state entries that it may read, as far as they can be told beforehand; they are
            fetched together. Others are fetched when they are met.
        requires: Comparisons that hold whenever the program is true. While one of them does not,
            the program must not fail either, as it is not asked then.
        variables: The variables of `env` that it needs, as far as they can be told beforehand.
    """

    language: ClassVar[str]
    source: str
    reads: tuple[StateRead, ...] = ()
    requires: "tuple[Expression, ...]" = ()
    variables: tuple[str, ...] = ()

    @abstractmethod
    def bind(self, environment: Mapping[str, str], timezone: tzinfo) -> Callable[[Context], object]:
        """Return the function that evaluates the program.

        The function raises `EvaluationError` if there is no value, and `StateNotReadError`. It ends
        within milliseconds, whatever the action holds.

        Args:
            environment: The variables that conditions can see; they are constants.
            timezone: Where `time` is told.
        """

    def seen(
        self, context: Context, environment: Mapping[str, str], timezone: tzinfo
    ) -> tuple[tuple[str, Any], ...]:
        """Return the fields that the program looks at, each with its value, for explanations.

        Those that are missing or cannot be evaluated are left out.
        """
        return ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Program):
            return NotImplemented
        return (self.language, self.source) == (other.language, other.source)

    def __hash__(self) -> int:
        return hash((self.language, self.source))

    def __repr__(self) -> str:
        return f"{self.language}({self.source!r})"
