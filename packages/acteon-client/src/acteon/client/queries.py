"""Which audit records are wanted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from attrs import evolve, field, fields, frozen

from acteon.core import format_instant


def _aware(_: object, attribute: Any, value: datetime | None) -> None:
    if value is not None and value.tzinfo is None:
        raise ValueError(f"{attribute.name}: {value} has no time zone: give one, such as UTC")


@frozen(kw_only=True)
class AuditQuery:
    """Which audit records are wanted: those that fit all that is given, exactly.

    Attributes:
        namespace: Only records with this one, as with those that follow.
        since: Only records dispatched then or later.
        until: Only records dispatched then or earlier.
        limit: At most so many, 1 to 1000; 50 if it is not given.
        offset: So many are left out first.
        cursor: `next_cursor` of a page, in place of `offset`.
    """

    namespace: str | None = None
    tenant: str | None = None
    provider: str | None = None
    action_type: str | None = None
    outcome: str | None = None
    verdict: str | None = None
    matched_rule: str | None = None
    caller_id: str | None = None
    since: datetime | None = field(default=None, validator=_aware)
    until: datetime | None = field(default=None, validator=_aware)
    limit: int | None = None
    offset: int | None = None
    cursor: str | None = None

    @property
    def parameters(self) -> dict[str, str]:
        """What the query string of a request has."""
        return {name: str(value) for name, value in self.members().items()}

    def members(self) -> dict[str, Any]:
        """Return what is given, by the names that servers know, as JSON has it."""
        told: dict[str, Any] = {}
        for each in fields(AuditQuery):
            value = getattr(self, each.name)
            if value is not None:
                name = _NAMES.get(each.name, each.name)
                told[name] = format_instant(value) if isinstance(value, datetime) else value
        return told


_NAMES: Final[Mapping[str, str]] = {"since": "from", "until": "to"}


def merged(query: AuditQuery | None, filters: Mapping[str, Any]) -> AuditQuery:
    """Return `query` with `filters`, which are members of a query by their names.

    Raises:
        TypeError: There is no such member.
    """
    return evolve(query or AuditQuery(), **filters)
