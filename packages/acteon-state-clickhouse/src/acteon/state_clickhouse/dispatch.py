"""Beginning dispatches in two trips, one insert and one read, and settling them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from attrs import define, evolve

from acteon.state import (
    Began,
    Begin,
    Claimed,
    DispatchState,
    Ending,
    Quota,
    Settle,
    StateBackendError,
    StateError,
    read_claim,
)
from acteon.state_clickhouse.layout import LOCK, name_of
from acteon.state_clickhouse.leases import Want
from acteon.state_clickhouse.ledger import Claim, Ledger, Standing, Value
from acteon.state_clickhouse.session import Session
from acteon.state_clickhouse.store import asked, counted, key_name
from acteon.state_clickhouse.turns import Turn, next_value

_MILLISECOND = timedelta(milliseconds=1)

Standings = dict[str, Standing]


@define(eq=False)
class _Element:
    """One begin of a batch, and what has become of it.

    Attributes:
        began: The answer once it is refused, or has failed.
        quota_error: Why a quota could not be asked.
    """

    wanted: Begin
    lock: Want | None = None
    claim: Want | None = None
    began: Began | None = None
    quota_error: StateError | None = None

    @property
    def wants(self) -> list[Want]:
        return [want for want in (self.lock, self.claim) if want is not None]

    @property
    def counts(self) -> bool:
        return self.began is None and bool(self.wanted.quotas)

    def give_up(self) -> list[Claim]:
        """Give up all that was not held before, and return the rows that say so."""
        return [row for want in self.wants for row in want.give_up()]

    def judge(self, standings: Standings) -> None:
        """Refuse it if its lock is busy or its claim is not free."""
        values = _values(self.wanted, standings)
        if self.lock is not None and self.lock.refused:
            self.began = Began(busy=max(self.lock.busy, _MILLISECOND))
        elif self.claim is not None and self.claim.refused:
            self.began = _refusal(self.claim.standing, self.wanted.token, values)
        elif self.wanted.peek and self.wanted.claim is not None:
            standing = standings[key_name(self.wanted.claim)]
            if standing.current() is not None:
                began = _refusal(standing, self.wanted.token, values)
                self.began = None if began.claim is Claimed.OURS else began

    def count(self, standings: Standings, ledger: Ledger) -> None:
        """Count one in each quota, or refuse it; `standings` are what has been counted so far."""
        now = dict(standings)
        for place, quota in enumerate(self.wanted.quotas):
            name = key_name(quota.key)
            try:
                taken = asked(now[name], quota.limit, quota.window)
            except StateError as error:
                self.quota_error = error
                continue
            if not taken.admitted:
                self.began = Began(
                    refused=(place, taken.remaining),
                    quota_error=self.quota_error,
                    values=_values(self.wanted, standings),
                )
                return
            now[name] = _one_more(now[name], quota, ledger)
        if not self.wanted.peek:
            standings |= now

    def answer(self, standings: Standings) -> Began:
        """Return how it went."""
        if self.began is not None:
            return self.began
        return Began(
            claim=Claimed.NONE if self.wanted.claim is None else Claimed.OURS,
            quota_error=self.quota_error,
            values=_values(self.wanted, standings),
        )


@define(eq=False)
class ClickHouseDispatch(DispatchState):
    """Dispatches on one pair of tables.

    A begin without quotas is an insert and a read; one that is refused takes one insert more,
    and one that counts as well. A settle is a read, and an insert for each of the tables that
    it concerns. All elements of a batch share these.

    Attributes:
        session: Where the tables are.
    """

    max_batch: ClassVar[int] = 64

    session: Session

    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        return await self.session.run(self._begin(batch))

    async def settle(self, batch: Sequence[Settle]) -> list[bool]:
        return await self.session.run(self._settle(batch))

    async def _begin(self, batch: Sequence[Begin]) -> list[Began]:
        firm = [wanted for wanted in batch if not wanted.peek]
        quotas = {key_name(quota.key) for wanted in firm for quota in wanted.quotas}
        async with self.session.queues.alone(
            quotas.union(*({_lock(one), _claim(one)} - {""} for one in firm))
        ):
            elements = [self._element(wanted) for wanted in batch]
            turn = self.session.turns.claims(quotas)
            try:
                return await self._steps(elements, turn)
            except StateError:
                fresh = [
                    want.claim for element in elements for want in element.wants if not want.renewal
                ]
                self.session.ledger.owe([*fresh, *turn.values()])
                raise

    async def _steps(self, elements: list[_Element], turn: dict[str, Claim]) -> list[Began]:
        leases = self.session.leases
        standings = await leases.obtain(
            [want for element in elements for want in element.wants],
            lambda lost: _give_up(elements, lost),
            others=turn.values(),
            names={name for element in elements for name in _seen(element.wanted)},
        )
        for element in elements:
            element.judge(standings)
        withdrawn: list[Claim] = []
        if turn:
            withdrawn += await self._count(elements, Turn(turn, standings))
        for element in elements:
            if element.wanted.peek and element.counts:
                element.count(standings, self.session.ledger)
            elif element.began is not None:
                withdrawn += [row for want in element.wants if want.held for row in want.give_up()]
        kept = [want for element in elements if element.began is None for want in element.wants]
        late = await leases.keep(kept, withdrawn)
        for element in elements:
            if any(want in late for want in element.wants):
                element.began = Began(
                    error=StateBackendError("clickhouse: a lease ended while it was renewed")
                )
        return [element.answer(standings) for element in elements]

    def _element(self, wanted: Begin) -> _Element:
        if wanted.peek:
            return _Element(wanted)
        lock, claim = (
            self.session.leases.want(name, wanted.token, wanted.lease) if name else None
            for name in (_lock(wanted), _claim(wanted))
        )
        return _Element(wanted, lock, claim)

    async def _count(self, elements: list[_Element], turn: Turn) -> list[Claim]:
        """Count the quotas of those that are in so far, and return what is to be withdrawn."""
        ledger, turns = self.session.ledger, self.session.turns
        counting = [one for one in elements if one.counts and not one.wanted.peek]
        if not counting:
            return [claim.over() for claim in turn.claims.values()]
        now = dict(turn.standings)
        if not turn.alone:
            await turns.withdraw(turn.claims.values())
            turn = await turns.wait(turn.claims)
            now |= turn.standings
        for element in counting:
            element.count(now, ledger)
        values: list[Value] = []
        withdrawn: list[Claim] = []
        for name, claim in turn.claims.items():
            before, value = turn.standings[name], now[name].value
            if value is None or value is before.value:
                withdrawn.append(claim.over())
            else:
                values.append(next_value(ledger, before, claim, value.text, value.expires_at))
        await ledger.write(values)
        return withdrawn

    async def _settle(self, batch: Sequence[Settle]) -> list[bool]:
        ledger = self.session.ledger
        names = {name for one in batch for name in (_lock(one), _claim(one)) if name}
        async with self.session.queues.alone(names):
            standings = await ledger.read(names)
            values: list[Value] = []
            over: list[Claim] = []
            settled: list[bool] = []
            for one in batch:
                held = {
                    name: standings[name].lease_of(one.token)
                    for name in (_lock(one), _claim(one))
                    if name
                }
                settled.append(None not in held.values())
                for name, claim in held.items():
                    self.session.leases.forget(name, one.token)
                    if claim is None:
                        continue
                    if name == _lock(one) or one.ending is Ending.RELEASE:
                        over.append(claim.over())
                    else:
                        expires_at = ledger.after(one.ttl)
                        standing = standings[name]
                        values.append(next_value(ledger, standing, claim, one.text, expires_at))
            # The values first: who finds the lock free must find how it ended.
            await ledger.write(values)
            await ledger.claim(over)
            return settled


def _lock(wanted: Begin | Settle) -> str:
    return "" if wanted.lock is None else LOCK + name_of(wanted.lock)


def _claim(wanted: Begin | Settle) -> str:
    return "" if wanted.claim is None else key_name(wanted.claim)


def _seen(wanted: Begin) -> set[str]:
    """Return the names whose standing matters, besides what is wanted."""
    names = {key_name(key) for key in wanted.reads}
    names |= {key_name(quota.key) for quota in wanted.quotas}
    return names if wanted.claim is None else names | {_claim(wanted)}


def _values(wanted: Begin, standings: Standings) -> tuple[str | None, ...]:
    found = [standings[key_name(key)].current() for key in wanted.reads]
    return tuple([None if value is None else value.text for value in found])


def _give_up(elements: list[_Element], lost: Sequence[Want]) -> list[Claim]:
    return [
        row
        for element in elements
        if any(want in lost for want in element.wants)
        for row in element.give_up()
    ]


def _refusal(standing: Standing | None, token: str, values: tuple[str | None, ...]) -> Began:
    """Return the answer to who wants a claim that is not free."""
    current = None if standing is None else _first_other(standing, token)
    if standing is None or current is None:
        return Began(claim=Claimed.PENDING, values=values)
    try:
        claim, detail = read_claim(current.text, token)
    except StateError as error:
        return Began(error=error)
    if claim is Claimed.PENDING:
        detail = str(max(1, round(current.expires_at - standing.seen.latest)))
    return Began(claim=claim, detail=detail, values=values)


def _first_other(standing: Standing, token: str) -> Value | None:
    claims = tuple(one for one in standing.claims if one.owner != token)
    return evolve(standing, claims=claims).current()


def _one_more(standing: Standing, quota: Quota, ledger: Ledger) -> Standing:
    text, expires_at = counted(ledger, standing, quota.window)
    name = key_name(quota.key)
    return evolve(standing, value=Value(name, text, standing.version, expires_at))
