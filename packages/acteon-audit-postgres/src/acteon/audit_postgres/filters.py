"""Queries as conditions of SQL."""

from collections.abc import Iterable
from typing import Final

from attrs import define, field

from acteon.audit import AuditQuery, Position, Scope
from acteon.audit.query import EQUAL
from acteon.audit_postgres.rows import kept
from acteon.state_postgres.texts import text_array

_NONE: Final = "false"


@define(eq=False)
class Conditions:
    """What must be true of a row, all of it, and the parameters that this names.

    Attributes:
        parameters: By name.
    """

    parameters: dict[str, object] = field(factory=dict[str, object])
    _texts: list[str] = field(factory=list[str])

    def __str__(self) -> str:
        return " AND ".join(self._texts) or "true"

    def add_filters(self, query: AuditQuery) -> None:
        """Add the filters of `query`: all but its position."""
        for name in EQUAL:
            wanted: str | None = getattr(query, name)
            if wanted is not None:
                self._texts.append(f"{name} = {self._parameter(kept(wanted))}")
        if query.since is not None:
            self._texts.append(f"dispatched_at >= {self._parameter(query.since)}")
        if query.until is not None:
            self._texts.append(f"dispatched_at <= {self._parameter(query.until)}")
        self.add_scopes(query.scopes)

    def add_equal(self, name: str, text: str) -> None:
        """Add that the column `name` is `text`."""
        self._texts.append(f"{name} = {self._parameter(kept(text))}")

    def add_scopes(self, scopes: tuple[Scope, ...] | None) -> None:
        """Add that one of `scopes` covers the row."""
        if scopes is None:
            return
        covers = [self._covers(scope) for scope in dict.fromkeys(scopes)]
        if "" not in covers:
            self._texts.append(f"({' OR '.join(covers) or _NONE})")

    def add_position(self, after: Position) -> None:
        """Add that the row is behind `after`."""
        instant, record_id = self._parameter(after.dispatched_at), self._parameter(kept(after.id))
        # The first half says no more than the second; but it is what an index is good for.
        self._texts.append(
            f"dispatched_at <= {instant} AND (dispatched_at < {instant} OR id < {record_id})"
        )

    def _covers(self, scope: Scope) -> str:
        sets = (
            ("tenant", scope.tenants),
            ("namespace", scope.namespaces),
            ("action_type", scope.action_types),
        )
        return " AND ".join(self._among(name, one) for name, one in sets if one is not None)

    def _among(self, name: str, texts: Iterable[str]) -> str:
        found = sorted({kept(text) for text in texts})
        if not found:
            return _NONE
        if len(found) == 1:
            # Unlike the other one, this lets an index give the rows in their order.
            return f"{name} = {self._parameter(found[0])}"
        return f"{name} = ANY ({self._parameter(text_array(found))}::text[])"

    def _parameter(self, value: object) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s"
