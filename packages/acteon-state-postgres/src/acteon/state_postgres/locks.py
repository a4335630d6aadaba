"""The locks: rows that name their holder and when the lease ends."""

from datetime import timedelta
from typing import Final

from attrs import define, field

from acteon.state import Locks
from acteon.state_postgres.connections import Connections
from acteon.state_postgres.layout import Layout
from acteon.state_postgres.texts import microseconds, name_of

# The other holder's row is read as it was before the statement; see `PostgresStateStore.take`.
_ACQUIRE: Final = """
    WITH taken AS (
        INSERT INTO {locks} AS t (name, owner, expires_at)
        VALUES (
            %(name)s::text, %(token)s, now() + %(ttl)s::bigint * interval '1 microsecond'
        )
        ON CONFLICT (name) DO UPDATE
        SET owner = EXCLUDED.owner, expires_at = EXCLUDED.expires_at
        WHERE t.expires_at <= now() OR t.owner = EXCLUDED.owner
        RETURNING true
    )
    SELECT NULL::bigint FROM taken
    UNION ALL
    SELECT
        (extract(epoch FROM least(expires_at, now() + interval '1000 years') - now())
            * 1000000)::bigint
    FROM {locks}
    WHERE name = %(name)s::text AND expires_at > now() AND NOT EXISTS (SELECT FROM taken)
"""
_EXTEND: Final = """
    UPDATE {locks} SET expires_at = now() + %s::bigint * interval '1 microsecond'
    WHERE name = %s AND owner = %s AND expires_at > now()
    RETURNING true
"""
# Nobody waits for the disk: a release that a crash takes back costs a lease's time, no more.
_RELEASE: Final = """
    DELETE FROM {locks} WHERE name = %s AND owner = %s AND expires_at > now()
    RETURNING set_config('synchronous_commit', 'off', true)
"""


@define(eq=False)
class PostgresLocks(Locks):
    """The locks in the table `<prefix>locks`.

    Attributes:
        connections: Where statements run; they stay their owner's.
        layout: The names of the tables.
    """

    connections: Connections
    layout: Layout
    _acquire: bytes = field(init=False, repr=False)
    _extend: bytes = field(init=False, repr=False)
    _release: bytes = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._acquire = self.layout.statement(_ACQUIRE)
        self._extend = self.layout.statement(_EXTEND)
        self._release = self.layout.statement(_RELEASE)

    async def try_acquire(self, name: str, token: str, ttl: timedelta) -> timedelta | None:
        parameters = {"name": name_of(name), "token": token, "ttl": microseconds(ttl)}
        rows = await self.connections.run_until_found(self._acquire, parameters)
        left = rows[0][0]
        return None if left is None else timedelta(microseconds=left)

    async def extend(self, name: str, token: str, ttl: timedelta) -> bool:
        parameters = (microseconds(ttl), name_of(name), token)
        return bool(await self.connections.run(self._extend, parameters))

    async def release(self, name: str, token: str) -> bool:
        return bool(await self.connections.run(self._release, (name_of(name), token)))
