"""The removal of what has expired, and of what has been erased, from the disk."""

import logging
from datetime import datetime, timedelta
from typing import Final

from attrs import define

from acteon.audit_clickhouse.rows import milliseconds
from acteon.audit_clickhouse.statements import Statements
from acteon.core import Clock
from acteon.state import StateError
from acteon.state_clickhouse import Engine

log = logging.getLogger(__name__)

_SETTLED: Final = timedelta(days=32)
"""How old the last record of a month must be for the month to be dropped as a whole: nothing is
written to it any more."""
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
    """

    engine: Engine
    statements: Statements
    clock: Clock
    patience: timedelta

    async def clean_up(self, now: datetime) -> int:
        """Remove what has expired; return how many records that were.

        While an earlier clean-up is under way, whoever began it, nothing is done.
        """
        if await self._number(self.statements.cleaning_up()):
            return 0
        removed = await self._drop_months(now)
        instant = milliseconds(now)
        expired = await self._number(self.statements.expired(instant))
        if expired or await self._number(self.statements.leftovers()):
            await self.engine.ask(self.statements.delete_expired(instant))
        if expired:
            await self._wait()
        return removed + expired

    async def begin_leftovers(self) -> None:
        """Have the rows deleted that hold erased payloads, which no answer has any more.

        It is for the next clean-up if it cannot be done now.
        """
        try:
            if not await self._number(self.statements.deleting()):
                await self.engine.ask(self.statements.delete_leftovers())
        except StateError as error:
            log.info(
                "erased payloads leave the disk with the next clean-up",
                extra={"acteon.error": str(error)},
            )

    async def _drop_months(self, now: datetime) -> int:
        removed = 0
        statement = self.statements.expired_months(milliseconds(now))
        for month, last in (await self.engine.ask(statement)).rows:
            if int(last) < milliseconds(now - _SETTLED):
                removed += await self._number(self.statements.count_month(int(month)))
                await self.engine.ask(self.statements.drop_month(int(month)))
        return removed

    async def _wait(self) -> None:
        deadline = self.clock.monotonic() + self.patience.total_seconds()
        pause = _PAUSE
        while await self._number(self.statements.cleaning_up()):
            if self.clock.monotonic() >= deadline:
                log.info("the server goes on deleting expired audit records")
                return
            await self.clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _number(self, statement: str) -> int:
        ((number,),) = (await self.engine.ask(statement)).rows
        return int(number)
