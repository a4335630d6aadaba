"""The endpoints on tokens."""

from typing import Final

from attrs import evolve, frozen
from starlette.requests import Request
from starlette.responses import Response

from acteon.audit import Act, AuditTrail
from acteon.core import Caller, Reader
from acteon.server.auth import Permission, Principal, UnauthorizedError, principal_of
from acteon.server.auth.signin import SignIn
from acteon.server.config import ServerSection
from acteon.server.http.administration import telling
from acteon.server.http.answers import json_answer
from acteon.server.http.bodies import BodyReader
from acteon.server.http.errors import RequestError
from acteon.server.http.shapes import LoginRequest, LoginResponse, LogoutResponse

MAX_LOGIN_BYTES: Final = 32 * 1024
"""The most that strangers may send to sign in; the longest name and password fit, all escaped."""

_LOGIN: Final = Reader(LoginRequest, ("username", "password"))


def login_limits(server: ServerSection) -> ServerSection:
    """Return the limits of `server` as they are for requests to sign in."""
    return evolve(server, max_body_bytes=min(server.max_body_bytes, MAX_LOGIN_BYTES))


@frozen
class AuthEndpoints:
    """How users get tokens, and get rid of them.

    Attributes:
        bodies: Reads bodies.
        sign_in: Gives tokens for passwords; None: nobody is asked who they are.
        trail: Where it is told who did.
    """

    bodies: BodyReader
    sign_in: SignIn | None
    trail: AuditTrail | None

    async def login(self, request: Request) -> Response:
        """Answer `POST /v1/auth/login`; a bad body is told first."""
        asked = await self.bodies.read(request.scope, request.receive, _LOGIN.read)
        sign_in = self._enabled()
        address = request.client.host if request.client else ""
        user = await sign_in.identify(asked.username, asked.password, address)
        caller = Caller(user.name, "password", address)
        tenant = Principal(caller=caller, role=user.role, grants=user.grants).only_tenant
        async with telling(self.trail, Act.LOG_IN, caller, tenant=tenant):
            issued = await sign_in.begin(user)
        return json_answer(LoginResponse(token=issued.token, expires_in=issued.seconds))

    async def logout(self, request: Request) -> Response:
        """Answer `POST /v1/auth/logout`; any body is ignored."""
        principal = principal_of(request.scope)
        principal.require(Permission.LOG_OUT)
        sign_in = self._enabled()
        if principal.token is None:
            raise UnauthorizedError("missing Bearer token")
        caller, tenant = principal.caller, principal.only_tenant
        async with telling(self.trail, Act.LOG_OUT, caller, tenant=tenant):
            await sign_in.end(principal.token)
        return json_answer(LogoutResponse())

    def _enabled(self) -> SignIn:
        if self.sign_in is None:
            raise RequestError(404, "authentication is not enabled")
        return self.sign_in
