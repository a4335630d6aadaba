"""The locks: leases in the table, each held by a token."""

from datetime import timedelta
from typing import Final

from attrs import frozen

from acteon.state import Locks
from acteon.state_dynamodb.items import Item, expiring, remaining, text
from acteon.state_dynamodb.table import Table
from acteon.state_dynamodb.writes import LIVE, Write, delete, lease, update

OWNER: Final = "owner"
OWNED: Final = f"{LIVE} AND #owner = :owner"
_DAY: Final = timedelta(days=1)


@frozen
class DynamoDBLocks(Locks):
    """The locks of `table`. Each operation is one conditional write."""

    table: Table

    async def try_acquire(self, name: str, token: str, ttl: timedelta) -> timedelta | None:
        now = self.table.now()
        address = self.table.layout.lock(name)
        written = await self.table.write(lease(address, OWNER, token, ttl, now))
        return None if written.done else busy(written.item, now)

    async def extend(self, name: str, token: str, ttl: timedelta) -> bool:
        now = self.table.now()
        expires = expiring(now, ttl)
        change = update(
            self.table.layout.lock(name),
            "SET expires_ms = :expires_ms, expires_at = :expires_at",
            OWNED,
            now,
            {":owner": text(token), **{f":{one}": expires[one] for one in expires}},
        )
        return (await self.table.write(change)).done

    async def release(self, name: str, token: str) -> bool:
        return (await self.table.write(released(self.table, name, token))).done


def released(table: Table, name: str, token: str) -> Write:
    """Return the write that gives the lock `name` back if `token` holds it."""
    return delete(table.layout.lock(name), OWNED, table.now(), {":owner": text(token)})


def busy(lock: Item, now: int) -> timedelta:
    """Return how long the lock's holder has it at the most."""
    left = remaining(lock, now)
    # None of ours lasts for ever; whoever waits asks again in time.
    return _DAY if left is None else left
