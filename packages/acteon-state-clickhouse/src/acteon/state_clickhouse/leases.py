"""Leases: claims that last, of locks and of keys.

They are had by the rule of turns (`turns`), with one difference: who meets a lease of somebody
else does not wait for it. Whoever sees an earlier one withdraws and says so. Whoever is the
first reads again for a moment, as the others may be about to withdraw, and withdraws too if one
of them stays, for that one has been told that it has the lease.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Final

from attrs import define, evolve, field

from acteon.core import Clock
from acteon.state import StateError
from acteon.state_clickhouse.layout import LEASE, TURN
from acteon.state_clickhouse.ledger import Claim, Ledger, Standing
from acteon.state_clickhouse.turns import Turns

PATIENCE: Final = timedelta(seconds=1)
"""How long the first one waits for the others to withdraw."""
_MOST_HELD: Final = 50_000
_MILLISECOND = timedelta(milliseconds=1)


@define(eq=False)
class Want:
    """A lease that somebody wants.

    Attributes:
        name: What is to be leased.
        token: Who wants it.
        lease: For how long.
        claim: The claim; of a renewal, what is held.
        renewal: Whether it is held already.
        held: Whether it is held now; None until that is known.
        refused: Whether it is not held because of how things stood with its name.
        standing: How things stood when that became known.
    """

    name: str
    token: str
    lease: timedelta
    claim: Claim
    renewal: bool
    held: bool | None = None
    refused: bool = False
    standing: Standing | None = None

    def judge(self, standing: Standing, *, patient: bool) -> None:
        """Note whether it is held as things stand, if that can be told."""
        self.standing = standing
        mine = standing.claim_of(self.token)
        if standing.live is not None:
            self.held = False
        elif mine is None:
            # It was void from the start: it is to be claimed with a higher ticket. Or it was over
            # before anything could be known.
            self.held = None if patient else False
        elif any(other.rank < mine.rank for other in standing.others(self.token, LEASE)):
            self.held = False
        elif standing.others(self.token, LEASE) or standing.others(self.token, TURN):
            self.held = None if patient else False
        else:
            self.held = True
        self.refused = self.held is False

    @property
    def busy(self) -> timedelta:
        """How long the lease lasts that is in the way; nothing if none is any more."""
        if self.standing is None:
            return timedelta(0)
        others = self.standing.others(self.token, LEASE)
        if not others:
            return timedelta(0)
        first = min(others, key=lambda other: other.rank)
        return max(0, round(first.expires_at - self.standing.seen.latest)) * _MILLISECOND

    def give_up(self) -> list[Claim]:
        """Note that it is not held, and return the row that says so, if it was claimed."""
        self.held = False
        return [] if self.renewal else [self.claim.over()]


Withdraw = Callable[[Sequence[Want]], list[Claim]]
"""Gives up those that have just been lost and all that goes with them, and returns their rows."""


def alone(lost: Sequence[Want]) -> list[Claim]:
    """Give up nothing but those that have been lost."""
    return [row for want in lost for row in want.give_up()]


@define(eq=False)
class Leases:
    """Gives leases, and knows those that were given here.

    Attributes:
        ledger: Where the claims are.
        turns: How turns are given.
        clock: Measures the pauses.
    """

    ledger: Ledger
    turns: Turns
    clock: Clock
    _held: dict[str, Claim] = field(factory=dict[str, Claim], init=False, repr=False)

    def want(self, name: str, token: str, lease: timedelta) -> Want:
        """Return the wish of `token` to lease `name`, or to renew its lease."""
        known = self._held.get(name)
        if known is not None and known.owner == token:
            if known.expires_at > self.ledger.now().latest:
                return Want(name, token, lease, known, renewal=True)
            del self._held[name]
        return Want(name, token, lease, self._claim(name, token, lease), renewal=False)

    def renewal(self, held: Claim, lease: timedelta) -> Want:
        """Return the wish to renew what is known to be held."""
        return Want(held.name, held.owner, lease, held, renewal=True, held=True)

    async def obtain(
        self,
        wants: Sequence[Want],
        withdraw: Withdraw,
        *,
        others: Collection[Claim] = (),
        names: Collection[str] = (),
    ) -> dict[str, Standing]:
        """Find out which of `wants` are held, and return how things stand with all names.

        Args:
            wants: What is wanted; a renewal that is held has not been written yet.
            withdraw: Called with those that are lost.
            others: Claims that are made along with them.
            names: What else is read.
        """
        names = {want.name for want in wants} | set(names)
        fresh = [want for want in wants if not want.renewal]
        try:
            await self.ledger.claim([*(want.claim for want in fresh), *others])
            standings = await self.ledger.read(names)
            lapsed = [
                want
                for want in wants
                if want.renewal and not self._still_holds(want, standings[want.name])
            ]
            if lapsed:
                fresh += lapsed
                await self.ledger.claim([want.claim for want in lapsed])
                standings |= await self.ledger.read([want.name for want in lapsed])
            return await self._decide(fresh, standings, withdraw)
        except (StateError, asyncio.CancelledError):
            self.ledger.owe([*(want.claim for want in fresh), *others])
            raise

    def _still_holds(self, want: Want, standing: Standing) -> bool:
        mine = standing.lease_of(want.token)
        if mine is None:
            self._held.pop(want.name, None)
            want.claim = self._claim(want.name, want.token, want.lease, standing.version)
            want.renewal = False
            return False
        want.claim, want.standing, want.held = mine, standing, True
        return True

    async def _decide(
        self, wants: Sequence[Want], standings: dict[str, Standing], withdraw: Withdraw
    ) -> dict[str, Standing]:
        deadline = self.clock.monotonic() + PATIENCE.total_seconds()
        open_wants = [want for want in wants if want.held is None]
        attempt = 0
        while open_wants:
            patient = self.clock.monotonic() < deadline
            again: list[Claim] = []
            for want in open_wants:
                if want.held is not None:
                    continue  # it went with another one
                want.judge(standings[want.name], patient=patient)
                if want.held is None and standings[want.name].claim_of(want.token) is None:
                    above = standings[want.name].version
                    want.claim = self._claim(want.name, want.token, want.lease, above)
                    again.append(want.claim)
            lost = [want for want in open_wants if want.held is False]
            if rows := [*again, *withdraw(lost)]:
                await self.ledger.claim(rows)
            open_wants = [want for want in open_wants if want.held is None]
            if open_wants:
                await self.turns.pause(attempt)
                attempt += 1
                standings |= await self.ledger.read([want.name for want in open_wants])
        return standings

    async def keep(self, wants: Sequence[Want], withdrawn: Sequence[Claim] = ()) -> list[Want]:
        """Renew those of `wants` that are renewals, end `withdrawn`, and note all as held.

        Returns:
            Those that may have ended before they were renewed: they are not held.
        """
        rows = [self._renewed(want) for want in wants if want.renewal]
        await self.ledger.claim([*rows, *withdrawn])
        now = self.ledger.now()
        late = [want for want in wants if want.renewal and want.claim.expires_at <= now.latest]
        renewed = {row.name: row for row in rows}
        for want in wants:
            if want in late:
                self.forget(want.name, want.token)
            else:
                self._held[want.name] = renewed.get(want.name, want.claim)
        if len(self._held) > _MOST_HELD:
            live = {name: one for name, one in self._held.items() if one.expires_at > now.earliest}
            self._held = live
        return late

    def forget(self, name: str, token: str) -> None:
        """Note that `token` does not hold `name` any more."""
        known = self._held.get(name)
        if known is not None and known.owner == token:
            del self._held[name]

    def _renewed(self, want: Want) -> Claim:
        expires_at = self.ledger.after(want.lease)
        return evolve(
            want.claim,
            seq=self.ledger.stamp(want.claim.seq),
            expires_at=expires_at,
            kept_until=max(expires_at, want.claim.kept_until),
        )

    def _claim(self, name: str, token: str, lease: timedelta, above: int = 0) -> Claim:
        ticket = self.ledger.stamp(above)
        return Claim(name, token, LEASE, ticket, ticket, self.ledger.after(lease))
