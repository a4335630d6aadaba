"""What one may ask of the audit trail."""

from datetime import datetime
from typing import Final

from attrs import evolve, field, frozen
from attrs.validators import ge, le

from acteon.audit.record import AuditRecord

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1000


@frozen(kw_only=True)
class Scope:
    """What one grant lets its holder see: records that fit all three.

    Attributes:
        tenants: The tenants; None: all.
        namespaces: The namespaces; None: all.
        action_types: The action types; None: all.
    """

    tenants: frozenset[str] | None = None
    namespaces: frozenset[str] | None = None
    action_types: frozenset[str] | None = None

    def covers(self, record: AuditRecord) -> bool:
        """Return whether `record` lies in the scope."""
        return (
            (self.tenants is None or record.tenant in self.tenants)
            and (self.namespaces is None or record.namespace in self.namespaces)
            and (self.action_types is None or record.action_type in self.action_types)
        )


@frozen
class Position:
    """A place in the order of records, newest first: behind that record."""

    dispatched_at: datetime
    id: str


@frozen(kw_only=True)
class AuditQuery:
    """Which records are wanted: those that fit every filter that is not None, exactly.

    Records are ordered by `dispatched_at`, newest first, then by `id`, greatest first.

    Attributes:
        namespace: Filters by equality, as do the next seven; `""` looks for the empty text.
        tenant: …
        provider: …
        action_type: …
        outcome: …
        verdict: …
        matched_rule: …
        caller_id: …
        since: The earliest `dispatched_at`, included.
        until: The latest `dispatched_at`, included.
        scopes: Only records that at least one of these covers; None: all; empty: none.
        after: Only records behind this place in the order; `total` counts them all the same.
        limit: At most so many records, 1 to 1000.
        offset: So many are left out first.
    """

    namespace: str | None = None
    tenant: str | None = None
    provider: str | None = None
    action_type: str | None = None
    outcome: str | None = None
    verdict: str | None = None
    matched_rule: str | None = None
    caller_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    scopes: tuple[Scope, ...] | None = None
    after: Position | None = None
    limit: int = field(default=DEFAULT_LIMIT, validator=[ge(1), le(MAX_LIMIT)])
    offset: int = field(default=0, validator=ge(0))


EQUAL: Final = (
    "namespace",
    "tenant",
    "provider",
    "action_type",
    "outcome",
    "verdict",
    "matched_rule",
    "caller_id",
)
"""The filters that compare for equality: members of `AuditQuery`, and of records."""
FILTERS: Final = (*EQUAL, "since", "until")
"""All filters."""


@frozen(kw_only=True)
class AuditPage:
    """An answer to a query.

    Attributes:
        records: In the order of `AuditQuery`.
        total: How many fit, on all pages together.
        limit: The query's.
        offset: The query's.
    """

    records: tuple[AuditRecord, ...]
    total: int
    limit: int
    offset: int


def consistent(page: AuditPage, query: AuditQuery) -> AuditPage:
    """Return `page`, an answer to `query`, with a total that what is on it does not belie.

    Stores may remember totals for a moment, in which records come and go.
    """
    if query.after is not None:
        return page
    least = query.offset + len(page.records)
    is_all = len(page.records) < query.limit and (page.records or not query.offset)
    total = least if is_all else max(page.total, least if page.records else 0)
    return page if total == page.total else evolve(page, total=total)
