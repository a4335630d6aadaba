"""Who sent a request, and whether they are let in."""

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Protocol

from attrs import evolve, frozen
from starlette.types import Scope

from acteon.core import ANONYMOUS, Caller
from acteon.server.auth import PRINCIPAL, Principal, trusted

Authenticate = Callable[[Scope], Awaitable[Caller | Principal]]
"""Tells who sent a request, from its headers.

A plain `Caller` may do everything. It raises `UnauthorizedError` or `RequestError` to refuse.
"""

Limit = Callable[[Scope, Principal], Awaitable[None]]
"""Counts a request of somebody, and raises if they have sent too many.

It may leave headers for the answer, whatever that will be, in the scope: see `ANSWER_HEADERS`.
"""


class OfTenant(Protocol):
    """Something that belongs to a tenant: an action, or the record of one."""

    @property
    def tenant(self) -> str:
        """The tenant."""
        ...


LimitActions = Callable[[Scope, Sequence[OfTenant]], Awaitable[None]]
"""Counts actions that a request is about to dispatch, or preview, and raises if they are too many.

Their sender may dispatch them; it has been counted as a request before.
"""

ANSWER_HEADERS = "acteon.headers"
"""Where a request's scope may have a list of headers, pairs of bytes, that its answer gets."""


@frozen
class Entrance:
    """What every request to a route passes that is not for everybody.

    Attributes:
        authenticate: Tells who it is.
        limit: Counts their requests; None: they may send as many as they like.
    """

    authenticate: Authenticate
    limit: Limit | None = None

    async def __call__(self, scope: Scope) -> None:
        """Let the request of `scope` in: from then on its scope has its `Principal`.

        Raises:
            ActeonError: It is refused.
        """
        found = await self.authenticate(scope)
        principal = found if isinstance(found, Principal) else trusted(found)
        client = scope.get("client")
        if client is not None:
            principal = _seen_at(principal, client[0])
        scope[PRINCIPAL] = principal
        if self.limit is not None:
            await self.limit(scope, principal)


@lru_cache(maxsize=4096)
def _seen_at(principal: Principal, address: str) -> Principal:
    """Return `principal` as asking from `address`, unless it is known where they ask from."""
    caller = principal.caller
    return (
        principal if caller.address else evolve(principal, caller=evolve(caller, address=address))
    )


async def anonymous(_scope: Scope) -> Caller:
    """Return that nobody in particular asks: everybody who reaches the server may use it."""
    return ANONYMOUS
