"""What the table holds: where an entry is, and what its item looks like.

| attribute | type | meaning |
|---|---|---|
| `pk`, `sk` | S | where it is |
| `value` | S or N | an entry's text, or its number once it has been counted on |
| `large` | M | of a text that no item can hold: where its parts are, and its SHA-256 |
| `owner` | S | the token of a lock's holder |
| `expires_ms` | N | when it expires, in milliseconds since 1970; absent: never |
| `expires_at` | N | the same in whole seconds, rounded up: for DynamoDB's own removal |

Other programs may leave out `expires_ms`: then `expires_at` counts.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from attrs import frozen

from acteon.state import StateKey, StateSerializationError, escape

Item = Mapping[str, Mapping[str, Any]]
"""Attributes as DynamoDB writes them, each under the name of its type."""

MOST: Final = 2**63 - 1
LEAST: Final = -(2**63)
LONGEST_PK: Final = 2048
LONGEST_SK: Final = 1024
HASHED: Final = "sha256:"

LONGEST_MS: Final = 10**15
"""Milliseconds; whoever says more means for ever."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@frozen
class Layout:
    """Where things are, as key attributes; no two names have the same ones.

    Attributes:
        prefix: What all partition keys begin with.
    """

    prefix: str

    def entry(self, key: StateKey) -> Item:
        """Return where the entry `key` is: a tenant's entries are one partition."""
        tenant = f"{escape(key.namespace)}:{escape(key.tenant)}"
        return self._address(tenant, f"{escape(key.kind)}:{key.id}")

    def lock(self, name: str) -> Item:
        """Return where the lock `name` is: each lock is a partition of its own, so none is hot.

        No entry is there, for their sort keys have a colon.
        """
        return self._address(f"_lock:{name}", "lock")

    def part(self, large: str, number: int) -> Item:
        """Return where part `number` of the text `large` is."""
        return self._address(f"_part:{large}", str(number))

    def _address(self, pk: str, sk: str) -> Item:
        return {
            "pk": text(f"{self.prefix}:{_fitting(pk, LONGEST_PK - len(self.prefix) - 1)}"),
            "sk": text(_fitting(sk, LONGEST_SK)),
        }


def _fitting(name: str, longest: int) -> str:
    """Return `name`, or a hash of it if DynamoDB would not take it; different names' differ."""
    encoded = name.encode(errors="surrogatepass")
    if len(encoded) <= longest and not name.startswith(HASHED) and is_text(name):
        return name
    return HASHED + sha256(encoded).hexdigest()


def is_text(value: str) -> bool:
    """Return whether `value` can be written as UTF-8: it has no halves of pairs."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def text(value: str) -> Mapping[str, str]:
    """Return `value` as an attribute."""
    return {"S": value}


def number(value: int) -> Mapping[str, str]:
    """Return `value` as an attribute."""
    return {"N": str(value)}


def milliseconds(instant: datetime) -> int:
    """Return `instant` in milliseconds since 1970."""
    return (instant - _EPOCH) // _MILLISECOND


def end(now: int, ttl: timedelta) -> int:
    """Return when what lasts `ttl` from `now` expires."""
    return now - (-ttl // _MILLISECOND)  # rounded up


def expiring(now: int, ttl: timedelta | None) -> Item:
    """Return the attributes of what lasts `ttl` from `now`, or for ever."""
    if ttl is None:
        return {}
    ends = end(now, ttl)
    return {"expires_ms": number(ends), "expires_at": number(-(-ends // 1000))}


def expiry(item: Item) -> Item:
    """Return those attributes of `item` that say when it expires."""
    return {name: item[name] for name in ("expires_ms", "expires_at") if name in item}


def remaining(item: Item, now: int) -> timedelta | None:
    """Return how long `item` still lasts, or None if that is for ever.

    It goes by what the conditions of writes go by: to these, times that are no numbers never come.
    """
    for name, unit in (("expires_ms", 1), ("expires_at", 1000)):
        if name in item:
            found = item[name].get("N")
            if found is None:
                return None
            left = min(int(Decimal(found) * unit) - now, LONGEST_MS)
            return max(left, -LONGEST_MS) * _MILLISECOND
    return None


def live(item: Item | None, now: int) -> Item | None:
    """Return `item` unless it is none, or has expired."""
    if not item:
        return None
    left = remaining(item, now)
    return item if left is None or left > timedelta(0) else None


def count_of(item: Item) -> int:
    """Return the number that `item` holds.

    Raises:
        StateSerializationError: It holds something else.
    """
    return _whole(item.get("value", {}))


def _whole(attribute: Mapping[str, Any]) -> int:
    found = attribute.get("N", attribute.get("S"))
    try:
        return int(str(found))
    except ValueError:
        raise StateSerializationError("expected a whole number, found something else") from None
