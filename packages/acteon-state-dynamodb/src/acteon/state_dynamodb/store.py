"""The store: entries of the table."""

from datetime import timedelta
from typing import Final

from attrs import frozen

from acteon.state import Quota, StateKey, StateSerializationError, StateStore, Taken
from acteon.state_dynamodb.counting import add, asked, count
from acteon.state_dynamodb.items import (
    LEAST,
    MOST,
    Item,
    count_of,
    expiring,
    is_text,
    number,
    text,
)
from acteon.state_dynamodb.table import Table
from acteon.state_dynamodb.texts import Texts, digest, is_long
from acteon.state_dynamodb.writes import FREE, LIVE, delete, put

ATTEMPTS: Final = 10
"""How often a large text is read that is replaced again and again meanwhile."""
MEETINGS: Final = 30
"""How often what others change meanwhile is tried again."""


@frozen
class DynamoDBStateStore(StateStore):
    """The entries of `table`. Each change is one conditional write, and atomic by that."""

    table: Table

    async def get(self, key: StateKey) -> str | None:
        return (await self.read((key,)))[0]

    async def read(self, keys: tuple[StateKey, ...]) -> tuple[str | None, ...]:
        """Return the values of `keys`, in their order."""
        if len(keys) == 1:
            item = await self.table.get(self.table.layout.entry(keys[0]))
            found = {} if item is None else {keys[0]: item}
        else:
            found = await self.table.get_many(keys)
        texts = {key: await self._text(key, item) for key, item in found.items()}
        return tuple([texts.get(key) for key in keys])

    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        await self._put(key, value, ttl, "")

    async def check_and_set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> bool:
        return await self._put(key, value, ttl, FREE)

    async def delete(self, key: StateKey) -> bool:
        return await self._delete(key, LIVE)

    async def increment(self, key: StateKey, delta: int = 1, *, ttl: timedelta | None) -> int:
        if not LEAST <= delta <= MOST:
            raise StateSerializationError("expected a number of at most 64 bits, found more")
        address = self.table.layout.entry(key)
        found: Item | None = None
        for _ in range(MEETINGS):
            write, total = add(address, delta, ttl, found, self.table.now())
            written = await self.table.write(write)
            if written.done:
                return count_of(written.item) if total is None else total
            found = written.item
        raise self.table.crowded(address)

    async def compare_and_swap(
        self, key: StateKey, expected: str | None, new: str | None, *, ttl: timedelta | None
    ) -> bool:
        if expected is None:
            if new is None:
                return await self.get(key) is None
            return await self._put(key, new, ttl, FREE)
        if not is_text(expected):
            return False
        condition, values = _is(expected)
        if new is None:
            return await self._delete(key, f"{LIVE} AND {condition}", values)
        return await self._put(key, new, ttl, f"{LIVE} AND {condition}", values)

    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        address, quota = self.table.layout.entry(key), Quota(key, limit, window)
        found: Item | None = None
        for _ in range(MEETINGS):
            now = self.table.now()
            write, total = count(address, quota, found, now, amount)
            written = await self.table.write(write)
            if written.done:
                left = asked(quota, written.item, now).remaining
                return Taken(True, left, count_of(written.item) if total is None else total)
            found = written.item
            taken = asked(quota, found, now, amount)
            if not taken.admitted:
                return taken
        raise self.table.crowded(address)

    async def _text(self, key: StateKey, item: Item | None) -> str | None:
        texts = Texts(self.table)
        for _ in range(ATTEMPTS):
            if item is None:
                return None
            value = await texts.read(item)
            if value is not None:
                return value
            item = await self.table.get(self.table.layout.entry(key))
        raise StateSerializationError("parts of a large text are missing")

    async def _put(
        self,
        key: StateKey,
        value: str,
        ttl: timedelta | None,
        condition: str,
        values: Item | None = None,
    ) -> bool:
        texts, now = Texts(self.table), self.table.now()
        attributes = await texts.write(value, expiring(now, ttl))
        item = {**self.table.layout.entry(key), **attributes}
        written = await self.table.write(put(item, condition, now, values))
        await texts.remove(written.item if written.done else item)
        return written.done

    async def _delete(self, key: StateKey, condition: str, values: Item | None = None) -> bool:
        address = self.table.layout.entry(key)
        written = await self.table.write(delete(address, condition, self.table.now(), values))
        if written.done:
            await Texts(self.table).remove(written.item)
        return written.done


def _is(value: str) -> tuple[str, Item]:
    """Return the condition that an entry holds `value`, and its values."""
    if is_long(value):
        return "#large.#digest = :digest", {":digest": digest(value)}
    if _is_canonical(value):
        # Once it has been counted on, it is a number.
        slots = {":expected": text(value), ":count": number(int(value))}
        return "(#value = :expected OR #value = :count)", slots
    return "#value = :expected", {":expected": text(value)}


def _is_canonical(value: str) -> bool:
    if not value.removeprefix("-").isdecimal() or len(value) > len(str(LEAST)):
        return False
    return str(int(value)) == value
