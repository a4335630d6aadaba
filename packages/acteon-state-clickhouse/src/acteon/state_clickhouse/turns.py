"""A key's turn: for the moment between reading an entry and writing its next version.

ClickHouse has no condition that an insert could depend on. So who wants a turn inserts a claim
and reads all claims after that: of two at once, at least the later reader sees the other one.
Whoever is alone has it. Of those that see each other the first by ticket stays and reads again;
the others withdraw, wait until nobody is left, and claim anew.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from random import uniform
from typing import Final
from uuid import uuid4

from attrs import define

from acteon.core import Clock
from acteon.state import StateBackendError, StateConnectionError, StateError
from acteon.state_clickhouse.layout import TURN
from acteon.state_clickhouse.ledger import Claim, Ledger, Standing, Value

PAUSES: Final = tuple(timedelta(milliseconds=pause) for pause in (2, 4, 8, 16, 32, 64))
"""Before claims are read again; the last one is repeated. Each is varied at random."""
PATIENCE: Final = timedelta(seconds=5)
"""How long a turn is waited for."""
LENGTH: Final = timedelta(seconds=15)
"""When a turn ends at the earliest whose owner has crashed; in the meantime it is waited for."""


_MILLISECOND = timedelta(milliseconds=1)


@define(eq=False)
class Turn:
    """A claim for being alone on some names.

    Attributes:
        claims: The claim on each name.
        standings: How things stood when it was last read.
    """

    claims: dict[str, Claim]
    standings: dict[str, Standing]

    @property
    def missing(self) -> bool:
        """Whether a claim was void from the start: its key has a later version."""
        return any(
            self.standings[name].claim_of(claim.owner) is None
            for name, claim in self.claims.items()
        )

    @property
    def alone(self) -> bool:
        """Whether nobody else claims any of the names."""
        return not self.missing and not any(
            self.standings[name].others(claim.owner, TURN) for name, claim in self.claims.items()
        )

    @property
    def first(self) -> bool:
        """Whether all others came later."""
        return all(
            claim.rank < other.rank
            for name, claim in self.claims.items()
            for other in self.standings[name].others(claim.owner, TURN)
        )


@define(eq=False)
class Turns:
    """Gives turns.

    Attributes:
        ledger: Where the claims are.
        clock: Measures the pauses.
    """

    ledger: Ledger
    clock: Clock

    def claims(self, names: Collection[str], above: int = 0) -> dict[str, Claim]:
        """Return new claims for a turn on `names`."""
        owner = uuid4().hex
        ticket = self.ledger.stamp(above)
        expires_at = self.ledger.after(max(LENGTH, 3 * self.ledger.patience))
        return {name: Claim(name, owner, TURN, ticket, ticket, expires_at) for name in names}

    async def withdraw(self, claims: Collection[Claim]) -> None:
        """End `claims`, which have written nothing."""
        await self.ledger.claim([claim.over() for claim in claims])

    @asynccontextmanager
    async def on(self, name: str) -> AsyncGenerator["Writing"]:
        """Give the turn on `name`, in which one value may be written."""
        turn = await self.wait([name])
        writing = Writing(self.ledger, turn.claims[name], turn.standings[name])
        unknown = False
        try:
            yield writing
        except (StateConnectionError, StateBackendError):
            unknown = True
            raise
        finally:
            if unknown:
                self.ledger.owe([writing.claim])
            elif not writing.done:
                await self.withdraw([writing.claim])

    async def wait(self, names: Collection[str]) -> Turn:
        """Return a turn on all of `names`.

        Raises:
            StateBackendError: Others had it for too long.
            StateError: The trip failed.
        """
        deadline = self.clock.monotonic() + PATIENCE.total_seconds()
        above = 0
        while True:
            claims = self.claims(names, above)
            try:
                await self.ledger.claim(claims.values())
                turn = await self.decide(Turn(claims, await self.ledger.read(names)), deadline)
            except (StateError, asyncio.CancelledError):
                self.ledger.owe(list(claims.values()))
                raise
            if turn.alone:
                return turn
            for standing in turn.standings.values():
                self.ledger.check(standing)
            above = max(standing.version for standing in turn.standings.values())
            await self.withdraw(claims.values())
            await self._until_nobody(names, deadline)

    async def decide(self, turn: Turn, deadline: float) -> Turn:
        """Read again while `turn` is the first of several."""
        attempt = 0
        while not turn.alone and not turn.missing and turn.first and not self._late(deadline):
            await self.pause(attempt)
            attempt += 1
            turn = Turn(turn.claims, await self.ledger.read(turn.claims))
        return turn

    async def pause(self, attempt: int) -> None:
        """Wait a little longer with each attempt."""
        step = PAUSES[min(attempt, len(PAUSES) - 1)]
        await self.clock.sleep(step * uniform(0.5, 1.5))

    async def _until_nobody(self, names: Collection[str], deadline: float) -> None:
        attempt = 0
        while True:
            if self._late(deadline):
                raise StateBackendError(
                    f"clickhouse: an entry was kept busy for {PATIENCE.total_seconds():g} s"
                )
            standings = await self.ledger.read(names)
            if not any(standing.others("", TURN) for standing in standings.values()):
                return
            await self.pause(attempt)
            attempt += 1

    def _late(self, deadline: float) -> bool:
        return self.clock.monotonic() >= deadline


@define(eq=False)
class Writing:
    """One's turn on a key.

    Attributes:
        standing: How things stand; nobody else changes them.
        done: Whether a value has been written, which has ended the turn.
    """

    ledger: Ledger
    claim: Claim
    standing: Standing
    done: bool = False

    async def write(self, text: str | None, expires_at: int) -> None:
        """Write the next version; `None` deletes the entry."""
        value = next_value(self.ledger, self.standing, self.claim, text, expires_at)
        await self.ledger.write([value])
        self.done = True


def next_value(
    ledger: Ledger, standing: Standing, claim: Claim, text: str | None, expires_at: int
) -> Value:
    """Return the version that comes after all that the turn or lease `claim` has seen.

    Raises:
        StateBackendError: The claim ends too soon: before the statement that writes it may have
            come to its end, or before half of a lease is left that is as short as that.
    """
    margin = min(ledger.patience / _MILLISECOND, claim.length / 2)
    if ledger.now().latest + margin >= claim.expires_at:
        raise StateBackendError("clickhouse: the server took too long, and nothing was written")
    # Later than the claims too: they end with it.
    tickets = [one.ticket for one in standing.claims]
    version = ledger.stamp(max(standing.version, claim.ticket, *tickets))
    return Value(claim.name, text or "", version, 0 if text is None else expires_at)
