"""Telling lists and maps from other values, for type checkers, too."""

from typing import Any, TypeGuard


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Return whether `value` is a list."""
    return isinstance(value, list)


def is_map(value: Any) -> TypeGuard[dict[str, Any]]:
    """Return whether `value` is a map."""
    return isinstance(value, dict)
