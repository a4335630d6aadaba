"""How each kind of value is read: text, number, switch, duration, instant, choice, list and table.

Nothing is coerced, but for texts of the environment and of references, which are typed by what
they are for (`TextValue`).
"""

import difflib
import math
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, TypeGuard, cast

from cattrs import BaseValidationError, Converter
from cattrs.cols import homogenous_tuple_structure_factory, is_sequence, list_structure_factory
from cattrs.errors import IterableValidationNote

from acteon.server.config.references import Referenced, TextValue
from acteon.server.lines import shortened

Hook = Callable[[Any, Any], Any]

_MAX_BITS: Final = 63
"""Beyond them TOML promises nothing; and Python refuses to write down what is much longer."""


def is_table(value: object) -> TypeGuard[dict[str, Any]]:
    """Return whether `value` is a table of a document."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Return whether `value` is a list of a document."""
    return isinstance(value, list)


class WrongKindError(ValueError):
    """A value is of another kind than what is wanted."""

    def __init__(self, wanted: str, found: object, hint: str = "") -> None:
        behind = f"; {hint}" if hint else ""
        super().__init__(f"wanted {wanted}, found {_described(found)}{behind}")
        self.found = _described(found)
        self.without_value = f"wanted {wanted}, found {_kind(found)}"


class DiscreetError(ValueError):
    """A value is not accepted; the text says why, and shows nothing of it."""


def register_kinds(converter: Converter) -> None:
    """Teach `converter` to read every kind of value but attrs classes."""
    for kind, hook in _HOOKS.items():
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook_func(lambda kind: kind == timedelta | None, _no_duration)
    converter.register_structure_hook_func(_is_plain_union, _plain_union)
    converter.register_structure_hook_func(
        lambda kind: isinstance(kind, type) and issubclass(kind, Enum), _enum
    )
    converter.register_structure_hook_func(lambda kind: _origin(kind) is Literal, _literal)
    converter.register_structure_hook_factory(_is_list, _list_hook)
    converter.register_structure_hook_factory(_is_mapping, _table_hook)


def _text(value: Any, _: Any) -> str:
    if isinstance(value, Referenced):
        return str(value)  # A secret may have quotes and backslashes of its own.
    if isinstance(value, TextValue):
        parsed = toml_value(value)
        return parsed if type(parsed) is str else str(value)
    if type(value) is not str:
        hint = "put it in quotes" if type(value) in (int, float, bool) else ""
        raise WrongKindError("a text", value, hint)
    return value


def _whole(value: Any, _: Any) -> int:
    found = toml_value(value) if isinstance(value, TextValue) else value
    if type(found) is not int:
        raise WrongKindError("a whole number", value, _unquote(value, int))
    if found.bit_length() > _MAX_BITS:
        raise WrongKindError("a whole number of at most 64 bits", value)
    return found


def _number(value: Any, _: Any) -> float:
    found = toml_value(value) if isinstance(value, TextValue) else value
    if type(found) not in (int, float):
        raise WrongKindError("a number", value, _unquote(value, float))
    with suppress(OverflowError):  # It is whole, and beyond all floats.
        if math.isfinite(found):
            return float(found)
    raise WrongKindError("a finite number", value)


def _switch(value: Any, _: Any) -> bool:
    found = toml_value(value) if isinstance(value, TextValue) else value
    if type(found) is not bool:
        raise WrongKindError("true or false", value, _unquote(value, bool))
    return found


def _path(value: Any, _: Any) -> Path:
    text = _text(value, str)
    if not text.strip():
        raise ValueError("must not be empty")
    return Path(text)


def _duration(value: Any, _: Any) -> timedelta:
    found = toml_value(value) if isinstance(value, TextValue) else value
    if type(found) not in (int, float):
        raise WrongKindError("a number of seconds", value, _unquote(value, float))
    try:
        duration = timedelta(seconds=found)
    except (OverflowError, ValueError):
        raise WrongKindError("a number of seconds", value) from None
    if found and not duration:
        # Where 0 means for ever, rounding would turn almost nothing into that.
        raise WrongKindError("0 or at least 0.000001 seconds", value)
    return duration


def _instant(value: Any, _: Any) -> datetime:
    found = toml_value(value) if isinstance(value, TextValue) else value
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise WrongKindError("an instant with its offset, such as 2030-01-31T00:00:00Z", value)
    return found


def _no_duration(value: Any, _: Any) -> timedelta | None:
    return _duration(value, timedelta) or None


def _origin(kind: Any) -> Any:
    return typing.get_origin(kind)


_HOOKS: Final[Mapping[Any, Hook]] = {
    str: _text,
    int: _whole,
    float: _number,
    bool: _switch,
    Path: _path,
    datetime: _instant,
    timedelta: _duration,
}


def _is_plain_union(kind: Any) -> bool:
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return False
    members = set(typing.get_args(kind)) - {types.NoneType}
    return len(members) > 1 and members <= {str, int, float, bool}


def _plain_union(value: Any, kind: Any) -> Any:
    found = value
    if isinstance(value, TextValue):
        parsed = toml_value(value)
        is_text = parsed is None or isinstance(parsed, str)
        found = _text(value, str) if is_text else parsed
    if type(found) not in typing.get_args(kind):
        names = [_NAMES[member] for member in typing.get_args(kind) if member in _NAMES]
        raise WrongKindError(" or ".join(names), value)
    return found


def _enum(value: Any, kind: Any) -> Any:
    choices = {str(member.value): member for member in kind}
    return choices[_choice(value, list(choices))]


def _literal(value: Any, kind: Any) -> Any:
    choices = {str(member): member for member in typing.get_args(kind)}
    return choices[_choice(value, list(choices))]


def _choice(value: Any, choices: list[str]) -> str:
    shown = f"{', '.join(repr(choice) for choice in choices[:-1])} or {choices[-1]!r}"
    text = _text(value, str) if isinstance(value, TextValue) else value
    if type(text) is not str or text not in choices:
        close = difflib.get_close_matches(text, choices, n=1) if isinstance(text, str) else []
        raise WrongKindError(shown, value, f"did you mean {close[0]!r}?" if close else "")
    return text


def _is_list(kind: Any) -> bool:
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return len(arguments) == 2 and arguments[1] is Ellipsis
    return is_sequence(kind)


def _list_hook(kind: Any, converter: Converter) -> Hook:
    is_tuple = typing.get_origin(kind) is tuple
    factory = cast(
        "typing.Callable[[Any, Converter], Hook]",  # what the two have in common
        homogenous_tuple_structure_factory if is_tuple else list_structure_factory,
    )
    make = factory(kind, converter)

    def hook(value: Any, wanted: Any) -> Any:
        found = value
        if isinstance(value, TextValue):
            parsed = toml_value(value)
            # The elements are typed by what they are for as well, unless TOML says what they are.
            found = parsed if is_list(parsed) else _split(value)
        if not is_list(found):
            hint = f"write [{_described(value, 'text')}]" if type(value) is str else ""
            raise WrongKindError("a list", value, hint)
        return make(found, wanted)

    return hook


def _split(value: TextValue) -> list[TextValue]:
    return [type(value)(part.strip()) for part in value.split(",") if part.strip()]


def _is_mapping(kind: Any) -> bool:
    origin = typing.get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _table_hook(kind: Any, converter: Converter) -> Hook:
    arguments = typing.get_args(kind)
    member_kind = arguments[1] if arguments else Any

    def hook(value: Any, _: Any) -> dict[str, Any]:
        found = toml_value(value) if isinstance(value, TextValue) else value
        if not is_table(found):
            raise WrongKindError("a table", value)
        made: dict[str, Any] = {}
        problems: list[Exception] = []
        for key, member in found.items():
            try:
                made[key] = converter.structure(member, member_kind)
            except (ValueError, TypeError, BaseValidationError) as error:
                error.add_note(IterableValidationNote(key, key, member_kind))
                problems.append(error)
        if problems:
            # Checkers see the constructor of ExceptionGroup, which takes no class.
            raise BaseValidationError("table", problems, kind)  # pyright: ignore[reportCallIssue]
        return made

    return hook


def toml_value(text: str) -> Any:
    """Return the TOML value that `text` is, or None."""
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # No TOML, too many digits, or too many brackets.
        return None
    # More than one key, and the text was no value but a piece of a document.
    return document["value"] if len(document) == 1 else None


_NAMES: Final[Mapping[type, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
}


def _unquote(value: Any, kind: type) -> str:
    """Return a hint if `value` would do without its quotes."""
    if type(value) is not str:
        return ""
    found = toml_value(value)
    fits = (int, float) if kind is float else (kind,)
    return "write it without quotes" if type(found) in fits else ""


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"


def _described(value: Any, kind: str = "") -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {_digits(value)}"
        case str():
            shown = shortened(value)
            return f'"{shown}"' if kind == "text" else f'the text "{shown}"'
        case _:
            return _kind(value)


def _digits(value: float) -> str:
    # Of long numbers Python writes down only the hexadecimal digits.
    is_long = isinstance(value, int) and value.bit_length() > 4096
    return shortened(f"{value:#x}" if is_long else str(value))
