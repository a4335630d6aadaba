"""The removal of single expired rows."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from time import monotonic
from typing import Final

from acteon.audit_postgres.layout import Layout
from acteon.audit_postgres.partitions import TURN
from acteon.state_postgres import Connections

BATCH: Final = 5000
_REMOVE: Final = f"""
    WITH turn AS MATERIALIZED (
        SELECT
            pg_try_advisory_xact_lock({TURN}, hashtext('{{audit}}')) AS ours,
            set_config('synchronous_commit', 'off', true)
    ), expired AS MATERIALIZED (
        SELECT id, dispatched_at, expires_at FROM {{audit}}
        WHERE expires_at <= %(now)s AND expires_at >= %(last)s::timestamptz
            AND (SELECT ours FROM turn)
        ORDER BY expires_at LIMIT {BATCH}
    ), gone AS (
        DELETE FROM {{audit}} AS t
        WHERE t.id = ANY (ARRAY(SELECT id FROM expired))
            AND t.dispatched_at >= (SELECT min(dispatched_at) FROM expired)
            AND t.dispatched_at <= (SELECT max(dispatched_at) FROM expired)
            AND t.expires_at <= %(now)s
        RETURNING true
    )
    SELECT (SELECT count(*) FROM gone), (SELECT max(expires_at)::text FROM expired)
"""


async def remove_expired(
    connections: Connections, layout: Layout, now: datetime
) -> AsyncGenerator[int]:
    """Remove what expired until `now`, unless another process does; yield how much in each piece.

    After each piece the server has as long for others as that took.
    """
    statement = layout.statement(_REMOVE)
    gone, last = BATCH, "-infinity"
    while gone == BATCH:
        begun = monotonic()
        # From where the piece before ended: what was removed stays in the index until the next
        # vacuum, and looking through all of that for each piece would take ever longer.
        ((gone, reached),) = await connections.run(statement, {"now": now, "last": last})
        last = reached or last
        yield gone
        if gone == BATCH:
            await asyncio.sleep(monotonic() - begun)
