"""Queries as conditions of SQL."""

from collections.abc import Iterable
from typing import Final

from attrs import define, field

from acteon.audit import AuditQuery, Position, Scope
from acteon.audit_clickhouse.rows import kept, milliseconds
from acteon.state_clickhouse.layout import literal

_EQUAL: Final = (
    "namespace",
    "tenant",
    "provider",
    "action_type",
    "outcome",
    "verdict",
    "matched_rule",
    "caller_id",
)
_ALL: Final = "1"
_NONE: Final = "0"


@define(eq=False)
class Conditions:
    """What must be true of a row, all of it."""

    _texts: list[str] = field(factory=list[str])

    def __str__(self) -> str:
        return " AND ".join(self._texts) or _ALL

    @classmethod
    def of(cls, query: AuditQuery) -> "Conditions":
        """Return the filters of `query`: all but its position."""
        conditions = cls()
        for name in _EQUAL:
            wanted: str | None = getattr(query, name)
            if wanted is not None:
                conditions.add_equal(name, wanted)
        if query.since is not None:
            conditions.add_since(milliseconds(query.since))
        if query.until is not None:
            conditions.add(f"dispatched_at <= {milliseconds(query.until)}")
        conditions.add_scopes(query.scopes)
        return conditions

    def add(self, condition: str) -> None:
        """Add `condition`, as it is."""
        self._texts.append(condition)

    def add_equal(self, name: str, text: str) -> None:
        """Add that the column `name` is `text`."""
        self.add(f"{name} = {literal(kept(text))}")

    def add_since(self, earliest: int) -> None:
        """Add that the row is not before `earliest`."""
        self.add(f"dispatched_at >= {earliest}")

    def add_scopes(self, scopes: tuple[Scope, ...] | None) -> None:
        """Add that one of `scopes` covers the row."""
        if scopes is None:
            return
        covers = [_covers(scope) for scope in dict.fromkeys(scopes)]
        if _ALL not in covers:
            self.add(f"({' OR '.join(covers) or _NONE})")

    def add_position(self, after: Position) -> None:
        """Add that the row is behind `after`."""
        instant, record_id = milliseconds(after.dispatched_at), literal(kept(after.id))
        # The first half says no more than the second; but it is what the sort key is good for.
        self.add(f"dispatched_at <= {instant}")
        self.add(f"(dispatched_at < {instant} OR id < {record_id})")


def texts(wanted: Iterable[str]) -> str:
    """Return `wanted` as a list in SQL; at least one of them."""
    return ", ".join(sorted({literal(kept(text)) for text in wanted}))


def _covers(scope: Scope) -> str:
    sets = (
        ("tenant", scope.tenants),
        ("namespace", scope.namespaces),
        ("action_type", scope.action_types),
    )
    parts = [_among(name, one) for name, one in sets if one is not None]
    return f"({' AND '.join(parts)})" if parts else _ALL


def _among(name: str, wanted: frozenset[str]) -> str:
    return f"{name} IN ({texts(wanted)})" if wanted else _NONE
