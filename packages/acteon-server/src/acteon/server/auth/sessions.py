"""Sessions: which tokens are good though nothing but time has ended them.

A session is an entry of the state store: all nodes see it, and see that it is gone.
"""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from attrs import frozen

from acteon.server.auth.errors import UnavailableError
from acteon.state import StateConnectionError, StateError, StateKey, StateStore

log = logging.getLogger(__name__)

_HERE: Final = "1"


@frozen
class Sessions:
    """The sessions of all users, in a store that all nodes share.

    Attributes:
        store: Where they are; it stays its owner's.
    """

    store: StateStore

    async def begin(self, session: str, lifetime: timedelta) -> None:
        """Begin the session of that id; it ends by itself after `lifetime`.

        Raises:
            UnavailableError: The store failed; whether it began is unknown.
        """
        with asking("failed to store token jti"):
            await self.store.set(_key(session), _HERE, ttl=lifetime)

    async def end(self, session: str) -> None:
        """End the session of that id, if it has not ended yet.

        Raises:
            UnavailableError: The store failed; whether it ended is unknown.
        """
        with asking("failed to revoke token"):
            await self.store.delete(_key(session))

    async def is_open(self, session: str) -> bool:
        """Return whether the session of that id has begun, and not ended.

        Raises:
            UnavailableError: The store failed.
        """
        with asking("state store error"):
            return await self.store.get(_key(session)) is not None


@contextmanager
def asking(failed: str) -> Generator[None]:
    """Raise errors of the state store as those that callers are told, beginning with `failed`.

    Nobody knows them yet: how the store failed is for the log.
    """
    try:
        yield
    except StateError as error:
        if not isinstance(error, StateConnectionError):  # Which backends tell themselves, once.
            log.error("the state store failed", extra={"acteon.error": str(error)})
        raise UnavailableError(f"{failed}: the state store cannot be asked now") from error


def _key(session: str) -> StateKey:
    return StateKey("auth", "tokens", "token", session)
