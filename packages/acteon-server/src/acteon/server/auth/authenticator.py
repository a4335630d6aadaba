"""Who sent a request, by what it carries: a key, or a token."""

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final

from attrs import define, field, frozen
from starlette.types import Scope

from acteon.core import SYSTEM_CLOCK, Caller, Clock
from acteon.server.auth.accounts import Accounts, ApiKey
from acteon.server.auth.book import AccountBook
from acteon.server.auth.errors import UnauthorizedError
from acteon.server.auth.principal import Principal
from acteon.server.auth.roles import Role
from acteon.server.auth.sessions import Sessions
from acteon.server.auth.tokens import KnownTokens, TokenError

_BEARER: Final = re.compile(rb"bearer +([!-~][\t -~]*)", re.IGNORECASE)
_VISIBLE: Final = re.compile(rb"[\t -~]*")


@define(eq=False)
class Authenticator:
    """Tells who sends requests: the `authenticate` of `create_app`.

    `Authorization: Bearer` has a token or a key, `X-API-Key` a key; the former goes first. Tokens
    are good as long as their session lasts and their user is known, who may do what the accounts
    say now, whatever they said when the token was issued.

    Keys are looked up by their SHA-256, in a dictionary. How long that takes may depend on how
    much of a hash is right, but nobody can choose a hash: to come closer to one that is there,
    they would have to find keys for it, which is as hard as finding the right one.

    Attributes:
        book: Who is known.
        sessions: Which tokens are good.
        clock: Tells when keys and tokens end.
    """

    book: AccountBook
    sessions: Sessions
    clock: Clock = SYSTEM_CLOCK
    _keys: "_Keys" = field(init=False, repr=False)
    _tokens: KnownTokens = field(factory=KnownTokens, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._keys = _Keys.of(self.book.current)

    async def __call__(self, scope: Scope) -> Principal:
        """Return who sent the request of `scope`.

        Raises:
            UnauthorizedError: Nobody who is known.
            UnavailableError: The sessions cannot be asked now.
        """
        authorization = api_key = None
        for name, value in scope["headers"]:  # The first one of each counts.
            if name == b"x-api-key":
                api_key = value if api_key is None else api_key
            elif name == b"authorization":
                authorization = value if authorization is None else authorization
        if authorization is not None:
            bearer = _BEARER.fullmatch(authorization.strip(b" \t"))
            if bearer is not None:
                return self._with_key(bearer[1]) or await self._with_token(bearer[1].decode())
        if api_key is None or not _VISIBLE.fullmatch(api_key):
            raise UnauthorizedError("missing authentication credentials")
        found = self._with_key(api_key.strip(b" \t"))
        if found is None:
            raise UnauthorizedError("invalid API key")
        return found

    def _with_key(self, key: bytes) -> Principal | None:
        if self._keys.accounts is not self.book.current:
            self._keys = _Keys.of(self.book.current)
        holder = self._keys.holders.get(sha256(key).hexdigest())
        if holder is None:
            return None
        if holder.expires_at is not None and holder.expires_at <= self.clock.now():
            return None
        return holder.principal

    async def _with_token(self, token: str) -> Principal:
        claims = self._tokens.read(token, self.book.current.tokens.secrets, self.clock.now())
        if not await self.sessions.is_open(claims.jti):
            raise TokenError("token has been revoked")
        if Role.named(claims.role) is None:
            raise TokenError(f"invalid role in token: {claims.role}")
        # Only now: it may have been taken out of the file while the store was asked.
        user = self.book.current.users.get(claims.sub)
        if user is None:
            raise TokenError("token has been revoked")
        return Principal(
            caller=Caller(user.name, "jwt"), role=user.role, grants=user.grants, token=claims.jti
        )


@frozen
class _Holder:
    """Who has a key.

    Attributes:
        principal: It.
        expires_at: From then on the key is unknown; None: never.
    """

    principal: Principal
    expires_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> "_Holder":
        """Return who has `key`."""
        caller = Caller(key.name, "api_key")
        return cls(Principal(caller=caller, role=key.role, grants=key.grants), key.expires_at)


@frozen
class _Keys:
    """The keys of `accounts`, made ready once.

    Attributes:
        accounts: It.
        holders: Who has them, by the hash of the key.
    """

    accounts: Accounts
    holders: Mapping[str, _Holder]

    @classmethod
    def of(cls, accounts: Accounts) -> "_Keys":
        """Return the keys of `accounts`."""
        return cls(accounts, {found: _Holder.of(key) for found, key in accounts.keys.items()})
