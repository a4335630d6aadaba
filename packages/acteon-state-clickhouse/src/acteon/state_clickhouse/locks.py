"""Locks: leases on their names."""

from datetime import timedelta

from attrs import define

from acteon.state import Locks
from acteon.state_clickhouse.layout import LOCK, name_of
from acteon.state_clickhouse.leases import alone
from acteon.state_clickhouse.session import Session


@define(eq=False)
class ClickHouseLocks(Locks):
    """Locks that hold while one server answers for all; see the package's README.

    Attributes:
        session: Where they are.
    """

    session: Session

    async def try_acquire(self, name: str, token: str, ttl: timedelta) -> timedelta | None:
        return await self.session.run(self._acquire(LOCK + name_of(name), token, ttl))

    async def extend(self, name: str, token: str, ttl: timedelta) -> bool:
        return await self.session.run(self._extend(LOCK + name_of(name), token, ttl))

    async def release(self, name: str, token: str) -> bool:
        return await self.session.run(self._release(LOCK + name_of(name), token))

    async def _acquire(self, name: str, token: str, ttl: timedelta) -> timedelta | None:
        leases = self.session.leases
        async with self.session.queues.alone([name]):
            want = leases.want(name, token, ttl)
            await leases.obtain([want], alone)
            if not want.held:
                return want.busy
            late = await leases.keep([want])
            return timedelta(0) if late else None

    async def _extend(self, name: str, token: str, ttl: timedelta) -> bool:
        leases = self.session.leases
        async with self.session.queues.alone([name]):
            standing = (await self.session.ledger.read([name]))[name]
            held = standing.lease_of(token)
            if held is None:
                leases.forget(name, token)
                return False
            return not await leases.keep([leases.renewal(held, ttl)])

    async def _release(self, name: str, token: str) -> bool:
        async with self.session.queues.alone([name]):
            self.session.leases.forget(name, token)
            standing = (await self.session.ledger.read([name]))[name]
            held = standing.lease_of(token)
            if held is None:
                return False
            await self.session.ledger.claim([held.over()])
            return True
