"""Queries in Elasticsearch's own language."""

from collections.abc import Iterable
from typing import Any, Final

from acteon.audit import AuditQuery, Scope
from acteon.audit_elasticsearch.documents import kept, micros, term

Clause = dict[str, Any]

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
NEWEST_FIRST: Final = [{"dispatched_us": "desc"}, {"id": "desc"}]
"""The order of records."""


def equal(name: str, text: str) -> Clause:
    """Return that the member `name` is `text`."""
    return {"term": {name: term(kept(text))}}


def at_most(name: str, micros: int) -> Clause:
    """Return that the member `name` is there and no more than `micros`."""
    return {"range": {name: {"lte": micros}}}


def filters(query: AuditQuery) -> list[Clause] | None:
    """Return what must be true of a record, all of it; None if nothing can fit."""
    found = [equal(name, text) for name in _EQUAL if (text := getattr(query, name)) is not None]
    bounds: dict[str, int] = {}
    if query.since is not None:
        bounds["gte"] = micros(query.since)
    if query.until is not None:
        bounds["lte"] = micros(query.until)
    if bounds:
        found.append({"range": {"dispatched_us": bounds}})
    covered = within(query.scopes)
    return None if covered is None else found + covered


def within(scopes: tuple[Scope, ...] | None) -> list[Clause] | None:
    """Return what must be true of a record that one of `scopes` covers; None if none can be."""
    if scopes is None:
        return []
    covers = [clauses for scope in dict.fromkeys(scopes) if (clauses := _covers(scope)) is not None]
    if not covers:
        return None
    if [] in covers:
        return []
    if len(covers) == 1:
        return covers[0]
    return [{"bool": {"should": [all_of(clauses) for clauses in covers]}}]


def all_of(clauses: list[Clause]) -> Clause:
    """Return that all of `clauses` are true; nothing is scored."""
    return {"bool": {"filter": clauses}} if clauses else {"match_all": {}}


def _covers(scope: Scope) -> list[Clause] | None:
    sets = (
        ("tenant", scope.tenants),
        ("namespace", scope.namespaces),
        ("action_type", scope.action_types),
    )
    given = [(name, texts) for name, texts in sets if texts is not None]
    if not all(texts for _, texts in given):
        return None
    return [_among(name, texts) for name, texts in given]


def _among(name: str, texts: Iterable[str]) -> Clause:
    return {"terms": {name: sorted({term(kept(text)) for text in texts})}}
