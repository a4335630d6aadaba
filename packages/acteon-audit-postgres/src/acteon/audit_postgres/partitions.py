"""A partition for every month, made before it is written to and dropped when all has expired."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import psycopg
from attrs import define, field
from psycopg import errors

from acteon.audit_postgres.layout import Layout, Month
from acteon.state import StateBackendError
from acteon.state_postgres import Connections

log = logging.getLogger(__name__)

TURN: Final = 0x_0AC7_E003
"""With the table's name, the advisory lock of who makes, drops and cleans up."""
_BUSY: Final = (errors.LockNotAvailable, errors.QueryCanceled)

_THERE: Final = "SELECT to_regclass(%s) IS NOT NULL"
_MAKE: Final = """
    DO $do$ BEGIN
        PERFORM set_config('lock_timeout', '1s', true);
        PERFORM pg_advisory_xact_lock({turn}, hashtext('{{audit}}'));
        {month}
    END $do$
"""
_NAMES: Final = """
    SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass('{audit}') AND NOT i.inhdetachpending
    ORDER BY c.relname
"""
_IN_MONTH: Final = """
    SELECT FROM {{audit}} WHERE dispatched_at >= '{start}' AND dispatched_at < '{end}'
"""
_EXPIRED: Final = """
    NOT EXISTS ({rows} AND expires_at IS NULL)
    AND NOT EXISTS ({rows} AND expires_at > '{now}')
"""
_OURS: Final = """
    EXISTS (
        SELECT FROM pg_inherits
        WHERE inhrelid = to_regclass('{partition}') AND inhparent = to_regclass('{{audit}}')
            AND NOT inhdetachpending
    )
"""
# Readers and writers wait behind this, so it gives up soon. The order of the locks is theirs. A
# partition that somebody has detached meanwhile is theirs, too.
_DROP: Final = """
    DO $do$ BEGIN
        PERFORM set_config('lock_timeout', '200ms', true);
        IF pg_try_advisory_xact_lock({turn}, hashtext('{{audit}}')) THEN
            LOCK TABLE ONLY {{audit}} IN ACCESS EXCLUSIVE MODE;
            IF {ours} AND {expired} THEN
                DROP TABLE {partition};
            END IF;
        END IF;
    END $do$
"""


@define(eq=False)
class Partitions:
    """Makes and drops the partitions of months, as far as we may.

    Where we may not, rows are kept in the default partition, and removed one by one.
    """

    _connections: Connections
    _layout: Layout
    _seen: set[Month] = field(factory=set[Month], init=False)
    """Those that were found or made, or cannot be made."""

    async def make(self, months: Iterable[Month]) -> None:
        """Make the partitions of `months` that there are not.

        What cannot be made has its rows in the default partition; also if there are some already.
        """
        for month in sorted(set(months) - self._seen):
            name = self._layout.partition(month)
            ((there,),) = await self._connections.run(_THERE.encode(), (name,))
            if there or await self._done(
                _MAKE.format(turn=TURN, month=self._layout.month_definition(month)), month
            ):
                self._seen.add(month)

    async def drop_expired(self, now: datetime) -> int:
        """Drop the partitions of past months in which all has expired; return how many rows."""
        dropped = 0
        names = await self._connections.run(self._layout.statement(_NAMES))
        for (name,) in names:
            month = self._layout.month(name)
            if month is not None and month < Month.of(now):
                dropped += await self._drop(month, now)
        return dropped

    async def _drop(self, month: Month, now: datetime) -> int:
        rows = _IN_MONTH.format(start=month.start, end=month.next.start)
        expired = _EXPIRED.format(rows=rows, now=now.astimezone(UTC).isoformat())
        counted = rows.replace("SELECT", "SELECT count(*)", 1)
        statement = f"SELECT {expired}, CASE WHEN {expired} THEN ({counted}) END"
        ((all_expired, count),) = await self._connections.run(self._layout.statement(statement))
        if not all_expired:
            return 0
        partition = self._layout.partition(month)
        ours = _OURS.format(partition=partition)
        drop = _DROP.format(turn=TURN, ours=ours, expired=expired, partition=partition)
        if not await self._done(drop, month):
            return 0
        ((there,),) = await self._connections.run(_THERE.encode(), (partition,))
        self._seen.discard(month)
        return 0 if there else int(count)

    async def _done(self, statement: str, month: Month) -> bool:
        """Run `statement`; return False if another one was in the way and it is worth another try.

        It is not if we may not do it at all.
        """
        try:
            await self._connections.run(self._layout.statement(statement))
        except StateBackendError as error:
            cause = error.__cause__
            log.debug(
                "could not make or drop the partition of a month",
                extra={
                    "acteon.partition": self._layout.partition(month),
                    "acteon.error": str(error),
                },
            )
            return not isinstance(cause, psycopg.Error) or not isinstance(cause, _BUSY)
        return True
