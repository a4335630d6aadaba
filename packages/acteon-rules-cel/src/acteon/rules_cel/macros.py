"""The macros: what goes over the items of a list, or the keys of a map."""

from collections.abc import Callable, Sequence
from typing import Any

from acteon.rules import EvaluationError
from acteon.rules_cel.values import (
    FAILURE,
    Frame,
    from_json,
    is_list,
    is_map,
    key_value,
    no_overload,
    without_frames,
)

Evaluate = Callable[[Frame], Any]
Over = Callable[[Frame], Sequence[Any]]


def over(target: Evaluate, slot: int, cost: int) -> Over:
    """Compile what a macro goes over; the steps of its whole loop are taken at once."""

    def found_in(frame: Frame) -> Sequence[Any]:
        value = target(frame)
        if is_list(value):
            found: Sequence[Any] = value
            frame.spend(cost * len(value))
        elif is_map(value):
            frame.spend((cost + 1) * len(value))
            found = [key_value(key) for key in value]
        else:
            raise no_overload("a macro", value)
        missing = slot + 1 - len(frame.locals)
        if missing > 0:
            frame.locals += [None] * missing
        return found

    return found_in


def quantified(items: Over, slot: int, condition: Evaluate, *, decisive: bool) -> Evaluate:
    """Compile `all` or `exists`: the item that decides does so whatever fails beside it."""

    def evaluate(frame: Frame) -> bool:
        failed: EvaluationError | None = None
        for value in items(frame):
            frame.locals[slot] = from_json(value)
            try:
                holds = condition(frame)
            except EvaluationError as error:
                frame.spend(FAILURE)
                failed = failed or without_frames(error)
                continue
            if frame.left < 0:
                frame.spend(0)  # Something in the condition overruled that there are none left.
            if holds is decisive:
                return bool(decisive)
            if holds.__class__ is not bool and failed is None:
                failed = no_overload("exists" if decisive else "all", holds)
        if failed is not None:
            try:
                raise failed
            finally:
                del failed  # Without it, error and frame would keep each other.
        return not decisive

    return evaluate


def exists_one(items: Over, slot: int, condition: Evaluate) -> Evaluate:
    """Compile `exists_one`."""

    def evaluate(frame: Frame) -> bool:
        count = 0
        for value in items(frame):
            frame.locals[slot] = from_json(value)
            count += _true(condition(frame))
        return count == 1

    return evaluate


def listed(
    items: Over,
    slot: int,
    condition: Evaluate | None,
    result: Evaluate | None,
) -> Evaluate:
    """Compile `map` or `filter`, which is a `map` without a result."""

    def evaluate(frame: Frame) -> list[Any]:
        found: list[Any] = []
        for value in items(frame):
            frame.locals[slot] = value = from_json(value)
            if condition is None or _true(condition(frame)):
                found.append(value if result is None else result(frame))
        return found

    return evaluate


def _true(value: Any) -> bool:
    if value.__class__ is bool:
        return bool(value)
    raise no_overload("a condition", value)
