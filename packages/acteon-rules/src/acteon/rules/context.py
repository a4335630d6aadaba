"""What expressions can see while one decision is made."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from operator import attrgetter
from typing import Any, Final, cast

from attrs import define, field

from acteon.core import Action
from acteon.rules.decision import StateNotReadError, StateRead, StateValues
from acteon.rules.errors import EvaluationError
from acteon.rules.values import from_json


@define(eq=False)
class Context:
    """One decision in the making.

    Attributes:
        action: What is decided about.
        payload: Its payload, after the changes made so far.
        now: The instant at which all of it is decided.
        state: The state entries that were read for it.
        reads: All entries that the rules may want, for the case that one is missing.
    """

    action: Action
    payload: Any
    now: datetime
    state: StateValues
    reads: tuple[StateRead, ...]
    _shared: dict[object, Any] | None = field(default=None, init=False)

    @property
    def shared(self) -> dict[object, Any]:
        """What programs keep for each other, such as the action in their own terms.

        It is empty at first, and again when the payload was changed.
        """
        if self._shared is None:
            self._shared = {}
        return self._shared

    def change(self, payload: Any) -> None:
        """Let what is asked from now on see `payload`."""
        self.payload = payload
        self._shared = None

    def read(self, entry: StateRead) -> str | None:
        """Return the value of a state entry; None if there is none.

        Raises:
            StateNotReadError: It was not given.
        """
        try:
            return self.state[entry]
        except KeyError:
            wanted = self.reads if entry in self.reads else (*self.reads, entry)
            missing = tuple(each for each in wanted if each not in self.state)
            raise StateNotReadError(missing) from None


Evaluate = Callable[[Context], Any]
"""What an expression is compiled to."""


def unix_seconds(context: Context) -> int:
    """Return the instant of the decision in whole seconds since 1970."""
    return int(context.now.timestamp() // 1)


def whole_action(context: Context) -> dict[str, Any]:
    """Return the action as a map, with the payload as it is now."""
    return {**context.action.as_json(), "payload": context.payload}


def _metadata(context: Context) -> Any:
    metadata = context.action.metadata
    return metadata if isinstance(metadata, dict) else dict(metadata)


def _payload(context: Context) -> Any:
    return from_json(context.payload)


def local_time(context: Context, timezone: tzinfo) -> datetime:
    """Return the instant of the decision in a time zone.

    Raises:
        EvaluationError: There is no such time: it would be before the year 1, or after 9999.
    """
    try:
        return context.now.astimezone(timezone)
    except OverflowError:
        raise EvaluationError("time: no such local time; the years are 1 to 9999") from None


ACTION_MEMBERS: Final[Mapping[str, Callable[[Context], Any]]] = {
    "id": attrgetter("action.id"),
    "namespace": attrgetter("action.namespace"),
    "tenant": attrgetter("action.tenant"),
    "provider": attrgetter("action.provider"),
    "action_type": attrgetter("action.action_type"),
    "payload": _payload,
    "metadata": _metadata,
    "dedup_key": attrgetter("action.dedup_key"),
    "created_at": attrgetter("action.created_text"),
}
"""How to get the members of `action` without making a map of it."""

_WEEKDAYS: Final = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)

TIME_MEMBERS: Final[Mapping[str, Callable[[datetime], Any]]] = {
    "hour": attrgetter("hour"),
    "minute": attrgetter("minute"),
    "second": attrgetter("second"),
    "day": attrgetter("day"),
    "month": attrgetter("month"),
    "year": attrgetter("year"),
    "weekday": lambda local: _WEEKDAYS[local.weekday()],
    "weekday_num": datetime.isoweekday,
    "timestamp": lambda local: int(local.timestamp() // 1),
}
"""How to get the members of `time` from the local time."""

# A condition that is constant is evaluated when it is compiled; it looks at nothing of this.
NO_CONTEXT: Final = Context(
    cast(Action, None), None, datetime.fromtimestamp(0, UTC), cast(StateValues, {}), ()
)
