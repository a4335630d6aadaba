"""What plain scalars mean: YAML 1.2's core schema, as rule files have always been read.

Only `true` and `false` are bools, only `null` and `~` are null, each in three spellings. Numbers
with leading zeros, underscores or colons are texts, and so are dates.
"""

import math
import re
from typing import Final

from acteon.rules_yaml.nodes import Scalar

CORE: Final = "tag:yaml.org,2002:"

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL: Final = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INFINITE: Final = {
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_DECIMAL: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]*)", re.ASCII)
_DIGITS: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_PREFIXED: Final = re.compile(r"([+-]?)0(?:x([0-9a-fA-F]+)|o([0-7]+)|b([01]+))", re.ASCII)
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_LONGEST_INTEGER: Final = 4096
"""More digits cannot be a number that anything holds."""
_INT128: Final = range(-(2**127), 2**128)

ScalarValue = bool | int | float | str | None


class ScalarError(Exception):
    """A scalar does not fit its tag."""


def value_of(scalar: Scalar) -> ScalarValue:
    """Return the value of `scalar`: by its tag if it has a core one, else by its text.

    Integers are exact, and may be beyond 64 bits.

    Raises:
        ScalarError: Its tag is a core tag that does not fit, or no core tag.
    """
    match scalar.tag:
        case None:
            return resolved(scalar.text) if scalar.plain else scalar.text
        case tag if tag == f"{CORE}str":
            return scalar.text
        case tag if tag.startswith(CORE):
            name = tag.removeprefix(CORE)
            value = resolved(scalar.text)
            if name == "float" and type(value) is int:
                value = float(value)
            if name not in _TAGGED or type(value) is not _TAGGED[name] or not scalar.text:
                raise ScalarError(f"the tag !!{name} does not fit the text {scalar.text[:100]!r}")
            return value
        case tag:
            raise ScalarError(
                f"wanted a value without a tag, found {tag[:100]}; "
                "put quotes around a text that begins with !"
            )


_TAGGED: Final[dict[str, type]] = {
    "null": type(None),
    "bool": bool,
    "int": int,
    "float": float,
}


def resolved(text: str) -> ScalarValue:
    """Return what the plain scalar `text` means."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text in _INFINITE:
        return _INFINITE[text]
    if text[0] not in "+-.0123456789" or len(text) > _LONGEST_INTEGER:
        return text
    if prefixed := _PREFIXED.fullmatch(text):
        sign, hexadecimal, octal, binary = prefixed.groups()
        digits, base = (hexadecimal, 16) if hexadecimal else (octal, 8) if octal else (binary, 2)
        number = int(sign + digits, base)
        return number if number in _INT128 else text
    if _DECIMAL.fullmatch(text):
        if len(text) <= 40 and (number := int(text)) in _INT128:
            return number
    elif _DIGITS.fullmatch(text):
        return text  # leading zeros
    if _FLOAT.fullmatch(text):
        value = float(text)
        return value if math.isfinite(value) else text
    return text


def is_null(scalar: Scalar) -> bool:
    """Return whether `scalar` is a null, written or left out."""
    return scalar.tag is None and scalar.plain and scalar.text in _NULL
