"""The removal of what has expired, and of what has been erased, from the disk."""

import logging
from datetime import datetime, timedelta
from math import inf
from typing import Final

from attrs import define, field, frozen

from acteon.audit_clickhouse.rows import milliseconds
from acteon.audit_clickhouse.statements import Statements
from acteon.core import Clock
from acteon.state import StateBackendError, StateError
from acteon.state_clickhouse import Engine

log = logging.getLogger(__name__)

_SETTLED: Final = timedelta(days=32)
"""How old the last record of a month must be for the month to be dropped as a whole: nothing is
written to it any more."""
_EXACTLY: Final = 1_000_000
"""Up to so many rows are counted as records, which needs memory for each."""
_LONGEST: Final = 300
_BURST: Final = timedelta(minutes=1)
"""So long after a deletion of leftovers was begun no other one is."""
_PAUSE: Final = timedelta(milliseconds=50)
_LONGEST_PAUSE: Final = timedelta(seconds=1)


@define(eq=False)
class Removal:
    """Deletes rows. The server rewrites what held them, in the background, beside all else.

    Attributes:
        engine: What carries out the statements.
        statements: What is said.
        clock: Measures the time that is waited.
        patience: How long a deletion is waited for.
        bound: How old a deletion that fails must be to be ended, and begun anew.
    """

    engine: Engine
    statements: Statements
    clock: Clock
    patience: timedelta
    bound: timedelta = timedelta(hours=1)
    _begun: float = field(default=-inf, init=False)
    """When a deletion of leftovers was begun, as the clock has it."""
    _told: set[str] = field(factory=set[str], init=False)
    """The deletions whose failure has been told."""

    async def clean_up(self, now: datetime) -> int:
        """Remove what has expired; return how many records that were.

        While an earlier clean-up is under way, whoever began it, nothing is done.
        """
        if await self._is_under_way():
            return 0
        removed = await self._drop_months(now)
        instant = milliseconds(now)
        expired = await self._number(self.statements.expired(instant))
        if 0 < expired <= _EXACTLY:
            expired = await self._number(self.statements.expired_records(instant))
        if expired or await self._number(self.statements.leftovers()):
            await self.engine.ask(self.statements.delete_expired(instant))
        if expired:
            await self._wait()
        return removed + expired

    async def begin_leftovers(self) -> None:
        """Have the rows deleted that hold erased payloads, which no answer has any more.

        It is for the next clean-up if it cannot be done now, or has just been done: somebody may
        erase page after page, and each deletion goes through all of the table.
        """
        now = self.clock.monotonic()
        if now < self._begun + _BURST.total_seconds():
            return
        try:
            if not await self._number(self.statements.deleting()):
                await self.engine.ask(self.statements.delete_leftovers())
                self._begun = now
        except StateError as error:
            log.info(
                "erased payloads leave the disk with the next clean-up",
                extra={"acteon.error": str(error)},
            )

    async def _is_under_way(self) -> bool:
        """Return whether a clean-up is under way; one that fails again and again is ended."""
        under_way = await self._cleaning_up()
        failing = [one for one in under_way if self._is_failing(one)]
        told, self._told = self._told, {one.name for one in failing}
        for one in failing:
            if one.name not in told:
                log.warning(
                    "a deletion of expired audit records does not get on, or slowly, and none is "
                    "begun meanwhile: look into system.mutations",
                    extra={
                        "acteon.mutation": one.name,
                        "acteon.age": str(one.age),
                        "acteon.error": one.reason or "the server does not tell",
                    },
                )
        if not self.statements.is_modern or not any(one.age >= self.bound for one in failing):
            return bool(under_way)
        try:
            await self.engine.ask(self.statements.end_failing())
        except StateBackendError as error:
            log.warning(
                "a deletion of expired audit records that fails cannot be ended",
                extra={"acteon.error": str(error)},
            )
            return True
        log.info("a deletion of expired audit records that failed begins anew")
        return bool(await self._cleaning_up())

    def _is_failing(self, deletion: "_Deletion") -> bool:
        return bool(deletion.reason) or (
            not self.statements.is_modern and deletion.age >= self.bound
        )

    async def _drop_months(self, now: datetime) -> int:
        removed = 0
        statement = self.statements.expired_months(milliseconds(now))
        for month, last in (await self.engine.ask(statement)).rows:
            if int(last) < milliseconds(now - _SETTLED):
                removed += await self._drop(int(month))
        return removed

    async def _drop(self, month: int) -> int:
        try:
            records = await self._number(self.statements.count_month(month))
            await self.engine.ask(self.statements.drop_month(month))
        except StateError as error:
            # It may be larger than `max_partition_size_to_drop`. If the server is away, what
            # comes next fails.
            log.info(
                "a month of audit records is not dropped, but deleted like others",
                extra={"acteon.month": month, "acteon.error": str(error)},
            )
            return 0
        return records

    async def _wait(self) -> None:
        deadline = self.clock.monotonic() + self.patience.total_seconds()
        pause = _PAUSE
        while await self._cleaning_up():
            if self.clock.monotonic() >= deadline:
                log.info("the server goes on deleting expired audit records")
                return
            await self.clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _cleaning_up(self) -> list["_Deletion"]:
        rows = (await self.engine.ask(self.statements.cleaning_up())).rows
        return [
            _Deletion(name, timedelta(seconds=int(age)), " ".join(reason.split())[:_LONGEST])
            for name, age, reason in rows
        ]

    async def _number(self, statement: str) -> int:
        ((number,),) = (await self.engine.ask(statement)).rows
        return int(number)


@frozen
class _Deletion:
    """One that is under way.

    Attributes:
        name: What the server calls it.
        age: How long ago it was begun.
        reason: Why it did not get on; empty if it does, or if the server does not know.
    """

    name: str
    age: timedelta
    reason: str
