"""How often somebody may try to sign in."""

import math
from datetime import timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network

from attrs import field, frozen

from acteon.server.auth.sessions import asking
from acteon.server.ratelimit import RateLimitedError
from acteon.state import StateKey, StateStore


@frozen
class Attempts:
    """Counts attempts to sign in, for all nodes together, and refuses them when they are many.

    They are counted before a password is looked at, by one atomic operation each: of any number
    at the same time no more than the limit get so far. Whether a user exists makes no difference.

    Attributes:
        store: Where they are counted; it stays its owner's.
        per_user: How many for one user name, until one succeeds or the window closes.
        per_address: How many from one address; of IPv6, from one network of 64 bits.
        window: How long it is open; the first attempt opens it.
    """

    store: StateStore
    per_user: int = field(default=10, kw_only=True)
    per_address: int = field(default=50, kw_only=True)
    window: timedelta = field(default=timedelta(minutes=5), kw_only=True)

    async def count(self, username: str, address: str) -> None:
        """Count an attempt; it may be refused whatever the password is.

        Args:
            username: Who they say they are.
            address: Where they ask from; empty if that is not known.

        Raises:
            RateLimitedError: It is one too many.
            UnavailableError: The store failed.
        """
        if address:
            await self._take(_key("address", _network(address)), self.per_address)
        await self._take(_key("user", username), self.per_user)

    async def forget(self, username: str) -> None:
        """Forget those of `username`, who has just succeeded.

        Those from the same address are not forgotten: who has one password may be
        guessing others.

        Raises:
            UnavailableError: The store failed.
        """
        with asking("state store error"):
            await self.store.delete(_key("user", username))

    async def _take(self, key: StateKey, limit: int) -> None:
        with asking("state store error"):
            taken = await self.store.take(key, limit, self.window)
        if not taken.admitted:
            raise RateLimitedError(max(1, math.ceil(taken.remaining.total_seconds())))


def _key(kind: str, name: str) -> StateKey:
    # Names are as long as strangers like, and some are passwords in the wrong place.
    hashed = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return StateKey("_system", "_signin", "rate_limit", f"{kind}:{hashed}")


def _network(address: str) -> str:
    """Return what stands for all addresses that whoever has `address` is likely to have."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address  # A path of a socket, say.
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ip_network((found, 64), strict=False))
    return str(found)
