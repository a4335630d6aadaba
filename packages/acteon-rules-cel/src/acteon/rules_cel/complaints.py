"""What Google's engine complains about, in our words: its own names no operators."""

import re
from typing import Final

from acteon.rules import ConditionError, EvaluationError, TypeMismatchError

_PLACED: Final = re.compile(r"<input>:(-?\d+):(-?\d+): ([^\n]*)")
_NO_OVERLOAD: Final = re.compile(
    r"No matching overloads found : (?:([^\s(]\S*?)(?:\((.*)\))?|\((.*)\)\.(\w+)(?:\((.*)\))?)"
)
_MISSING: Final = re.compile(r'Key not found in map : "?(.*?)"?')
_INDEX: Final = re.compile(r"Index error: index=(-?\d+) size=\d+")
_CODE: Final = re.compile(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$")
_KINDS: Final = {"int64": "int", "uint64": "uint", "duration": "google.protobuf.Duration"}
_INTERNAL: Final = {
    "@in": "in",
    "_[_]": "[]",
    "_?_:_": "?:",
    "<jump_condition>": "?:",
    "<iter_range>": "a macro",
}


class UnsaidError(TypeMismatchError):
    """A member was asked of what is no map; the engine does not say which, nor of what."""


def condition_error(text: str) -> ConditionError:
    """Return the first complaint about a condition, with its place."""
    found = _PLACED.search(text)
    if found is None:
        return ConditionError(" ".join(text.split())[:200])
    line, column, message = found.groups()
    return ConditionError(message.strip(), max(0, int(line)), max(0, int(column)))


def evaluation_error(text: str) -> EvaluationError:
    """Return why a condition has no value."""
    plain = " ".join(_CODE.sub("", text).split())[:300]
    if found := _MISSING.fullmatch(plain):
        return EvaluationError(f"no such key: {found[1]}")
    if found := _INDEX.fullmatch(plain):
        return EvaluationError(f"index out of bounds: {found[1]}")
    if found := _NO_OVERLOAD.fullmatch(plain):
        name, arguments, target, method, others = found.groups()
        given = [part for part in (target, arguments, others) if part]
        kinds = [_KINDS.get(kind, kind) for part in given for kind in part.split(", ")]
        shown = f" on {', '.join(kinds)}" if kinds else ""
        return TypeMismatchError(f"no such overload: {_operation(name or method)}{shown}")
    if plain == "Applying SELECT to non-message type":
        return UnsaidError("no such overload: a member of what is no map")
    return EvaluationError(f"{plain[:1].lower()}{plain[1:]}")


def _operation(name: str) -> str:
    return _INTERNAL.get(name) or name.strip("_")
