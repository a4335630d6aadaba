"""The audit store."""

import logging
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final

from attrs import define, field

from acteon.audit import (
    AuditPage,
    AuditQuery,
    AuditRecord,
    AuditStorageError,
    AuditStore,
    Scope,
)
from acteon.audit.totals import Totals
from acteon.audit_postgres.errors import translating
from acteon.audit_postgres.filters import Conditions
from acteon.audit_postgres.layout import TABLE, Layout, Month
from acteon.audit_postgres.paging import FROM, ORDER, page_statement
from acteon.audit_postgres.partitions import Partitions
from acteon.audit_postgres.removal import remove_expired
from acteon.audit_postgres.rows import NAMES, PARAMETERS, SELECTED, columns, kept, record
from acteon.audit_postgres.schema import columns_amiss
from acteon.state import StateError
from acteon.state_postgres import Connections
from acteon.state_postgres.texts import text_array

log = logging.getLogger(__name__)

_WRITE: Final = f"""
    INSERT INTO {{audit}} ({NAMES})
    SELECT * FROM unnest({PARAMETERS})
    ON CONFLICT DO NOTHING
"""
_GET: Final = f"SELECT {SELECTED} FROM {{audit}} WHERE id = %s LIMIT 1"
_PING: Final = """
    SELECT wanted FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wanted
    WHERE NOT has_table_privilege(to_regclass('{audit}'), wanted)
"""
_THERE: Final = "SELECT true FROM {audit} LIMIT 1"
_ERASE: Final = """
    WITH erased AS (
        UPDATE {audit} SET action_payload = NULL
        WHERE id = ANY (%s::text[]) AND action_payload IS NOT NULL
        RETURNING true
    )
    SELECT count(*) FROM erased
"""


@define(eq=False)
class PostgresAuditStore(AuditStore):
    """The records in the table `<prefix>audit`.

    Attributes:
        connections: Where statements run; they stay their owner's.
        layout: The names of the table and its partitions.
        totals: What has been counted.
    """

    connections: Connections
    layout: Layout
    totals: Totals = field(factory=Totals)
    _partitions: Partitions = field(init=False)
    _write: bytes = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._partitions = Partitions(self.connections, self.layout)
        self._write = self.layout.statement(_WRITE)

    async def write(self, records: Sequence[AuditRecord]) -> None:
        if not records:
            return
        with translating(), self.totals.changing():
            await self._partitions.make({Month.of(one.dispatched_at) for one in records})
            await self.connections.run(self._write, columns(records))

    async def get(self, record_id: str) -> AuditRecord | None:
        with translating():
            rows = await self.connections.run(self.layout.statement(_GET), (kept(record_id),))
        return record(rows[0]) if rows else None

    async def latest(
        self, action_id: str, *, scopes: tuple[Scope, ...] | None = None
    ) -> AuditRecord | None:
        conditions = Conditions()
        conditions.add_equal("action_id", action_id)
        conditions.add_scopes(scopes)
        statement = f"SELECT {SELECTED} {FROM} WHERE {conditions} {ORDER} LIMIT 1"
        with translating():
            rows = await self.connections.run(
                self.layout.statement(statement), conditions.parameters
            )
        return record(rows[0]) if rows else None

    async def query(self, query: AuditQuery) -> AuditPage:
        total = self.totals.of(query)
        statement, parameters = page_statement(query, count=total.known is None)
        with translating():
            rows = await self.connections.run(self.layout.statement(statement), parameters)
        # There is a row for the total even if there is none on the page.
        found = [record(row) for _, *row in rows if row[0] is not None]
        return AuditPage(
            records=tuple(found),
            total=total.count(rows[0][0]) if total.known is None else total.known,
            limit=query.limit,
            offset=query.offset,
        )

    async def clean_up(self, now: datetime) -> int:
        removed = 0
        failures: list[StateError] = []
        # What one of them cannot do is no reason for the others not to.
        with self.totals.changing():
            try:
                await self._partitions.make_ahead(now)
            except StateError as error:
                failures.append(error)
            for removing in (
                self._partitions.drop_expired(now),
                remove_expired(self.connections, self.layout, now),
            ):
                try:
                    async with aclosing(removing) as counts:
                        async for count in counts:
                            removed += count
                except StateError as error:
                    failures.append(error)
        if failures:
            if removed:
                log.info(
                    "audit clean-up removed expired records before it failed",
                    extra={"acteon.removed": removed},
                )
            with translating():
                raise failures[0]
        return removed

    async def erase(self, record_ids: Sequence[str]) -> int:
        if not record_ids:
            return 0
        parameters = (text_array(map(kept, record_ids)),)
        with translating():
            ((erased,),) = await self.connections.run(self.layout.statement(_ERASE), parameters)
        return int(erased)

    async def ping(self) -> None:
        with translating():
            await self.connections.run(self.layout.statement(_THERE))
            lacking = await self.connections.run(self.layout.statement(_PING))
            amiss = await columns_amiss(self.connections, self.layout)
        if lacking:
            rights = ", ".join(right for (right,) in lacking)
            table = self.layout.name(TABLE)
            raise AuditStorageError(
                f"postgres at {self.connections.where}: records cannot be kept without rights: "
                f"have one who may say GRANT {rights} ON {table} TO the user"
            )
        if amiss is not None:
            raise AuditStorageError(amiss)

    async def make_ahead(self) -> None:
        """Make the partitions that are written to first."""
        with translating():
            await self._partitions.make_ahead(self.connections.clock.now())
