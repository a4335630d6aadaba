"""Conditions as the rule engine takes them."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any, ClassVar

from attrs import define, field

from acteon.rules import Context, EvaluationError, Program, StateRead, TypeMismatchError
from acteon.rules.expression import Expression
from acteon.rules_cel.closures import Closures
from acteon.rules_cel.conversions import duration_text, instant_text
from acteon.rules_cel.engines import CelEngine, Condition
from acteon.rules_cel.syntax import shown
from acteon.rules_cel.values import Frame, type_name


@define(eq=False, repr=False)
class CelProgram(Program):
    """A condition in CEL.

    Attributes:
        condition: What it says.
        engine: What evaluates it.
    """

    language: ClassVar[str] = "CEL"

    condition: Condition
    engine: CelEngine
    source: str = field(init=False)
    reads: tuple[StateRead, ...] = field(init=False)
    requires: tuple[Expression, ...] = field(init=False)
    variables: tuple[str, ...] = field(init=False)
    _make: Callable[[Mapping[str, str], tzinfo], Callable[[Context], Any]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.source = self.condition.text
        self.reads = self.condition.facts.reads
        self.requires = self.condition.facts.requires
        self.variables = self.condition.facts.variables
        self._make = self.engine.prepare(self.condition)

    def bind(self, environment: Mapping[str, str], timezone: tzinfo) -> Callable[[Context], object]:
        evaluate = self._make(environment, timezone)

        def decide(context: Context) -> bool:
            value = evaluate(context)
            if value.__class__ is bool:
                return bool(value)
            raise TypeMismatchError(
                f"the condition gives {type_name(value)}; it must be true or false"
            )

        return decide

    def seen(
        self, context: Context, environment: Mapping[str, str], timezone: tzinfo
    ) -> tuple[tuple[str, Any], ...]:
        found: list[tuple[str, Any]] = []
        for node in self.condition.facts.looks_at:
            try:
                value = Closures().compile(node)(Frame(context, environment, timezone))
            except EvaluationError:
                continue  # There is nothing to be seen.
            found.append((shown(node), _as_json(value)))
        return tuple(found)


def _as_json(value: Any) -> Any:
    """Return a value as JSON can have it."""
    if isinstance(value, datetime | timedelta):
        return instant_text(value) if isinstance(value, datetime) else duration_text(value)
    return value
