"""What is known of the values of some fields before there is an action."""

import difflib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from attrs import frozen

from acteon.rules.expression import (
    Expression,
    Field,
    Name,
    StateCounter,
    StateGet,
    StateTimeSince,
)

Kind = Literal["text", "number", "map"]

_WEEKDAYS: Final = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)
_CLOCK: Final = re.compile(r"0*([0-9]{1,4})(?::([0-5][0-9]))?(?::00)?", re.ASCII)


@frozen(kw_only=True)
class Domain:
    """The values that a field can have.

    Attributes:
        kind: What they are.
        said: That for people, and more precisely.
        values: All of them, if they can be counted.
        nullable: Whether it may be missing.
        instant: Whether it counts the seconds since 1970.
        instead: What to write where a value of another kind is wanted; may be empty.
    """

    kind: Kind
    said: str
    values: Sequence[object] | None = None
    nullable: bool = False
    instant: bool = False
    instead: str = ""

    def holds(self, value: object) -> bool:
        """Return whether the field can be equal to `value`, a constant."""
        if value is None:
            return self.nullable
        if self.values is not None:
            return not isinstance(value, bool) and value in self.values
        if self.kind == "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        return self.kind == "text" and isinstance(value, str)

    def hint(self, value: object) -> str:
        """Return what to write in place of `value`, which it never is: `; …`, empty if unknown."""
        return f"; {mended}" if (mended := self._mended(value)) else ""

    def _mended(self, value: object) -> str:
        if self.kind == "number" and isinstance(value, str):
            return self._number_meant(value) or self.instead
        if self.kind == "text" and self.values is not None and isinstance(value, str):
            names = [each for each in self.values if isinstance(each, str)]
            close = [each for each in names if each.lower().startswith(value.lower()[:3])]
            close = close or difflib.get_close_matches(value.capitalize(), names, n=1)
            return f"did you mean {close[0]!r}?" if close and value else ""
        if self.instead:
            return self.instead
        if self.kind == "text" and isinstance(value, int | float):
            return f"write {json.dumps(json.dumps(value))}"
        return ""

    def _number_meant(self, text: str) -> str:
        """Return what to write for the number, the day or the time of day that `text` says."""
        if self.instant:
            try:
                instant = datetime.fromisoformat(text)
            except ValueError:
                return ""
            zoned = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
            return f"write {int(zoned.timestamp())} for that"
        if text in _WEEKDAYS and self.values == _WEEKDAY_NUMBERS:
            return f"write {_WEEKDAYS.index(text) + 1}"
        said = _CLOCK.fullmatch(text.strip())
        if said is None or (self.values is not None and int(said[1]) not in self.values):
            return ""
        if said[2] and self.values != _HOURS:
            return ""
        minutes = f", and compare time.minute with {int(said[2])}" if int(said[2] or 0) else ""
        return f"write {int(said[1])}{minutes}"


_HOURS: Final = range(24)
_WEEKDAY_NUMBERS: Final = range(1, 8)
_NUMBER: Final = Domain(kind="number", said="a number")
_SECONDS: Final = Domain(kind="number", said="a number of seconds")
_TEXT: Final = Domain(kind="text", said="a text")
_TEXT_OR_NULL: Final = Domain(kind="text", said="a text", nullable=True)
_INSTANT: Final = Domain(
    kind="number",
    said="the seconds since 1970",
    instant=True,
    instead="for the time of day there is time.hour",
)
_TIME: Final = {
    "hour": Domain(kind="number", said="a number from 0 to 23", values=_HOURS),
    "minute": Domain(kind="number", said="a number from 0 to 59", values=range(60)),
    "second": Domain(kind="number", said="a number from 0 to 59", values=range(60)),
    "day": Domain(kind="number", said="a number from 1 to 31", values=range(1, 32)),
    "month": Domain(kind="number", said="a number from 1 to 12", values=range(1, 13)),
    "year": _NUMBER,
    "weekday": Domain(
        kind="text",
        said="Monday, Tuesday, …, Sunday",
        values=_WEEKDAYS,
        instead="time.weekday_num is a number from 1 (Monday) to 7",
    ),
    "weekday_num": Domain(
        kind="number", said="a number from 1 (Monday) to 7", values=_WEEKDAY_NUMBERS
    ),
    "timestamp": _INSTANT,
}
_ACTION: Final = {
    "id": _TEXT,
    "namespace": _TEXT,
    "tenant": _TEXT,
    "provider": _TEXT,
    "action_type": _TEXT,
    "created_at": Domain(kind="text", said="a text", instead="it looks like 2025-01-31T13:30:00Z"),
    "dedup_key": _TEXT_OR_NULL,
    "metadata": Domain(kind="map", said="a map", instead="name a member: action.metadata.NAME"),
}
_ROOTS: Final = {
    "now": _INSTANT,
    "time": Domain(kind="map", said="a map", instead="name a member, such as time.hour"),
    "action": Domain(kind="map", said="a map", instead="name a member, such as action.tenant"),
    "env": Domain(kind="map", said="a map", instead="name a member: env.NAME"),
    "environment": Domain(kind="map", said="a map", instead="name a member: environment.NAME"),
}


def domain_of(expression: Expression) -> Domain | None:
    """Return what is known of the values of `expression`; None: nothing."""
    match expression:
        case Name(name):
            return _ROOTS.get(name)
        case Field(Name("time"), name):
            return _TIME.get(name)
        case Field(Name("action"), name):
            return _ACTION.get(name)
        case Field(Field(Name("action"), "metadata"), _) | StateGet():
            return _TEXT_OR_NULL
        case Field(Name("env" | "environment"), _):
            return _TEXT_OR_NULL
        case StateCounter():
            return _NUMBER
        case StateTimeSince():
            return _SECONDS
        case _:
            return None
