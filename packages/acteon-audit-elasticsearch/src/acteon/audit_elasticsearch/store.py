"""The audit store."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from attrs import define, field, frozen

from acteon.audit import (
    AuditPage,
    AuditQuery,
    AuditQueryError,
    AuditRecord,
    AuditStorageError,
    AuditStore,
    Scope,
)
from acteon.audit.totals import Totals
from acteon.audit_elasticsearch.calls import MAX_BULK, Calls
from acteon.audit_elasticsearch.documents import (
    JSON,
    document,
    document_id,
    kept,
    micros,
    record,
    term,
)
from acteon.audit_elasticsearch.errors import MissingIndexError, TooLargeError, line, reason
from acteon.audit_elasticsearch.filters import (
    NEWEST_FIRST,
    Clause,
    all_of,
    at_most,
    equal,
    filters,
    within,
)
from acteon.audit_elasticsearch.layout import Layout

WINDOW: Final = 10_000
"""So deep into its results a search goes; `index.max_result_window`."""
PIECE: Final = 5_000
"""So many records are removed at once."""
_FIRST: Final = 100
"""So many documents are asked for before it is known how large they are…"""
_AT_ONCE: Final = 32 * 1024 * 1024
"""… and so many bytes of them, about, from then on."""

_DOCUMENTS: Final[Mapping[str, Any]] = {}
_NAMES: Final[Mapping[str, Any]] = {"source": False}
_PLACES: Final[Mapping[str, Any]] = {"source": False, "stored_fields": "_none_"}
"""Where each is in the order, and nothing else: the least that a search can give, soonest."""

_THERE: Final = {409: "version_conflict_engine_exception"}
_GONE: Final = {404: "document_missing_exception"}
_ERASED: Final = b'{"doc":{"action_payload":null}}'
_CONFLICTS: Final = 5
"""So often an erasure begins anew when others erase the same."""


Place = list[Any]
"""A place in the order, as the server has it."""


@define(eq=False)
class ElasticsearchAuditStore(AuditStore):
    """The records as documents of the index `<prefix>audit`.

    Attributes:
        calls: Where requests go; they stay their owner's.
        layout: The names.
        totals: What has been counted.
    """

    calls: Calls
    layout: Layout
    totals: Totals = field(factory=Totals)
    _changes: int = field(default=0, init=False)
    """How often this process has changed something."""
    _shown: int = field(default=0, init=False)
    """How many of these changes a search is known to see."""

    async def write(self, records: Sequence[AuditRecord]) -> None:
        with self.totals.changing():
            for lines in _parts(records):
                try:
                    items = await self.calls.bulk(lines, self.layout.alias)
                    self.calls.check(items, fine=_THERE)
                except MissingIndexError:
                    # Somebody has removed it. The records come again, as they could not be kept.
                    await self.layout.prepare(self.calls)
                    raise
                finally:
                    self._changes += 1

    async def get(self, record_id: str) -> AuditRecord | None:
        names = [document_id(kept(record_id))]
        # Unlike a search this sees what was written just now. The name is in the body, as in a
        # path some have a meaning.
        body = await self.calls.run(lambda client: client.mget(index=self.layout.alias, ids=names))
        (found,) = body["docs"]
        if "error" in found:
            text = f"elasticsearch at {self.calls.where}: {reason(found)}"
            raise AuditStorageError(line(text))
        return record(found["_source"]) if found["found"] else None

    async def latest(
        self, action_id: str, *, scopes: tuple[Scope, ...] | None = None
    ) -> AuditRecord | None:
        covered = within(scopes)
        if covered is None:
            return None
        await self._catch_up()
        found = await self._search([equal("action_id", action_id), *covered], size=1)
        return record(found.hits[0]["_source"]) if found.hits else None

    async def query(self, query: AuditQuery) -> AuditPage:
        clauses = filters(query)
        total = self.totals.of(query)
        if clauses is None:
            found = _Found([], 0)
        else:
            await self._catch_up()
            found = await self._page(query, clauses, count=total.known is None)
        return AuditPage(
            records=tuple(record(hit["_source"]) for hit in found.hits),
            total=total.count(found.total) if total.known is None else total.known,
            limit=query.limit,
            offset=query.offset,
        )

    async def clean_up(self, now: datetime) -> int:
        expired = [at_most("expires_us", micros(now))]
        removed = 0
        with self.totals.changing():
            while True:
                await self._catch_up()
                found = await self._search(expired, size=PIECE, sort=["expires_us"], give=_NAMES)
                if not found.hits:
                    return removed
                gone = await self._remove([hit["_id"] for hit in found.hits])
                removed += gone
                # Where others have removed all of a piece they are at it: the rest is theirs.
                if not gone or len(found.hits) < PIECE:
                    return removed

    async def erase(self, record_ids: Sequence[str]) -> int:
        names = list(dict.fromkeys(document_id(kept(record_id)) for record_id in record_ids))
        erased = 0
        for start in range(0, len(names), PIECE):
            lines: list[bytes] = []
            for name in names[start : start + PIECE]:
                lines += _operation("update", name, retry_on_conflict=_CONFLICTS), _ERASED
            # No search of any process may see them any more.
            items = await self.calls.bulk(lines, self.layout.alias, refresh=True)
            erased += sum(one.result == "updated" for one in items)
            try:
                self.calls.check(items, fine=_GONE)
            except AuditStorageError as error:
                error.done = erased
                raise
        return erased

    async def refresh(self) -> None:
        self._changes += 1
        await self._catch_up()

    async def ping(self) -> None:
        await self._search([], size=0)

    async def _remove(self, names: Sequence[str]) -> int:
        try:
            lines = [_operation("delete", name) for name in names]
            items = await self.calls.bulk(lines, self.layout.alias)
        finally:
            self._changes += 1
        self.calls.check(items)
        return sum(one.result == "deleted" for one in items)

    async def _catch_up(self) -> None:
        """Have searches see what this process has changed."""
        changes = self._changes
        if self._shown < changes:
            await self.calls.run(lambda client: client.indices.refresh(index=self.layout.alias))
            self._shown = max(self._shown, changes)

    async def _page(self, query: AuditQuery, clauses: list[Clause], *, count: bool) -> "_Found":
        """Return what `query` asks for of what fits `clauses`."""
        place: Place | None = None
        if query.after is not None:
            place = [micros(query.after.dispatched_at), term(kept(query.after.id))]
        skip, limit = query.offset, query.limit
        if skip > WINDOW:
            raise AuditQueryError(
                f"offset: elasticsearch leaves out {WINDOW:,} records at most; go on by cursor, or "
                "ask for an earlier time"
            )
        # A search goes only so deep; and one that begins at a place cannot leave anything out.
        if skip and (place is not None or skip + limit > WINDOW):
            passed = await self._search(clauses, size=skip, after=place, give=_PLACES)
            if len(passed.hits) < skip:
                limit, place = 0, None
            else:
                place = passed.hits[-1]["sort"]
            skip = 0
        return await self._documents(clauses, limit, skip=skip, after=place, count=count)

    async def _documents(
        self, clauses: list[Clause], limit: int, *, skip: int, after: Place | None, count: bool
    ) -> "_Found":
        """Return what a search gives, in pieces that the server, and the time, have room for."""
        found = _Found([], 0)
        piece, most = _FIRST, limit
        while True:
            size = min(piece, limit - len(found.hits))
            try:
                some = await self._search(clauses, size=size, skip=skip, after=after, count=count)
            except TooLargeError:
                if size <= 1:
                    raise
                piece = most = size // 2
                continue
            found = _Found(found.hits + some.hits, max(found.total, some.total))
            if len(some.hits) < size or len(found.hits) == limit:
                return found
            piece = max(1, min(most, _AT_ONCE * size // max(1, _bytes(some.hits))))
            skip, after, count = 0, some.hits[-1]["sort"], False

    async def _search(
        self,
        clauses: list[Clause],
        *,
        size: int,
        skip: int = 0,
        after: Place | None = None,
        sort: Sequence[str | Clause] = NEWEST_FIRST,
        give: Mapping[str, Any] = _DOCUMENTS,
        count: bool = False,
    ) -> "_Found":
        """Return what fits `clauses`, in the order of `sort`.

        Args:
            clauses: All must be true.
            size: So many at the most.
            skip: So many are left out first.
            after: Only what is behind this place.
            sort: The order.
            give: What is wanted of each: `_DOCUMENTS`, `_NAMES` or `_PLACES`.
            count: Whether all that fit are counted.
        """
        more: dict[str, Any] = {} if after is None else {"search_after": after}
        body = await self.calls.run(
            lambda client: client.search(
                index=self.layout.alias,
                query=all_of(clauses),
                size=size,
                from_=skip,
                sort=sort,
                track_total_hits=count,
                # A part of the truth would be taken for all of it.
                allow_partial_search_results=False,
                **give,
                **more,
            )
        )
        hits = body["hits"]
        return _Found(hits["hits"], hits["total"]["value"] if count else 0)


@frozen
class _Found:
    """What a search has found.

    Attributes:
        hits: As the server has them.
        total: How many fit, if they were counted.
    """

    hits: list[Any]
    total: int


def _bytes(hits: Sequence[Any]) -> int:
    """Return about how large the documents of `hits` are."""
    texts = (hit["_source"].get(name) for hit in hits for name in JSON)
    return sum(len(text) for text in texts if isinstance(text, str))


def _parts(records: Sequence[AuditRecord]) -> Iterator[list[bytes]]:
    """Yield the operations that write `records`, in parts for one request each."""
    lines: list[bytes] = []
    size = 0
    for one in records:
        name, source = document(one)
        operation = _operation("create", name)
        added = len(operation) + len(source) + 2
        if lines and size + added > MAX_BULK:
            yield lines
            lines, size = [], 0
        lines += operation, source
        size += added
    if lines:
        yield lines


def _operation(kind: str, name: str, **more: int) -> bytes:
    return msgspec.json.encode({kind: {"_id": name, **more}})
