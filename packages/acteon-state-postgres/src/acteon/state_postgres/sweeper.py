"""The removal of what has expired and nobody asks for any more."""

import logging
from collections.abc import Callable
from datetime import timedelta
from random import random
from typing import Final

from acteon.core import SYSTEM_CLOCK, Clock
from acteon.state import StateError
from acteon.state_postgres.connections import Connections
from acteon.state_postgres.layout import Layout

log = logging.getLogger(__name__)

BATCH: Final = 1000
TURN: Final = 0x_AC7E_0002
"""The advisory lock of the one process that sweeps; it lasts as long as the statement."""
_SWEEP: Final = """
    WITH turn AS MATERIALIZED (
        SELECT
            pg_try_advisory_xact_lock({lock}) AS ours,
            set_config('synchronous_commit', 'off', true)
    ), gone AS (
        DELETE FROM {{{table}}} AS t
        WHERE t.{column} = ANY (ARRAY(
            SELECT s.{column} FROM {{{table}}} AS s
            WHERE s.expires_at BETWEEN coalesce(%s::timestamptz, '-infinity'::timestamptz) AND now()
                AND (SELECT ours FROM turn)
            ORDER BY s.expires_at LIMIT {batch}
            FOR UPDATE SKIP LOCKED
        )) AND t.expires_at <= now()
        RETURNING t.expires_at
    )
    SELECT count(*), max(expires_at)::text FROM gone
"""


async def sweep(connections: Connections, layout: Layout) -> int:
    """Remove all that has expired, a batch at a time, unless another process does; say how many."""
    total = 0
    for table, column in (("state", "key"), ("locks", "name")):
        statement = layout.statement(
            _SWEEP.format(table=table, column=column, batch=BATCH, lock=TURN)
        )
        gone, last = BATCH, None
        while gone == BATCH:
            # From where the batch before ended: what was removed stays in the index until the
            # next vacuum, and looking through all of that for each batch would take ever longer.
            ((gone, last),) = await connections.run(statement, (last,))
            total += gone
    return total


async def sweep_now_and_then(
    connections: Connections,
    layout: Layout,
    interval: timedelta,
    *,
    clock: Clock = SYSTEM_CLOCK,
    chance: Callable[[], float] = random,
) -> None:
    """Sweep once in each `interval`, give or take a tenth, for ever."""
    await clock.sleep(interval * chance())  # Processes that start together do not sweep together.
    while True:
        try:
            total = await sweep(connections, layout)
        except StateError as error:
            # Told elsewhere if the database is lost; what is not swept now is swept next time.
            log.debug("could not sweep", extra={"acteon.error": str(error)})
        else:
            if total:
                log.debug("swept", extra={"acteon.count": total})
        await clock.sleep(interval * (0.9 + chance() / 5))
