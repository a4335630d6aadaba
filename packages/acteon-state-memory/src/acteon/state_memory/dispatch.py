"""Beginning and settling dispatches without leaving the process, or even the turn of the loop."""

from datetime import timedelta
from math import inf

from attrs import define

from acteon.state import (
    DONE,
    PENDING,
    UNKNOWN,
    Began,
    Begin,
    Claimed,
    Ending,
    LocalDispatchState,
    Quota,
    Settle,
    StateError,
    StateKey,
    read_claim,
)
from acteon.state_memory.store import asked, count
from acteon.state_memory.table import Entry, Table

_HELD = Began()
_CLAIMED = Began(claim=Claimed.OURS)
_DUPLICATE = Began(claim=Claimed.DONE)


@define(eq=False)
class MemoryDispatch(LocalDispatchState):
    """Dispatches on `table`."""

    table: Table

    def begin_now(self, wanted: Begin) -> Began:
        # Everything is looked at before anything is changed, so there is nothing to take back.
        table = self.table
        entries = table.entries
        now = table.clock.monotonic()
        token, lock, claim = wanted.token, wanted.lock, wanted.claim
        if lock is not None and not wanted.peek:
            held = entries.get(lock)
            if held is not None and held[0] != token and held[1] > now:
                return Began(busy=timedelta(seconds=held[1] - now))
        values = self._read(wanted.reads) if wanted.reads else ()
        mine = PENDING + token
        if claim is not None:
            found = entries.get(claim)
            if found is not None and found[0] != mine and found[1] > now:
                return _standing(found, token, now, values)
        refused, quota_error = None, None
        if wanted.quotas:
            refused, quota_error, counted = self._room(wanted)
            if refused is not None:
                return Began(refused=refused, quota_error=quota_error, values=values)
            if not wanted.peek:
                for quota, total in counted:
                    count(table, quota.key, table.live(quota.key), quota.window, total)
        if not wanted.peek:
            expires = now + wanted.lease.total_seconds()
            if lock is not None:
                table.lease(lock, token, expires)
            if claim is not None:
                table.lease(claim, mine, expires)
        if values or quota_error is not None:
            standing = Claimed.NONE if claim is None else Claimed.OURS
            return Began(claim=standing, quota_error=quota_error, values=values)
        return _HELD if claim is None else _CLAIMED

    def _read(self, keys: tuple[StateKey, ...]) -> tuple[str | None, ...]:
        found = [self.table.live(key) for key in keys]
        return tuple([None if entry is None else entry[0] for entry in found])

    def _room(
        self, wanted: Begin
    ) -> tuple[tuple[int, timedelta] | None, StateError | None, list[tuple[Quota, int]]]:
        """Return which quota has no room, why one could not be asked, and the counts of others."""
        error: StateError | None = None
        counted: list[tuple[Quota, int]] = []
        for place, quota in enumerate(wanted.quotas):
            try:
                taken = asked(self.table, self.table.live(quota.key), quota.limit, quota.window)
            except StateError as failure:
                error = failure
                continue
            if not taken.admitted:
                return (place, taken.remaining), error, counted
            counted.append((quota, taken.count))
        return None, error, counted

    def settle_now(self, settle: Settle) -> bool:
        table = self.table
        entries = table.entries
        now = table.clock.monotonic()
        token, lock, claim = settle.token, settle.lock, settle.claim
        settled = True
        if claim is not None:
            found = entries.get(claim)
            if found is None or found[1] <= now or found[0] != PENDING + token:
                settled = False
            elif settle.ending is Ending.RELEASE:
                table.drop(claim)
            else:
                text = DONE if settle.ending is Ending.DONE else UNKNOWN + settle.instant
                ttl = settle.ttl
                table.put_until(claim, text, inf if ttl is None else now + ttl.total_seconds())
        if lock is not None:
            found = entries.get(lock)
            if found is None or found[1] <= now or found[0] != token:
                settled = False
            else:
                table.drop(lock)
        return settled


def _standing(found: Entry, token: str, now: float, values: tuple[str | None, ...]) -> Began:
    """Return the answer to who wants the claim that another one has, or had."""
    text, expires = found
    try:
        claim, detail = read_claim(text, token)
    except StateError as error:
        return Began(error=error)
    if claim is Claimed.DONE and not values:
        return _DUPLICATE
    if claim is Claimed.PENDING:
        detail = str(int((expires - now) * 1000) + 1)
    return Began(claim=claim, detail=detail, values=values)
