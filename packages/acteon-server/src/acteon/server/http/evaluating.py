"""What is sent to have rules evaluated."""

import difflib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from attrs import field, fields, frozen

from acteon.core import Action, InvalidError, Reader, decode_json
from acteon.rules import StateRead, StateValues


@frozen(kw_only=True)
class EvaluateRequest:
    """An action, and what is to be supposed when the rules are evaluated for it.

    Attributes:
        action: As it would be dispatched.
        now: The instant that conditions see; without it, the present one.
        state: Texts of state entries of the action's tenant, by id, in place of those in the
            store; null for one that is not there. All others are read.
        counters: The same of counters.
        environment: Variables that conditions see as `env`, in place of those configured; null
            for one that is not there. All others count.
        rules: A YAML text of rules to be evaluated in place of those in force.
    """

    action: Action
    now: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    state: Mapping[str, str | None] = field(factory=dict[str, str | None])
    counters: Mapping[str, int | None] = field(factory=dict[str, int | None])
    environment: Mapping[str, str | None] = field(factory=dict[str, str | None])
    rules: str | None = None

    @property
    def entries(self) -> StateValues:
        """The state entries that are supposed."""
        texts = {StateRead("state", id): text for id, text in self.state.items()}
        numbers = {
            StateRead("counter", id): None if number is None else str(number)
            for id, number in self.counters.items()
        }
        return {**texts, **numbers}


_NAMES: Final = tuple(each.name for each in fields(EvaluateRequest))
_READER: Final = Reader(EvaluateRequest, _NAMES)


def read_evaluate_request(body: bytes) -> EvaluateRequest:
    """Return what the JSON text `body` asks for.

    Raises:
        WireError: It is no JSON, or of another shape. Nor may it have a member that means nothing:
            what that supposes would not be supposed.
    """
    wanted = _READER.read(body)
    if wanted.now is not None:
        try:
            wanted.now.astimezone(UTC)
        except OverflowError:
            raise InvalidError("now: an instant of the years 1 to 9999 in UTC is wanted") from None
    members: dict[str, object] = decode_json(body)
    for name in members:
        if name not in _NAMES:
            close = difflib.get_close_matches(name[:40], _NAMES, n=1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            raise InvalidError(f"unknown field `{name[:40]}`{hint}")
    return wanted
