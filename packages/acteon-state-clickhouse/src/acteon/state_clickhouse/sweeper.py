"""The removal of what has expired, and the care for the clock."""

import logging
from datetime import timedelta
from random import uniform
from typing import Final

from acteon.state import StateError
from acteon.state_clickhouse.layout import HOUR
from acteon.state_clickhouse.session import Session

log = logging.getLogger(__name__)

GRACE: Final = HOUR
"""Milliseconds for which entries stay that have expired: no statement is under way that long."""
EVERY_SECONDS: Final = 10.0
"""Between two looks at the clock."""


async def sweep(session: Session) -> int:
    """Drop the claims that are all over, have dead entries deleted; say how many there were."""
    ledger, layout = session.ledger, session.layout
    await ledger.claim([])  # what is owed
    now = int(ledger.now().earliest)
    for (partition,) in (await session.engine.ask(layout.partitions())).rows:
        # One more hour than needed: a statement that knows of them may be under way.
        if (int(partition) + 2) * HOUR <= now:
            await session.engine.ask(layout.drop(int(partition)))
    ((deleting,),) = (await session.engine.ask(layout.deleting())).rows
    if deleting:
        return 0
    ((dead,),) = (await session.engine.ask(layout.dead(now - GRACE))).rows
    if dead:
        await session.engine.ask(layout.delete(now - GRACE))
    return int(dead)


async def sweep_now_and_then(session: Session, interval: timedelta) -> None:
    """Sweep once in each `interval`, give or take a half, for ever."""
    while True:
        await session.clock.sleep(interval * uniform(0.5, 1.5))
        try:
            dead = await sweep(session)
        except StateError as error:
            # Told elsewhere if the server is away; what is not swept now is swept next time.
            log.debug("could not sweep", extra={"acteon.error": str(error)})
        else:
            if dead:
                log.debug("swept", extra={"acteon.count": dead})


async def keep_time(session: Session) -> None:
    """Keep the server's clock known, for ever."""
    while True:
        await session.clock.sleep(timedelta(seconds=EVERY_SECONDS))
        try:
            await session.learn_time()
        except StateError as error:
            log.debug("could not ask for the time", extra={"acteon.error": str(error)})
