"""Members of payloads, found by names and paths.

A name is compared without regard to case with each member's name, at any depth, and with its
path: the names from the root down to it, joined by dots. Lists add nothing to a path.
"""

from collections.abc import Callable, Collection, Iterator
from enum import Enum
from typing import Any, Final

import msgspec

from acteon.core import MAX_DEPTH

ATOMS: Final = frozenset({str, int, float, bool, type(None)})
"""The types of values that have nothing in them."""

UNREADABLE: Final = (TypeError, ValueError, OverflowError, RecursionError)
"""What `copied` raises of a value that JSON has no form for."""


def named_values(payload: Any, names: Collection[str]) -> Iterator[Any]:
    """Yield the values of all members that `names` mean, which are in lower case.

    Nothing is found in what JSON has no form for, in what holds itself, and below
    `acteon.core.MAX_DEPTH` others.
    """
    has_paths = any("." in name for name in names)
    stack: list[tuple[Any, str, tuple[int, ...]]] = [(payload, "", ())]
    while stack:
        value, path, above = stack.pop()
        container = _container(value, above)
        if container is None:
            continue
        below = (*above, id(value))
        if container.__class__ is list:
            stack += [(item, path, below) for item in container]
            continue
        for key, member in container.items():
            name = lowered(key)
            if name in names or (has_paths and path + name in names):
                yield member
            stack.append((member, f"{path}{name}.", below))


def atoms(value: Any) -> Iterator[Any]:
    """Yield the texts, numbers, truth values and nulls that `value` is, or has in it."""
    stack: list[tuple[Any, tuple[int, ...]]] = [(value, ())]
    while stack:
        value, above = stack.pop()
        if value.__class__ in ATOMS:
            yield value
            continue
        container = _container(value, above)
        if container is not None:
            below = (*above, id(value))
            inner: Any = container.values() if container.__class__ is dict else container
            stack += [(item, below) for item in inner]


def copied(value: Any) -> Any:
    """Return a shallow copy of `value` as a dict or a list; None if it is neither of them."""
    copy = _COPIES.get(value.__class__)
    if copy is None:
        # Seldom: what came over the wire has only types that are known here.
        value = msgspec.to_builtins(value, str_keys=True)
        copy = _COPIES.get(value.__class__)
    return None if copy is None else copy(value)


def lowered(key: Any) -> str:
    """Return how JSON writes `key`, in lower case."""
    return str(key.value if isinstance(key, Enum) else key).lower()


def _container(value: Any, above: tuple[int, ...]) -> Any:
    if value.__class__ in ATOMS or len(above) > MAX_DEPTH or id(value) in above:
        return None
    try:
        return copied(value)
    except UNREADABLE:
        return None


_COPIES: Final[dict[type, Callable[[Any], Any]]] = {dict: dict, list: list, tuple: list}
