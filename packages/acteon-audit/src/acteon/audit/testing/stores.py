"""Stores to test with: one that is plainly right, and one that fails when it is told to."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime

from attrs import define, evolve, field

from acteon.audit.errors import AuditError, AuditSerializationError
from acteon.audit.query import EQUAL, AuditPage, AuditQuery, Scope
from acteon.audit.record import AuditRecord
from acteon.audit.store import AuditStore


@define(eq=False)
class PlainAuditStore(AuditStore):
    """Keeps everything and answers by looking at everything: the model that others must equal.

    Attributes:
        records: What was written, by id.
    """

    records: dict[str, AuditRecord] = field(factory=dict[str, AuditRecord])

    async def write(self, records: Sequence[AuditRecord]) -> None:
        for record in records:
            self.records.setdefault(record.id, record)

    async def get(self, record_id: str) -> AuditRecord | None:
        return self.records.get(record_id)

    async def latest(
        self, action_id: str, *, scopes: tuple[Scope, ...] | None = None
    ) -> AuditRecord | None:
        of_action = [
            record
            for record in self.records.values()
            if record.action_id == action_id and _covered(record, scopes)
        ]
        return max(of_action, key=_place, default=None)

    async def query(self, query: AuditQuery) -> AuditPage:
        fitting = [record for record in self.records.values() if _fits(record, query)]
        fitting.sort(key=_place, reverse=True)
        after = query.after
        behind = [
            record
            for record in fitting
            if after is None or _place(record) < (after.dispatched_at, after.id)
        ]
        return AuditPage(
            records=tuple(behind[query.offset : query.offset + query.limit]),
            total=len(fitting),
            limit=query.limit,
            offset=query.offset,
        )

    async def clean_up(self, now: datetime) -> int:
        expired = [
            record.id
            for record in self.records.values()
            if record.expires_at is not None and record.expires_at <= now
        ]
        for record_id in expired:
            del self.records[record_id]
        return len(expired)

    async def erase(self, record_ids: Sequence[str]) -> int:
        full = [
            record
            for record_id in set(record_ids)
            if (record := self.records.get(record_id)) and record.action_payload is not None
        ]
        for record in full:
            self.records[record.id] = evolve(record, action_payload=None)
        return len(full)


@define(eq=False)
class UnreliableAuditStore(AuditStore):
    """A store whose next calls fail as it is told, and that can be made to wait.

    Attributes:
        inner: The store behind it.
        failures: What the next writes and clean-ups raise instead, one each; None: nothing.
        unstorable: The ids of records that can never be kept.
        lossy: Whether a write that fails has been done all the same.
        open: Writes wait until this is set.
        batches: How many records each write brought, the failed ones included.
        clean_ups: How many clean-ups were asked for.
    """

    inner: AuditStore = field(factory=PlainAuditStore)
    failures: deque[Exception | None] = field(factory=deque["Exception | None"])
    unstorable: set[str] = field(factory=set[str])
    lossy: bool = False
    open: asyncio.Event = field(factory=asyncio.Event)
    batches: list[int] = field(factory=list[int])
    clean_ups: int = 0

    def __attrs_post_init__(self) -> None:
        self.open.set()

    async def write(self, records: Sequence[AuditRecord]) -> None:
        self.batches.append(len(records))
        await self.open.wait()
        try:
            self._fail_as_told()
        except AuditError:
            if self.lossy:
                await self.inner.write(records)
            raise
        if any(record.id in self.unstorable for record in records):
            raise AuditSerializationError("told so")
        await self.inner.write(records)

    async def get(self, record_id: str) -> AuditRecord | None:
        return await self.inner.get(record_id)

    async def latest(
        self, action_id: str, *, scopes: tuple[Scope, ...] | None = None
    ) -> AuditRecord | None:
        return await self.inner.latest(action_id, scopes=scopes)

    async def query(self, query: AuditQuery) -> AuditPage:
        return await self.inner.query(query)

    async def clean_up(self, now: datetime) -> int:
        self.clean_ups += 1
        self._fail_as_told()
        return await self.inner.clean_up(now)

    async def erase(self, record_ids: Sequence[str]) -> int:
        return await self.inner.erase(record_ids)

    def _fail_as_told(self) -> None:
        failure = self.failures.popleft() if self.failures else None
        if failure is not None:
            raise failure


def _place(record: AuditRecord) -> tuple[datetime, str]:
    return record.dispatched_at, record.id


def _covered(record: AuditRecord, scopes: tuple[Scope, ...] | None) -> bool:
    return scopes is None or any(scope.covers(record) for scope in scopes)


def _fits(record: AuditRecord, query: AuditQuery) -> bool:
    for name in EQUAL:
        wanted: str | None = getattr(query, name)
        if wanted is not None and getattr(record, name) != wanted:
            return False
    return (
        (query.since is None or record.dispatched_at >= query.since)
        and (query.until is None or record.dispatched_at <= query.until)
        and _covered(record, query.scopes)
    )
