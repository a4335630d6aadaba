"""The audit store."""

import time
from collections.abc import Generator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import define, field

from acteon.audit import AuditPage, AuditQuery, AuditRecord, AuditStore, Scope
from acteon.audit.totals import Totals
from acteon.audit_clickhouse.errors import reading, translating
from acteon.audit_clickhouse.layout import ERASED, VERSION, Layout
from acteon.audit_clickhouse.removal import Removal
from acteon.audit_clickhouse.rows import NAMES, milliseconds, record, row
from acteon.audit_clickhouse.statements import Statements
from acteon.core import SYSTEM_CLOCK, Clock
from acteon.state_clickhouse import Engine

_WINDOWS: Final = (timedelta(hours=1), timedelta(days=1))
"""How far back from its end a page is looked for, one after the other, before all is looked at."""
_TOGETHER: Final = 500
"""How many ids are named in one statement."""


@define(eq=False)
class ClickHouseAuditStore(AuditStore):
    """The records in the table `<prefix>audit`.

    Attributes:
        engine: What carries out the statements; it stays its owner's.
        layout: The table.
        limit: How long a query may take.
        patience: How long a clean-up may wait for the server.
        clock: Tells what is new.
        totals: What has been counted.
    """

    engine: Engine
    layout: Layout
    limit: timedelta = timedelta(seconds=10)
    patience: timedelta = timedelta(seconds=60)
    clock: Clock = SYSTEM_CLOCK
    totals: Totals = field(factory=Totals)
    _statements: Statements = field(init=False)
    _removal: Removal = field(init=False)
    _stamp: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        # Some time before the connection does, which would be taken for an outage.
        seconds = max(1, int(0.9 * self.limit.total_seconds()))
        self._statements = Statements(self.layout.table, seconds, self.layout.is_modern)
        self._removal = Removal(self.engine, self._statements, self.clock, self.patience)

    async def write(self, records: Sequence[AuditRecord]) -> None:
        if not records:
            return
        # The earlier the greater: of rows with the same key the first one stays.
        version = ERASED - self._next_stamp()
        unique: dict[tuple[str, datetime], AuditRecord] = {}
        for one in records:
            unique.setdefault((one.id, one.dispatched_at), one)
        rows = [(*row(one), version) for one in unique.values()]
        with translating(), self.totals.changing():
            await self.engine.insert(self.layout.table, f"{NAMES}, {VERSION}", rows)

    async def get(self, record_id: str) -> AuditRecord | None:
        return _first(await self._ask(self._statements.get(record_id)))

    async def latest(
        self, action_id: str, *, scopes: tuple[Scope, ...] | None = None
    ) -> AuditRecord | None:
        return _first(await self._ask(self._statements.latest(action_id, scopes)))

    async def query(self, query: AuditQuery) -> AuditPage:
        total = self.totals.of(query)
        found: list[AuditRecord] = []
        for earliest in self._windows(query):
            rows = await self._ask(self._statements.page(query, earliest))
            found = [record(cells) for cells in rows]
            if len(found) == query.limit:
                break
        known = total.known
        if known is None:
            is_all = query.after is None and not query.offset and len(found) < query.limit
            known = total.count(len(found) if is_all else await self._count(query))
        return AuditPage(records=tuple(found), total=known, limit=query.limit, offset=query.offset)

    async def clean_up(self, now: datetime) -> int:
        with translating(), self.totals.changing():
            return await self._removal.clean_up(now)

    async def erase(self, record_ids: Sequence[str]) -> int:
        erased = 0
        ids = list(dict.fromkeys(record_ids))
        for start in range(0, len(ids), _TOGETHER):
            some = ids[start : start + _TOGETHER]
            ((full,),) = await self._ask(self._statements.full(some))
            if full:
                await self._ask(self._statements.erase(some, ERASED + self._next_stamp()))
                erased += int(full)
        if erased:
            with translating():
                await self._removal.begin_leftovers()
        return erased

    async def ping(self) -> None:
        await self._ask(self._statements.ping())

    async def _ask(self, statement: str) -> list[tuple[Any, ...]]:
        with reading():
            return (await self.engine.ask(statement)).rows

    async def _count(self, query: AuditQuery) -> int:
        ((total,),) = await self._ask(self._statements.count(query))
        return int(total)

    def _windows(self, query: AuditQuery) -> Generator[int | None]:
        """Yield from which millisecond on the page is to be looked for; last of all None."""
        ends = [self.clock.now()]
        ends += [query.until] if query.until is not None else []
        ends += [query.after.dispatched_at] if query.after is not None else []
        end = milliseconds(min(ends))
        for window in _WINDOWS:
            earliest = end - window // timedelta(milliseconds=1)
            if query.since is not None and milliseconds(query.since) >= earliest:
                break
            yield earliest
        yield None

    def _next_stamp(self) -> int:
        """Return a number that is greater than those before."""
        self._stamp = max(self._stamp + 1, time.time_ns())
        return self._stamp


def _first(rows: list[tuple[Any, ...]]) -> AuditRecord | None:
    return record(rows[0]) if rows else None
