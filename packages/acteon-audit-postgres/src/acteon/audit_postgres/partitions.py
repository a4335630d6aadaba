"""A partition for every month, made before it is written to and dropped when all has expired."""

import logging
from collections.abc import AsyncGenerator, Iterable
from datetime import UTC, datetime
from typing import Final

from attrs import define, field

from acteon.audit_postgres.layout import Layout, Month
from acteon.state import StateBackendError, StateConnectionError, StateError
from acteon.state_postgres import Connections
from acteon.state_postgres.errors import LateError

log = logging.getLogger(__name__)

TURN: Final = 0x_0AC7_E003
"""With the table's name, the advisory lock of who makes, drops and cleans up."""
PAUSE: Final = 60.0
"""Seconds for which those who write leave alone what could not be made."""
COUNTED: Final = 10_000
"""Rows of a dropped partition that are counted; if there are more, PostgreSQL's estimate counts."""

_BUSY: Final = "it is tried again; see to it that nothing reads or locks the table for long"
_FULL: Final = "nothing is lost, and its records stay there; the next month has its partition again"
_FOREIGN: Final = "have its owner make it: python -m acteon.audit_postgres {prefix} {schema} 12"

# Readers and writers wait behind locks of the whole table, so these statements give up soon, be it
# for somebody who is in the way or for what they do themselves. And they must see what others have
# done until they had the lock, whatever isolation transactions have by default.
_SOON: Final = """
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET LOCAL statement_timeout = '1s';
    SET LOCAL lock_timeout = '{patience}';
"""
_STATE: Final = """
    SELECT
        to_regclass('{partition}') IS NOT NULL,
        (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('{{audit}}')),
        EXISTS (
            SELECT FROM {{audit}} WHERE dispatched_at >= '{start}' AND dispatched_at < '{end}'
        )
"""
_MAKE: Final = f"""{_SOON.format(patience="1s")}
    SELECT pg_advisory_xact_lock({TURN}, hashtext('{{{{audit}}}}'));
    SET LOCAL lock_timeout = '200ms';
    {{definition}}
"""
_OURS: Final = """
    SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass('{audit}') AND NOT i.inhdetachpending
        AND pg_has_role(c.relowner, 'USAGE')
    ORDER BY c.relname
"""
# The last one tells; NULL, which is never, comes last of all. That is how the index is ordered.
_EXPIRED: Final = """
    NOT EXISTS (
        SELECT FROM (
            SELECT expires_at FROM {partition} ORDER BY expires_at DESC NULLS FIRST LIMIT 1
        ) AS last
        WHERE last.expires_at IS NULL OR last.expires_at > '{now}'
    )
"""
_LOOK: Final = f"""
    SELECT
        {_EXPIRED},
        (SELECT count(*) FROM (SELECT FROM {{partition}} LIMIT {COUNTED}) AS counted),
        (SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass('{{partition}}'))
"""
# The order of the locks is that of those who read and write. A partition that somebody has detached
# meanwhile is theirs, and what has come meanwhile may not have expired.
_DROP: Final = f"""{_SOON.format(patience="200ms")}
    DO $do$ BEGIN
        IF pg_try_advisory_xact_lock({TURN}, hashtext('{{{{audit}}}}')) THEN
            LOCK TABLE ONLY {{{{audit}}}} IN ACCESS EXCLUSIVE MODE;
            IF EXISTS (
                SELECT FROM pg_inherits
                WHERE inhrelid = to_regclass('{{partition}}')
                    AND inhparent = to_regclass('{{{{audit}}}}') AND NOT inhdetachpending
            ) AND {_EXPIRED} THEN
                DROP TABLE {{partition}};
            END IF;
        END IF;
    END $do$
"""
_THERE: Final = "SELECT to_regclass('{partition}') IS NOT NULL"


@define(eq=False)
class Partitions:
    """Makes and drops the partitions of months, as far as we may.

    Where we may not, rows are kept in the default partition, and removed one by one.
    """

    _connections: Connections
    _layout: Layout
    _made: set[Month] = field(factory=set[Month], init=False)
    """Those that were found or made."""
    _failed: dict[Month, float] = field(factory=dict[Month, float], init=False)
    """When those that could not be made were tried last."""

    async def make(self, months: Iterable[Month]) -> None:
        """Make the partitions of `months`, which are about to be written to, that there are not.

        What cannot be made has its rows in the default partition; also if there are some already.
        """
        recently = self._connections.clock.monotonic() - PAUSE
        for month in sorted(set(months) - self._made):
            if self._failed.get(month, recently) <= recently:
                await self._make(month)

    async def make_ahead(self, now: datetime) -> None:
        """Make the partitions of this month and the next, well before they are written to.

        Once rows have come into the default partition there can be no partition for their month.
        """
        month = Month.of(now)
        await self._make(month)
        await self._make(month.next)

    async def drop_expired(self, now: datetime) -> AsyncGenerator[int]:
        """Drop the partitions of past months in which all has expired; yield how many rows."""
        for (name,) in await self._connections.run(self._layout.statement(_OURS)):
            month = self._layout.month(name)
            if month is not None and month < Month.of(now):
                yield await self._drop(month, now)

    async def _make(self, month: Month) -> None:
        found = await self._connections.run(
            self._statement(_STATE, month, start=month.start, end=month.next.start)
        )
        ((there, ours, has_rows),) = found
        if not there and not ours:
            hint = _FOREIGN.format(prefix=self._layout.prefix, schema=self._layout.schema)
            self._note_failure(month, "the table is another role's", hint)
            return
        if not there and has_rows:
            self._note_failure(month, "there are records without it already", _FULL)
            return
        if not there:
            definition = self._layout.month_definition(month)
            try:
                await self._connections.run(self._statement(_MAKE, month, definition=definition))
            except StateBackendError as error:
                self._note_failure(month, str(error), _BUSY)
                return
        self._made.add(month)
        self._failed.pop(month, None)

    def _note_failure(self, month: Month, reason: str, hint: str) -> None:
        """Have it tried again later, and tell it once."""
        if month not in self._failed:
            log.warning(
                "records of a month go into the default partition: its own cannot be made",
                extra={
                    "acteon.partition": self._layout.partition(month),
                    "acteon.error": reason,
                    "acteon.hint": hint,
                },
            )
        self._failed[month] = self._connections.clock.monotonic()

    async def _drop(self, month: Month, now: datetime) -> int:
        instant = now.astimezone(UTC).isoformat()
        try:
            looked = await self._connections.run(self._statement(_LOOK, month, now=instant))
        except (StateBackendError, LateError) as error:
            return self._kept(month, error)
        ((expired, counted, estimated),) = looked
        if not expired:
            return 0
        lost: StateConnectionError | None = None
        try:
            await self._connections.run(self._statement(_DROP, month, now=instant))
        except StateBackendError as error:
            return self._kept(month, error)
        except StateConnectionError as error:
            lost = error  # It may be done all the same.
        ((there,),) = await self._connections.run(self._statement(_THERE, month))
        if there:
            return self._kept(month, lost)
        self._made.discard(month)
        return int(counted if counted < COUNTED else max(counted, estimated))

    def _kept(self, month: Month, error: StateError | None) -> int:
        """Tell that the partition of `month` is still there; its rows are removed one by one."""
        log.debug(
            "could not drop the partition of a month",
            extra={
                "acteon.partition": self._layout.partition(month),
                "acteon.error": str(error or "others are at it"),
            },
        )
        return 0

    def _statement(self, template: str, month: Month, **words: str) -> bytes:
        partition = self._layout.partition(month)
        return self._layout.statement(template.format(partition=partition, **words))
