"""Passwords: how they are hashed, and how they are compared with a hash."""

import os
from collections import Counter
from typing import Final

import anyio
import anyio.to_thread
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import Type, hash_secret, verify_secret
from attrs import define, field

from acteon.server.auth.accounts import Accounts, User
from acteon.server.auth.book import AccountBook
from acteon.server.auth.phc import Cost

USUAL: Final = Cost(
    kind="argon2id",
    version=19,
    memory=64 * 1024,
    passes=3,
    lanes=1,
    salt_bytes=16,
    digest_bytes=32,
)
"""What new hashes take: the second choice of RFC 9106, section 4, on one processor."""

_KINDS: Final = {"argon2id": Type.ID, "argon2i": Type.I, "argon2d": Type.D}


def _threads() -> anyio.CapacityLimiter:
    # One processor is left to everything else, where there are several.
    return anyio.CapacityLimiter(max(1, (os.cpu_count() or 1) - 1))


@define(eq=False)
class Passwords:
    """Compares passwords with those of users: in threads, for it takes long, and in few of them.

    Attributes:
        book: Who the users are.
    """

    book: AccountBook
    _limiter: anyio.CapacityLimiter = field(factory=_threads, init=False)
    _decoy: tuple[Accounts | None, str] = field(default=(None, ""), init=False)

    async def verify(self, password: str, user: User | None) -> bool:
        """Return whether `password` is that of `user`.

        Args:
            password: What somebody says it is; its length is theirs to limit who take it.
            user: Who they say they are; None: nobody has that name. It takes as long all the same.
        """
        phc = self._decoy_hash() if user is None else user.password_hash
        fits = await anyio.to_thread.run_sync(_fits, phc, password, limiter=self._limiter)
        return fits and user is not None

    def _decoy_hash(self) -> str:
        """Return a hash that takes as much as those of most users."""
        accounts, decoy = self._decoy
        if accounts is not self.book.current:
            accounts = self.book.current
            costs = Counter(Cost.of(user.password_hash) for user in accounts.users.values())
            decoy = (costs.most_common(1)[0][0] if costs else USUAL).decoy()
            self._decoy = (accounts, decoy)
        return decoy


def hash_password(password: str) -> str:
    """Return the hash of `password`, in the PHC string format; another one each time."""
    return hash_secret(
        _octets(password),
        os.urandom(USUAL.salt_bytes),
        time_cost=USUAL.passes,
        memory_cost=USUAL.memory,
        parallelism=USUAL.lanes,
        hash_len=USUAL.digest_bytes,
        type=_KINDS[USUAL.kind],
        version=USUAL.version,
    ).decode("ascii")


def _fits(phc: str, password: str) -> bool:
    kind = _KINDS[phc.split("$")[1]]
    try:
        return verify_secret(phc.encode("ascii"), _octets(password), kind)
    except VerifyMismatchError:
        return False


def _octets(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
