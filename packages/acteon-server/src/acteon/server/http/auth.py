"""The endpoints on tokens."""

from typing import Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from acteon.core import Reader
from acteon.server.http.bodies import BodyReader
from acteon.server.http.errors import RequestError
from acteon.server.http.shapes import LoginRequest

_LOGIN: Final = Reader(LoginRequest, ("username", "password"))


@frozen
class AuthEndpoints:
    """What callers of a server that asks nobody who they are hear when they log in or out."""

    bodies: BodyReader

    async def login(self, request: Request) -> Response:
        """Answer `POST /v1/auth/login`; a bad body is told first."""
        await self.bodies.read(request.scope, request.receive, _LOGIN.read)
        raise RequestError(404, "authentication is not enabled")

    async def logout(self, _request: Request) -> Response:
        """Answer `POST /v1/auth/logout`; any body is ignored."""
        raise RequestError(404, "authentication is not enabled")
