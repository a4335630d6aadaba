"""What evaluates conditions: our closures, or Google's C++ behind the same interface."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any, Final, Protocol, cast

from attrs import frozen

from acteon.core import Action, ConfigError
from acteon.rules import Context
from acteon.rules_cel.checking import Facts, check, facts_of
from acteon.rules_cel.closures import Closures
from acteon.rules_cel.complaints import UnsaidError
from acteon.rules_cel.reading import read_condition
from acteon.rules_cel.syntax import Node
from acteon.rules_cel.values import Frame

VARIABLE: Final = "ACTEON_CEL_ENGINE"
"""The variable of the environment that chooses an engine: `python` or `native`."""

Evaluate = Callable[[Context], Any]


@frozen
class Condition:
    """A condition that was read and checked.

    Attributes:
        text: It, as it was written.
        node: Its tree.
        facts: What it is like.
    """

    text: str
    node: Node
    facts: Facts


class CelEngine(Protocol):
    """Evaluates conditions."""

    @property
    def name(self) -> str:
        """What it is called: `python` or `native`."""
        ...

    def prepare(self, condition: Condition) -> Callable[[Mapping[str, str], tzinfo], Evaluate]:
        """Return what makes a function that evaluates `condition` of environment and time zone."""
        ...


class PythonEngine:
    """Evaluates conditions with functions that are made of their trees."""

    name = "python"

    def prepare(self, condition: Condition) -> Callable[[Mapping[str, str], tzinfo], Evaluate]:
        """Return what evaluates `condition`; see `CelEngine`."""
        run = Closures().compile(condition.node)

        def bind(environment: Mapping[str, str], timezone: tzinfo) -> Evaluate:
            return lambda context: run(Frame(context, environment, timezone))

        return bind


@cache
def engine(name: str | None = None) -> CelEngine:
    """Return the engine that is called `name`; without a name, the one to be used.

    That is what `ACTEON_CEL_ENGINE` says, else Google's if `cel-expr-python` is installed, else
    ours.

    Raises:
        ConfigError: There is no such engine.
    """
    wanted = name or os.environ.get(VARIABLE, "")
    if wanted == "python":
        return PythonEngine()
    if wanted not in {"", "native"}:
        raise ConfigError(f"{VARIABLE}: there is no engine {wanted!r}; write python or native")
    try:
        from acteon.rules_cel.native import NativeEngine
    except ImportError:
        if wanted:
            raise ConfigError(
                f"{VARIABLE}: the native engine is not installed: "
                "pip install 'acteon-rules-cel[native]'"
            ) from None
        return PythonEngine()
    return NativeEngine()


def evaluate_with(
    name: str, text: str, variables: Mapping[str, Any], *, checked: bool = True
) -> Any:
    """Return the value of an expression outside of rules, over variables of its own.

    Args:
        name: The engine.
        text: The expression, of any type.
        variables: What its names stand for. They may have dots in them: `a.b.c` is the variable
            with the longest name that it begins with, and members of it.
        checked: Whether it is refused for names and functions that there are not; otherwise these
            have no value when they are met, as a variable without one would have none.

    Raises:
        ConditionError: It cannot be read.
        EvaluationError: It has no value.
    """
    node = read_condition(text)
    if checked:
        check(node, frozenset(variables))
    if name == "native":
        from acteon.rules_cel.native import evaluate_natively

        with suppress(UnsaidError):
            return evaluate_natively(text, node, variables)
    frame = Frame(NOWHERE, {}, UTC, variables)
    return Closures(roots={}, variables=frozenset(variables)).compile(node)(frame)


NOWHERE: Final = Context(cast(Action, None), None, datetime.fromtimestamp(0, UTC), {}, ())
"""What is seen outside of rules: nothing."""


def read(text: str) -> Condition:
    """Return the condition in `text`.

    Raises:
        ConditionError: It is none.
    """
    node = read_condition(text)
    check(node)
    return Condition(text, node, facts_of(node))
