"""What is known of the values of some fields."""

import difflib
import json
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from acteon.rules.expression import Expression, Field, Name

_WEEKDAYS: Final = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)


@frozen(kw_only=True)
class Domain:
    """The values that a field can have.

    Attributes:
        said: What they are, for people.
        values: All of them, if they can be counted.
        nullable: Whether it may be missing.
    """

    said: str
    values: Sequence[object] | None = None
    nullable: bool = False

    def holds(self, value: object) -> bool:
        """Return whether the field can be equal to `value`."""
        if value is None:
            return self.nullable
        if self.values is None:
            return isinstance(value, str)
        return not isinstance(value, bool) and value in self.values

    def hint(self, value: object) -> str:
        """Return what was most likely meant by `value`, which it never is; empty if unknown."""
        if self.values is None:
            text = json.dumps(value) if not isinstance(value, dict | list) else ""
            return f"; write {json.dumps(text)}" if text and value is not None else ""
        names = [each for each in self.values if isinstance(each, str)]
        if isinstance(value, str) and names:
            close = [each for each in names if each.lower().startswith(value.lower()[:3])]
            close = close or difflib.get_close_matches(value.capitalize(), names, n=1)
            return f"; did you mean {close[0]!r}?" if close and value else ""
        if isinstance(value, str) and value.isdecimal() and int(value) in self.values:
            return "; write it without quotes"
        return ""


_TEXT: Final = Domain(said="a text")
_TEXT_OR_NULL: Final = Domain(said="a text", nullable=True)
_TIME: Final = {
    "hour": Domain(said="a number from 0 to 23", values=range(24)),
    "minute": Domain(said="a number from 0 to 59", values=range(60)),
    "second": Domain(said="a number from 0 to 59", values=range(60)),
    "day": Domain(said="a number from 1 to 31", values=range(1, 32)),
    "month": Domain(said="a number from 1 to 12", values=range(1, 13)),
    "weekday": Domain(said="Monday, Tuesday, …, Sunday", values=_WEEKDAYS),
    "weekday_num": Domain(said="a number from 1 (Monday) to 7", values=range(1, 8)),
}
_ACTION: Final = {
    "id": _TEXT,
    "namespace": _TEXT,
    "tenant": _TEXT,
    "provider": _TEXT,
    "action_type": _TEXT,
    "created_at": _TEXT,
    "dedup_key": _TEXT_OR_NULL,
}


def domain_of(field: Expression) -> Domain | None:
    """Return what is known of the values of `field`; None: nothing."""
    match field:
        case Field(Name("time"), name):
            return _TIME.get(name)
        case Field(Name("action"), name):
            return _ACTION.get(name)
        case Field(Field(Name("action"), "metadata"), _):
            return _TEXT_OR_NULL
        case Field(Name("env" | "environment"), _):
            return _TEXT_OR_NULL
        case _:
            return None
