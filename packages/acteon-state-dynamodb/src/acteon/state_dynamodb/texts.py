"""Texts of any length. An item holds 400 KB; what is longer goes into parts beside it.

The parts are written first, under a name that is used once, and the entry's item, which names
them, last: it is there as a whole or not at all. A text's parts go once nothing names them any
more. Whoever crashes between the two leaves parts behind that nobody finds; those of a text
that expires are removed with it.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from uuid import uuid4

from attrs import frozen

from acteon.state import StateSerializationError
from acteon.state_dynamodb.items import Item, is_text, number, text
from acteon.state_dynamodb.table import Table
from acteon.state_dynamodb.writes import delete, put

MOST_BYTES: Final = 350_000
"""Of one item. Its names, keys and times need some of the 400 KB (409,600) too."""


@frozen
class Texts:
    """Writes and reads what entries hold, in `table`."""

    table: Table

    async def write(self, value: str, expiry: Item) -> Item:
        """Return the attributes of an entry that holds `value`, having written its parts."""
        if not is_text(value):
            raise StateSerializationError("expected a UTF-8 text, found halves of pairs in it")
        if not is_long(value):
            return {"value": text(value), **expiry}
        encoded = value.encode()
        pieces = [
            encoded[start : start + MOST_BYTES] for start in range(0, len(encoded), MOST_BYTES)
        ]
        name = uuid4().hex
        for place, piece in enumerate(pieces):
            item = {**self.table.layout.part(name, place), "piece": {"B": piece}, **expiry}
            await self.table.write(put(item, "", self.table.now()))
        large = {"name": text(name), "parts": number(len(pieces)), "digest": digest(value)}
        return {"large": {"M": large}, **expiry}

    async def read(self, item: Item) -> str | None:
        """Return the text that the entry `item` holds; None if it has been replaced meanwhile."""
        if "large" not in item:
            return scalar(item)
        name, parts = _large(item)
        found = [await self.table.get(self.table.layout.part(name, place)) for place in parts]
        pieces = [b"" if one is None else one["piece"]["B"] for one in found]
        return b"".join(pieces).decode() if all(pieces) else None

    async def remove(self, item: Item | None) -> None:
        """Remove the parts of the text that `item` held; it has been replaced, or never was."""
        if item and "large" in item:
            name, parts = _large(item)
            for place in parts:
                address = self.table.layout.part(name, place)
                await self.table.write(delete(address, "", self.table.now()))


def is_long(value: str) -> bool:
    """Return whether `value` has to be kept in parts."""
    return len(value) * 4 > MOST_BYTES and len(value.encode()) > MOST_BYTES


def digest(value: str) -> Mapping[str, str]:
    """Return the SHA-256 of `value`, as an attribute."""
    return text(sha256(value.encode()).hexdigest())


def _large(item: Item) -> tuple[str, range]:
    large: Any = item["large"]["M"]
    return large["name"]["S"], range(int(large["parts"]["N"]))


def scalar(item: Item) -> str:
    """Return the text or number that an item holds which has no parts.

    Raises:
        StateSerializationError: It holds something else.
    """
    found = item.get("value", {})
    value = found.get("S", found.get("N"))
    if not isinstance(value, str):
        raise StateSerializationError("expected a text or a number, found something else")
    return value
