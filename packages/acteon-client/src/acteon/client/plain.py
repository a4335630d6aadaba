"""Values of programs as JSON can say them."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

_DEEPEST: Final = 5
_MOST: Final = 100
_LONGEST: Final = 10_000
_LARGEST: Final = 2**53


def plain(value: object, depth: int = 0) -> Any:
    """Return `value` as JSON can say it; what it cannot say, as its `repr`.

    What is long, deep or large is cut.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int) and abs(value) <= _LARGEST:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if depth < _DEEPEST and isinstance(value, Mapping):
        pairs = list(cast("Mapping[object, object]", value).items())[:_MOST]
        return {text(str(name)): plain(each, depth + 1) for name, each in pairs}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        items = list(cast("Iterable[object]", value))[:_MOST]
        return [plain(each, depth + 1) for each in items]
    return represented(value)


def represented(value: object) -> str:
    """Return the `repr` of `value`, even if it has none."""
    try:
        return text(repr(value))
    except Exception as error:  # noqa: BLE001 - anything may be wrong with somebody else's object
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"


def message_of(error: BaseException) -> str:
    """Return what `error` says, even if it cannot say it."""
    try:
        return text(str(error))
    except Exception as failure:  # noqa: BLE001 - it is somebody else's `__str__`
        return f"<its text raises {type(failure).__name__}>"


def text(value: str, longest: int = _LONGEST, *, end: bool = False) -> str:
    """Return `value` as Unicode, cut to `longest` characters: to the last ones if `end`."""
    if len(value) > longest:
        value = f"… {value[-longest:]}" if end else f"{value[:longest]} …"
    return value.encode("utf-8", "replace").decode()
