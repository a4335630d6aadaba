"""Many records, a piece at a time: so that large payloads do not fill the memory."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from attrs import define, evolve

from acteon.audit.errors import AuditQueryError
from acteon.audit.query import AuditPage, AuditQuery, Position
from acteon.audit.record import AuditRecord
from acteon.audit.store import AuditStore

FIRST: Final = 50
"""So many records are asked for before it is known how large they are…"""
AT_ONCE: Final = 16 * 1024 * 1024
"""… and about so many bytes of them from then on: as if the next were like the last…"""
GROWTH: Final = 4
"""… but at most so many times as many, …"""
PAGE: Final = 400
"""… and never more than so many: those that follow small ones may be large."""
MOST: Final = 256 * 1024 * 1024
"""At most so many bytes are on one page."""


async def walk(
    store: AuditStore, query: AuditQuery, *, page_size: int = PAGE
) -> AsyncGenerator[AuditRecord]:
    """Yield the records that fit `query`, as `walk_pages` does."""
    async with aclosing(walk_pages(store, query, page_size=page_size)) as pages:
        async for page in pages:
            for record in page.records:
                yield record


async def walk_pages(
    store: AuditStore, query: AuditQuery, *, page_size: int = PAGE
) -> AsyncGenerator[AuditPage]:
    """Yield the records that fit `query` in pages, the newest first, each record once.

    It ends although records come in meanwhile: those have their place before the ones that have
    been seen. One that is written late, and is older, may be met or not.

    Args:
        store: Where they are.
        query: The filters, and where to begin (`after`); `limit` and `offset` mean nothing here.
        page_size: At most so many are held in memory; fewer where they are large.

    Raises:
        AuditError: The store failed; what was yielded before is right.
    """
    pace = _Pace(page_size)
    query = evolve(query, offset=0)
    while True:
        size = pace.size
        page = await store.query(evolve(query, limit=size))
        if page.records:
            yield page
        if len(page.records) < size:
            return
        pace.adapt(page.records)
        query = behind(page.records[-1], query)


async def whole_page(store: AuditStore, query: AuditQuery) -> AuditPage:
    """Return the page that `query` asks for.

    Raises:
        AuditError: The store failed.
        AuditQueryError: The page would be too large.
    """
    pace = _Pace(PAGE)
    size = min(pace.size, query.limit)
    page = await store.query(evolve(query, limit=size))
    records, bytes = list(page.records), pace.adapt(page.records)
    while len(records) < query.limit and len(page.records) == size:
        if bytes > MOST:
            raise AuditQueryError(
                f"limit: {query.limit} of these records are more than {MOST >> 20} MiB; "
                f"ask for {len(records)} at a time"
            )
        size = min(pace.size, query.limit - len(records))
        rest = behind(records[-1], query)
        page = evolve(page, records=(await store.query(evolve(rest, limit=size))).records)
        records += page.records
        bytes += pace.adapt(page.records)
    return evolve(page, records=tuple(records), limit=query.limit, offset=query.offset)


def behind(record: AuditRecord, query: AuditQuery) -> AuditQuery:
    """Return `query` for what comes behind `record`."""
    return evolve(query, after=Position(record.dispatched_at, record.id), offset=0)


@define
class _Pace:
    """How many records are asked for next.

    Attributes:
        most: Never more than so many.
        size: So many.
    """

    most: int
    size: int = FIRST

    def __attrs_post_init__(self) -> None:
        self.size = min(self.size, self.most)

    def adapt(self, seen: Sequence[AuditRecord]) -> int:
        """Have the next ones fit, if they are like those `seen`; return how large these are."""
        bytes = sum(record.size for record in seen)
        fitting = AT_ONCE * len(seen) // max(bytes, 1)
        self.size = max(1, min(fitting, GROWTH * self.size, self.most))
        return bytes
