"""From the tree of a document to our types: nothing is coerced, nothing is ignored.

Texts of the environment and of references are the exception: they are typed by what they are
for (`TextValue`). A `timedelta` is written as seconds, under a key that ends in `_seconds`; where
None is allowed as well, 0 means it. Plugins' own `Config` classes are read by the same rules.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import Any, Final, TypeVar

import attrs
from cattrs import BaseValidationError, Converter, ForbiddenExtraKeysError
from cattrs.errors import AttributeValidationNote, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, override

from acteon.server.config.kinds import (
    DiscreetError,
    Hook,
    WrongKindError,
    is_list,
    is_table,
    register_kinds,
)
from acteon.server.config.references import Referenced, named_like_a_secret
from acteon.server.config.sections import PLUGIN

T = TypeVar("T")
Place = tuple[str | int, ...]

UNKNOWN: Final = "unknown key"
WANTED: Final = "acteon.wanted"
"""Metadata of an attribute, of a plugin's `Config` too: what it wants, in words for operators.
Told where the value must not be shown, or is of another kind."""
_GIVES_AWAY: Final = 4
"""A word of a secret that is this long gives something away."""
_PIECE: Final = 8
"""So does so much of a longer word: texts may show the beginning of a value, or its end."""
_SCHEMES: Final = frozenset(
    {
        "clickhouse",
        "clickhouses",
        "http",
        "https",
        "postgres",
        "postgresql",
        "redis",
        "rediss",
        "text",
    }
)
"""Words that secrets and texts about them have in common."""


@attrs.frozen
class Problem:
    """One thing that is wrong with the configuration.

    Attributes:
        place: The keys and indexes that lead to it.
        text: What is wrong.
        missing: Whether it is that something required is not there.
        known: The keys that there are, if this one is unknown.
    """

    place: Place
    text: str
    missing: bool = False
    known: tuple[str, ...] = ()


class ProblemsError(Exception):
    """What was to be structured has these problems."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__()
        self.problems = tuple(problems)


def structure(
    tree: Mapping[str, Any], wanted: type[T], place: Place, also: Iterable[str] = ()
) -> T:
    """Return `tree` as a `wanted`.

    Args:
        tree: A table.
        wanted: An attrs class.
        place: Where the table stands.
        also: Keys that the table may have as well, for suggestions.

    Raises:
        ProblemsError: It is none; with all its problems.
    """
    try:
        return _converter().structure(tree, wanted)
    except BaseValidationError as error:
        suggestions = tuple(also)
        raise ProblemsError(_problems(error, place, tree, suggestions)) from None


def keys_of(cls: type[Any]) -> dict[str, "attrs.Attribute[Any]"]:
    """Return the attributes of the attrs class `cls` by the keys they are written as."""
    attrs.resolve_types(cls)
    return {
        _key(attribute): attribute
        for attribute in attrs.fields(cls)
        if attribute.init and PLUGIN not in attribute.metadata
    }


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the text for a key that there is not."""
    close = difflib.get_close_matches(key, known, n=1) or [
        name for name in known if name == f"{key}_seconds"
    ]
    return f"{UNKNOWN}; did you mean {close[0]!r}?" if close else UNKNOWN


def _key(attribute: "attrs.Attribute[Any]") -> str:
    durations = (timedelta, timedelta | None)
    plain = attribute.type not in durations or attribute.name.endswith("_seconds")
    return attribute.name if plain else f"{attribute.name}_seconds"


@cache
def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)
    register_kinds(converter)
    converter.register_structure_hook_factory(attrs.has, _class_hook)
    return converter


def _class_hook(cls: type[Any], converter: Converter) -> Hook:
    overrides: dict[str, Any] = {
        attribute.name: override(rename=key, struct_hook=_checked(attribute, converter))
        for key, attribute in keys_of(cls).items()
    }
    for attribute in attrs.fields(cls):
        if PLUGIN in attribute.metadata:
            overrides[attribute.name] = override(omit=True)
    make = make_dict_structure_fn(cls, converter, **overrides)

    def hook(value: Any, wanted: Any) -> Any:
        if not is_table(value):
            raise WrongKindError("a table", value)
        return make(value, wanted)

    return hook


def _checked(attribute: "attrs.Attribute[Any]", converter: Converter) -> Hook:
    """Return a hook that validates what it made, so that one bad value does not hide the next."""
    validator = attribute.validator

    def hook(value: Any, wanted: Any) -> Any:
        found = converter.structure(value, wanted)
        if validator is not None:
            # One that asks the instance, which is not there yet, will be asked again.
            with suppress(AttributeError):
                validator(None, attribute, found)
        return found

    return hook


def _problems(
    error: Exception, place: Place, tree: Any, also: tuple[str, ...] = (), wanted: str = ""
) -> Iterator[Problem]:
    if isinstance(error, ForbiddenExtraKeysError):
        known = [*keys_of(error.cl), *also]
        for key in sorted(error.extra_fields):
            yield Problem((*place, key), unknown_key(key, known), known=tuple(known))
    elif isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            step = _step(inner, error.cl)
            if isinstance(inner, KeyError) and step and not _has(tree, step[0]):
                yield Problem((*place, *step), "is missing", missing=True)
            elif step:
                told = _wanted(inner, error.cl) or wanted
                yield from _problems(inner, (*place, *step), _member(tree, step[0]), wanted=told)
            else:
                yield from _problems(inner, place, tree, also, wanted)
    else:
        yield Problem(place, _shown(error, place, tree, wanted))


def _step(error: Exception, cls: type[Any]) -> Place:
    """Return the key or index under which `error` happened, if it says so."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            (attribute,) = (found for found in attrs.fields(cls) if found.name == note.name)
            return (_key(attribute),)
        if isinstance(note, IterableValidationNote):
            return (note.index,)
    return ()


def _wanted(error: Exception, cls: type[Any]) -> str:
    """Return what the attribute under which `error` happened says that it wants, if anything."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            (attribute,) = (found for found in attrs.fields(cls) if found.name == note.name)
            return str(attribute.metadata.get(WANTED, ""))
    return ""


def _has(tree: Any, key: str | int) -> bool:
    return is_table(tree) and key in tree


def _member(tree: Any, key: str | int) -> Any:
    if not (is_table(tree) or is_list(tree)):
        return tree  # A text that stands for a list: its elements are what it is.
    try:
        return tree[key]  # type: ignore[index]
    except (KeyError, IndexError, TypeError):
        return tree


def _shown(error: Exception, place: Place, value: Any, wanted: str) -> str:
    """Return the text of `error`, without the value if that is, or may be, a secret."""
    keys = [key for key in place if isinstance(key, str)]
    if _may_be_secret(keys, value):
        return _without_value(error, wanted)
    if wanted and isinstance(error, WrongKindError):
        return f"wanted {wanted}, found {error.found}"
    text = str(error)
    if keys:
        # Validators begin with the attribute, which the place names already.
        text = text.removeprefix(f"'{keys[-1]}' ")
        text = text.removeprefix(f"'{keys[-1].removesuffix('_seconds')}' ")
    return _without_value(error, wanted) if _gives_away(text, keys, value) else text


def _without_value(error: Exception, wanted: str) -> str:
    if isinstance(error, DiscreetError):
        return str(error)
    if wanted:
        return f"wanted {wanted}; what stands there (not shown here) is none"
    if isinstance(error, WrongKindError):
        return error.without_value
    return "its value (not shown here) is not accepted"


def _may_be_secret(keys: list[str], value: Any) -> bool:
    return isinstance(value, Referenced) or (value != "" and any(map(named_like_a_secret, keys)))


def _gives_away(text: str, keys: list[str], value: Any) -> bool:
    """Return whether `text` shows a piece of what is, or may be, a secret in `value`."""
    if is_table(value):
        return any(_gives_away(text, [*keys, key], member) for key, member in value.items())
    if is_list(value):
        return any(_gives_away(text, keys, element) for element in value)
    if not _may_be_secret(keys, value):
        return False
    whole = str(value)
    words = "".join(c if c.isalnum() else " " for c in whole).split()
    return whole in text or any(
        len(word) >= _GIVES_AWAY and word not in _SCHEMES and _shows(text, word) for word in words
    )


def _shows(text: str, word: str) -> bool:
    """Return whether `text` shows `word`, or a piece of it if it is long."""
    size = min(len(word), _PIECE)
    return any(text[start : start + size] in word for start in range(len(text) - size + 1))
