"""All records that fit, however many, a page at a time."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from attrs import evolve

from acteon.audit.query import MAX_LIMIT, AuditPage, AuditQuery, Position
from acteon.audit.record import AuditRecord
from acteon.audit.store import AuditStore

PAGE: Final = MAX_LIMIT


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
        page_size: So many are held in memory.

    Raises:
        AuditError: The store failed; what was yielded before is right.
    """
    query = evolve(query, limit=page_size, offset=0)
    while True:
        page = await store.query(query)
        if page.records:
            yield page
        if len(page.records) < page_size:
            return
        last = page.records[-1]
        query = evolve(query, after=Position(last.dispatched_at, last.id))
