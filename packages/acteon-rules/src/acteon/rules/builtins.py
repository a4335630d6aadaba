"""The functions of the rule language."""

import math
from collections.abc import Callable
from typing import Any, Final

from acteon.rules.errors import TypeMismatchError, UndefinedFunctionError
from acteon.rules.kinds import is_list, is_map
from acteon.rules.regex import cached_regex
from acteon.rules.values import (
    bounded_text,
    contains,
    display,
    int64,
    is_number,
    parse_int,
    truncated,
    type_name,
)


def _len(value: Any) -> int:
    if value.__class__ is str:
        return len(value.encode(errors="surrogatepass"))
    if is_list(value) or is_map(value):
        return len(value)
    raise TypeMismatchError(f"len() expects string, list, or map, got {type_name(value)}")


def _lower(value: Any) -> str:
    if value.__class__ is str:
        return str(value.lower())
    raise TypeMismatchError(f"lower() expects string, got {type_name(value)}")


def _upper(value: Any) -> str:
    if value.__class__ is str:
        return str(value.upper())
    raise TypeMismatchError(f"upper() expects string, got {type_name(value)}")


def _contains(whole: Any, part: Any) -> bool:
    if is_list(whole) or (whole.__class__ is str and part.__class__ is str):
        return contains(whole, part)
    raise TypeMismatchError(
        "contains() expects (string, string) or (list, value), "
        f"got ({type_name(whole)}, {type_name(part)})"
    )


def _starts_with(text: Any, start: Any) -> bool:
    _check_texts("starts_with", text, start)
    return bool(text.startswith(start))


def _ends_with(text: Any, end: Any) -> bool:
    _check_texts("ends_with", text, end)
    return bool(text.endswith(end))


def _matches(text: Any, pattern: Any) -> bool:
    _check_texts("matches", text, pattern)
    return cached_regex(pattern)(text)


def _check_texts(function: str, first: Any, second: Any) -> None:
    if first.__class__ is not str or second.__class__ is not str:
        raise TypeMismatchError(
            f"{function}() expects (string, string), got ({type_name(first)}, {type_name(second)})"
        )


def _duration(value: Any) -> int:
    if is_number(value):
        return truncated(value) if value.__class__ is float else value
    raise TypeMismatchError(f"duration() expects number, got {type_name(value)}")


def _format(text: Any, *values: Any) -> str:
    if text.__class__ is not str:
        raise TypeMismatchError(f"format() first argument must be string, got {type_name(text)}")
    for value in values:
        if "{}" not in text:
            break
        text = bounded_text(text.replace("{}", display(value), 1))
    return str(text)


def _abs(value: Any) -> Any:
    if is_number(value):
        return int64(abs(value))
    raise TypeMismatchError(f"abs() expects number, got {type_name(value)}")


def _min(first: Any, second: Any) -> Any:
    return _chosen("min", min, first, second)


def _max(first: Any, second: Any) -> Any:
    return _chosen("max", max, first, second)


def _chosen(function: str, choose: Callable[[Any, Any], Any], first: Any, second: Any) -> Any:
    if not (is_number(first) and is_number(second)):
        raise TypeMismatchError(
            f"{function}() expects numbers, got ({type_name(first)}, {type_name(second)})"
        )
    if first.__class__ is int and second.__class__ is int:
        return choose(first, second)
    first, second = float(first), float(second)
    if math.isnan(first):
        return second
    return first if math.isnan(second) else choose(first, second)


def _to_int(value: Any) -> int:
    if value.__class__ is str:
        try:
            return parse_int(value)
        except ValueError as error:
            raise TypeMismatchError(f"to_int() cannot parse '{value[:100]}': {error}") from None
    if value.__class__ is bool or value.__class__ is int:
        return int(value)
    if value.__class__ is float:
        return truncated(value)
    raise TypeMismatchError(f"to_int() cannot convert {type_name(value)} to int")


ARITIES: Final[dict[str, int | None]] = {
    "len": 1,
    "lower": 1,
    "upper": 1,
    "contains": 2,
    "starts_with": 2,
    "ends_with": 2,
    "matches": 2,
    "now": 0,
    "duration": 1,
    "format": None,
    "abs": 1,
    "min": 2,
    "max": 2,
    "to_string": 1,
    "to_int": 1,
}
"""All functions, and how many arguments each takes; None for one that takes any number."""

FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "len": _len,
    "lower": _lower,
    "upper": _upper,
    "contains": _contains,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "matches": _matches,
    "duration": _duration,
    "format": _format,
    "abs": _abs,
    "min": _min,
    "max": _max,
    "to_string": display,
    "to_int": _to_int,
}
"""The functions of their arguments alone: all but `now`."""


def check_call(function: str, count: int) -> None:
    """Check that `function` exists and takes `count` arguments.

    Raises:
        EvaluationError: It does not; the class says which.
    """
    if function not in ARITIES:
        raise UndefinedFunctionError(function)
    arity = ARITIES[function]
    if arity is None:
        if not count:
            raise TypeMismatchError(f"{function}() requires at least 1 argument")
    elif count != arity:
        raise TypeMismatchError(f"{function}() expects {arity} argument(s), got {count}")
