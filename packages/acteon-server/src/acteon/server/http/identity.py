"""Who sent a request."""

from collections.abc import Awaitable, Callable

from starlette.types import Scope

from acteon.core import ANONYMOUS, Caller

Authenticate = Callable[[Scope], Awaitable[Caller]]
"""Tells who sent a request, from its headers; raises `RequestError` to refuse it."""


async def anonymous(_scope: Scope) -> Caller:
    """Return that nobody in particular asks: everybody who reaches the server may use it."""
    return ANONYMOUS
