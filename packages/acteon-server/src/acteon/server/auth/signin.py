"""Signing in with a password, and out again."""

import logging
from collections.abc import Callable
from typing import Self
from uuid import uuid4

from attrs import define, field, frozen

from acteon.core import SYSTEM_CLOCK, Clock
from acteon.server.auth.accounts import User
from acteon.server.auth.attempts import Attempts
from acteon.server.auth.book import AccountBook
from acteon.server.auth.errors import UnauthorizedError
from acteon.server.auth.passwords import Passwords
from acteon.server.auth.sessions import Sessions
from acteon.server.auth.tokens import issue
from acteon.state import StateStore

log = logging.getLogger(__name__)


@frozen
class Issued:
    """A token for somebody who has signed in.

    Attributes:
        token: It.
        seconds: How long it is good.
    """

    token: str = field(repr=False)
    seconds: int


def _new_session() -> str:
    return str(uuid4())


@define(eq=False)
class SignIn:
    """Gives users tokens for their passwords.

    Attributes:
        book: Who they are.
        passwords: Compares passwords.
        sessions: What tokens belong to.
        attempts: Says how often somebody may try.
        clock: Says when tokens end.
        new_session: Makes the id of a session.
    """

    book: AccountBook
    passwords: Passwords
    sessions: Sessions
    attempts: Attempts
    clock: Clock = SYSTEM_CLOCK
    new_session: Callable[[], str] = _new_session

    @classmethod
    def of(cls, book: AccountBook, store: StateStore) -> Self:
        """Return what lets the users in `book` sign in, and keeps in `store` who has."""
        return cls(book, Passwords(book), Sessions(store), Attempts(store))

    async def identify(self, username: str, password: str, address: str) -> User:
        """Return the user of that name if that is their password.

        Args:
            username: Who they say they are.
            password: Their password.
            address: Where they ask from; empty if that is not known.

        Raises:
            UnauthorizedError: There is no such user, or it is not their password.
            RateLimitedError: They, or others from there, have tried too often.
            UnavailableError: The store failed.
        """
        await self.attempts.count(username, address)
        user = self.book.current.users.get(username)
        if not await self.passwords.verify(password, user) or user is None:
            # Of a name that nobody has, nothing is told: it may be a password.
            known = "" if user is None else user.name
            log.warning(
                "somebody could not sign in",
                extra={"acteon.user": known, "acteon.address": address},
            )
            raise UnauthorizedError("invalid credentials")
        await self.attempts.forget(username)
        return user

    async def begin(self, user: User) -> Issued:
        """Begin a session of `user`.

        Raises:
            UnavailableError: The store failed.
        """
        settings, session = self.book.current.tokens, self.new_session()
        token = issue(user, session, settings, self.clock.now())
        await self.sessions.begin(session, settings.lifetime)
        return Issued(token, int(settings.lifetime.total_seconds()))

    async def end(self, session: str) -> None:
        """End the session of that id.

        Raises:
            UnavailableError: The store failed.
        """
        await self.sessions.end(session)
