"""The store: each operation one statement, atomic by itself.

Times are the server's: `now()` is when it began the statement, and the same throughout it.
"""

from datetime import timedelta
from typing import Final

from attrs import define, field

from acteon.state import StateKey, StateSerializationError, StateStore, Taken
from acteon.state_postgres.connections import Connections
from acteon.state_postgres.layout import Layout
from acteon.state_postgres.texts import MOST, microseconds, name_of, number

_GET: Final = """
    SELECT value FROM {state} WHERE key = %s AND (expires_at IS NULL OR expires_at > now())
"""
_SET: Final = """
    INSERT INTO {state} AS t (key, value, expires_at)
    VALUES (%s, %s, now() + %s::bigint * interval '1 microsecond')
    ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at
"""
_CHECK_AND_SET: Final = f"{_SET} WHERE t.expires_at <= now() RETURNING true"
_DELETE: Final = """
    DELETE FROM {state}
    WHERE key = %s AND (expires_at IS NULL OR expires_at > now())
    RETURNING true
"""
_DELETE_VALUE: Final = """
    DELETE FROM {state}
    WHERE key = %s AND value = %s AND (expires_at IS NULL OR expires_at > now())
    RETURNING true
"""
_SWAP: Final = """
    UPDATE {state}
    SET value = %s, expires_at = now() + %s::bigint * interval '1 microsecond'
    WHERE key = %s AND value = %s AND (expires_at IS NULL OR expires_at > now())
    RETURNING true
"""
_INCREMENT: Final = """
    INSERT INTO {state} AS t (key, value, expires_at)
    VALUES (
        %(key)s,
        %(delta)s::bigint::text,
        now() + %(ttl)s::bigint * interval '1 microsecond'
    )
    ON CONFLICT (key) DO UPDATE SET
        value = CASE
            WHEN t.expires_at <= now() THEN EXCLUDED.value
            ELSE (t.value::bigint + %(delta)s::bigint)::text
        END,
        expires_at = CASE
            WHEN t.expires_at <= now() OR %(ttl)s::bigint IS NOT NULL THEN EXCLUDED.expires_at
            ELSE t.expires_at
        END
    RETURNING value::bigint
"""
# What is refused is read from the time before the statement. If others filled the window just
# then there is nothing to read, and the statement is made again.
_TAKE: Final = """
    WITH counted AS (
        INSERT INTO {state} AS t (key, value, expires_at)
        SELECT
            %(key)s::text,
            %(amount)s::bigint::text,
            now() + %(window)s::bigint * interval '1 microsecond'
        WHERE %(limit)s::bigint >= %(amount)s::bigint
        ON CONFLICT (key) DO UPDATE SET
            value = CASE
                WHEN t.expires_at <= now() THEN EXCLUDED.value
                ELSE (t.value::bigint + %(amount)s::bigint)::text
            END,
            expires_at = CASE
                WHEN t.expires_at <= now() THEN EXCLUDED.expires_at ELSE t.expires_at
            END
        WHERE CASE
            WHEN t.expires_at <= now() THEN true
            ELSE t.value::bigint <= %(limit)s::bigint - %(amount)s::bigint
        END
        RETURNING value::bigint AS count, expires_at
    ), found AS (
        SELECT true AS admitted, count, expires_at FROM counted
        UNION ALL
        SELECT false, value::bigint, expires_at FROM {state}
        WHERE key = %(key)s::text AND (expires_at IS NULL OR expires_at > now())
            AND NOT EXISTS (SELECT FROM counted)
    )
    SELECT
        admitted,
        CASE WHEN expires_at < now() + interval '1000 years' THEN
            (extract(epoch FROM expires_at - now()) * 1000000)::bigint
        END,
        count
    FROM found
"""


@define(eq=False)
class PostgresStateStore(StateStore):
    """The entries in the table `<prefix>state`.

    Attributes:
        connections: Where statements run; they stay their owner's.
        layout: The names of the tables.
    """

    connections: Connections
    layout: Layout
    _statements: dict[str, bytes] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._statements = {
            text: self.layout.statement(text)
            for text in (
                _GET, _SET, _CHECK_AND_SET, _DELETE, _DELETE_VALUE, _SWAP, _INCREMENT, _TAKE
            )
        }  # fmt: skip

    async def get(self, key: StateKey) -> str | None:
        rows = await self.connections.run(self._statements[_GET], (name_of(key.text),))
        return rows[0][0] if rows else None

    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        parameters = (name_of(key.text), value, microseconds(ttl))
        await self.connections.run(self._statements[_SET], parameters)

    async def check_and_set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> bool:
        parameters = (name_of(key.text), value, microseconds(ttl))
        return bool(await self.connections.run(self._statements[_CHECK_AND_SET], parameters))

    async def delete(self, key: StateKey) -> bool:
        return bool(await self.connections.run(self._statements[_DELETE], (name_of(key.text),)))

    async def increment(self, key: StateKey, delta: int = 1, *, ttl: timedelta | None) -> int:
        if number(delta) != delta:
            raise StateSerializationError(f"expected a sum of at most 64 bits, adding {delta}")
        parameters = {"key": name_of(key.text), "delta": delta, "ttl": microseconds(ttl)}
        rows = await self.connections.run(self._statements[_INCREMENT], parameters)
        total: int = rows[0][0]
        return total

    async def compare_and_swap(
        self, key: StateKey, expected: str | None, new: str | None, *, ttl: timedelta | None
    ) -> bool:
        name = name_of(key.text)
        if expected is None:
            if new is None:
                return await self.get(key) is None
            return await self.check_and_set(key, new, ttl=ttl)
        if new is None:
            return bool(
                await self.connections.run(self._statements[_DELETE_VALUE], (name, expected))
            )
        parameters = (new, microseconds(ttl), name, expected)
        return bool(await self.connections.run(self._statements[_SWAP], parameters))

    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        parameters = {
            "key": name_of(key.text),
            "limit": min(limit, MOST),
            "window": microseconds(window),
            "amount": number(amount),
        }
        if limit < amount:
            rows = await self.connections.run(self._statements[_TAKE], parameters)
            if not rows:
                return Taken(False, window, 0)
        else:
            rows = await self.connections.run_until_found(self._statements[_TAKE], parameters)
        admitted, left, count = rows[0]
        remaining = window if left is None else timedelta(microseconds=left)
        return Taken(admitted, remaining, count)
