"""Claims and values as rows: what is written, and how what is read is understood.

Nothing is ever changed: of the rows of one claim the last one counts, and of the values of one
key the latest version. Two rules tie the two tables together:

- A claim is void once its key has a version that is later than the claim's ticket. Whoever
  writes a value ends all claims on the key by that, its own included, in one insert.
- A value is written only by who has the key's turn, or its lease.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta

from attrs import Factory, astuple, define, evolve, field, frozen

from acteon.state import PENDING, StateSerializationError
from acteon.state_clickhouse.calls import Engine
from acteon.state_clickhouse.clock import ServerClock, Span
from acteon.state_clickhouse.layout import FOR_EVER, KEY, LEASE, OVER, Layout, is_time, is_value

_CLAIM_COLUMNS = "name, owner, kind, ticket, seq, expires_at, kept_until"
_VALUE_COLUMNS = "key, value, version, expires_at"
_MOST_OWED = 10_000
_MILLISECOND = timedelta(milliseconds=1)
_AHEAD = 24 * 3_600_000_000
"""By how many microseconds stamps of others may be ahead of the clock: somebody may have set it."""


@frozen
class Claim:
    """Somebody's wish to be alone on a name.

    Attributes:
        name: What is claimed; see `KEY` and `LOCK`.
        owner: Who claims it: the token of a lease, or the mark of a turn.
        kind: `LEASE`, `TURN`, or `OVER`.
        ticket: When it was first made, in microseconds of the server's clock; of several
            claims the one with the lowest comes first.
        seq: Which of the rows of one owner and name it is; the highest counts.
        expires_at: When it ends by itself, in milliseconds of the server's clock.
        kept_until: The latest `expires_at` of its rows: none of them is removed before. Without
            that the one that ends it, or cuts it short, could go before those that it is about.
    """

    name: str
    owner: str
    kind: int
    ticket: int
    seq: int
    expires_at: int
    kept_until: int = field(default=Factory(lambda self: self.expires_at, takes_self=True))

    @property
    def length(self) -> int:
        """For how many milliseconds it lasts, counted from its last renewal."""
        return self.expires_at - self.seq // 1000

    @property
    def rank(self) -> tuple[int, str]:
        """What decides which of several comes first."""
        return self.ticket, self.owner

    def over(self) -> "Claim":
        """Return the row that ends it."""
        return evolve(self, kind=OVER, seq=self.seq + 1)


@frozen
class Value:
    """A version of an entry; the text of one that was deleted is empty, and it has expired."""

    name: str
    text: str
    version: int
    expires_at: int


@frozen
class Standing:
    """How things stand with one name.

    Attributes:
        claims: The claims that are neither over nor void, and may not have expired.
        value: The latest version of the entry, whether or not it has expired.
        seen: When it was read, by the server's clock.
    """

    claims: tuple[Claim, ...]
    value: Value | None
    seen: Span

    @property
    def version(self) -> int:
        """The latest version; 0 before the first one."""
        return 0 if self.value is None else self.value.version

    @property
    def live(self) -> Value | None:
        """The value, unless it has expired."""
        if self.value is None or self.value.expires_at <= self.seen.middle:
            return None
        return self.value

    def claim_of(self, owner: str) -> Claim | None:
        """Return the claim of `owner`."""
        return next((claim for claim in self.claims if claim.owner == owner), None)

    def lease_of(self, token: str) -> Claim | None:
        """Return the lease of `token` if it certainly holds."""
        claim = self.claim_of(token)
        if claim is None or claim.kind != LEASE or self.live is not None:
            return None
        return claim if claim.expires_at > self.seen.latest else None

    def others(self, owner: str, kind: int) -> list[Claim]:
        """Return the claims of that kind that are not `owner`'s."""
        return [one for one in self.claims if one.kind == kind and one.owner != owner]

    def current(self) -> Value | None:
        """Return what the entry holds: its value, or the claim of whoever has the lease."""
        if (live := self.live) is not None:
            return live
        leases = [claim for claim in self.claims if claim.kind == LEASE]
        if not leases:
            return None
        first = min(leases, key=lambda claim: claim.rank)
        return Value(first.name, PENDING + first.owner, self.version, first.expires_at)


@define(eq=False)
class Ledger:
    """Reads and writes the rows of one pair of tables.

    Attributes:
        engine: What carries out the statements.
        layout: The statements.
        clock: The server's clock.
        patience: How long a statement may take, with all that it waits for.
    """

    engine: Engine
    layout: Layout
    clock: ServerClock
    patience: timedelta
    monotonic: Callable[[], float] = time.monotonic
    _stamp: int = field(default=0, init=False)
    _owed: dict[tuple[str, str], Claim] = field(
        factory=dict[tuple[str, str], Claim], init=False, repr=False
    )
    """Claims that are to be ended with the next insert: whether they were made is unknown."""

    def now(self) -> Span:
        """Return the server's time."""
        return self.clock.read(self.monotonic())

    def after(self, time: timedelta | None) -> int:
        """Return when `time` will be over; `None` never is."""
        if time is None:
            return FOR_EVER
        return min(self.now().middle + max(0, -(-time // _MILLISECOND)), FOR_EVER)

    def stamp(self, above: int = 0) -> int:
        """Return a number for a ticket, a seq or a version, higher than all before here.

        It is higher than `above` too, unless that is far ahead of the clock: others would have to
        be as far ahead then.
        """
        now = self.now().middle * 1000
        if above > now + _AHEAD:
            above = 0
        # By two: between a claim's seq and the next stamp there is that of its end.
        self._stamp = max(self._stamp, above, now) + 2
        return self._stamp

    def check(self, standing: Standing) -> None:
        """Raise if the entry cannot be written any more.

        Raises:
            StateSerializationError: Somebody has written a version that no other can follow.
        """
        if standing.value is not None and standing.version > self.now().middle * 1000 + _AHEAD:
            raise StateSerializationError(
                f"expected versions in microseconds since 1970, found {standing.version} at"
                f" {standing.value.name.removeprefix(KEY)!r}; delete that row"
            )

    async def read(self, names: Collection[str]) -> dict[str, Standing]:
        """Return how things stand with `names`."""
        before = self.now()
        answer = await self.engine.ask(self.layout.read(names, int(before.earliest) - 1))
        claims: dict[str, list[Claim]] = {name: [] for name in names}
        values: dict[str, Value] = {}
        for name, owner, kind, ticket, seq, expires_at, kept_until, text in answer.rows:
            if is_time(kind):
                self.clock.observe(expires_at, answer.sent, answer.received)
            elif is_value(kind):
                values[name] = Value(name, _text(text), ticket, expires_at)
            else:
                claims[name].append(Claim(name, owner, kind, ticket, seq, expires_at, kept_until))
        now = self.now()
        return {name: _standing(claims[name], values.get(name), now) for name in names}

    async def learn_time(self) -> None:
        """Ask the server for its time alone."""
        answer = await self.engine.ask(self.layout.time())
        self.clock.observe(answer.rows[0][0], answer.sent, answer.received)

    async def claim(self, claims: Iterable[Claim]) -> None:
        """Insert `claims` all at once, and what is owed."""
        wanted = {(one.name, one.owner): one for one in claims}
        owed = {place: one for place, one in self._owed.items() if place not in wanted}
        rows = [*wanted.values(), *owed.values()]
        if not rows:
            return
        await self.engine.insert(
            self.layout.claims,
            _CLAIM_COLUMNS,
            [astuple(one) for one in rows],
        )
        for place in [*wanted, *owed]:
            self._owed.pop(place, None)

    def owe(self, claims: Sequence[Claim]) -> None:
        """Note that `claims` are to be ended with the next insert; their expiry ends them too."""
        now = self.now().latest
        self._owed = {place: one for place, one in self._owed.items() if one.expires_at > now}
        for one in claims:
            if len(self._owed) < _MOST_OWED:
                self._owed[one.name, one.owner] = one.over()

    async def write(self, values: Sequence[Value]) -> None:
        """Insert `values` all at once."""
        if values:
            await self.engine.insert(
                self.layout.state,
                _VALUE_COLUMNS,
                [
                    (one.name.removeprefix(KEY), one.text, one.version, one.expires_at)
                    for one in values
                ],
            )


def _text(value: str | bytes) -> str:
    # The driver gives octets where they are no UTF-8; somebody else has written them.
    return value if isinstance(value, str) else value.decode(errors="replace")


def _standing(claims: list[Claim], value: Value | None, now: Span) -> Standing:
    version = 0 if value is None else value.version
    valid = [one for one in claims if one.ticket > version and one.expires_at > now.earliest]
    return Standing(tuple(valid), value, now)
