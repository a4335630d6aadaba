"""What `auth.toml` says, as types: one class a table. A key is named like its attribute."""

import re
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import Attribute, field, frozen

from acteon.server.auth.accounts import Accounts, ApiKey, TokenSettings, User
from acteon.server.auth.grants import Grant
from acteon.server.auth.phc import Cost
from acteon.server.auth.roles import Role
from acteon.server.config.checks import between, filled
from acteon.server.config.kinds import DiscreetError

_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_TEN_YEARS: Final = 10 * 365 * 24 * 3600


def _hashes(_: object, attribute: "Attribute[Any]", value: str | tuple[str, ...] | None) -> None:
    if value == ():
        raise DiscreetError("must not be empty")
    for text in (value,) if isinstance(value, str) else value or ():
        if not _SHA256.fullmatch(text):
            raise DiscreetError(
                "wanted 64 hex digits, the SHA-256 of the key; acteon-server hash-key prints it"
            )


def _verifiable(_: object, _attribute: "Attribute[Any]", value: str) -> None:
    try:
        Cost.of(value)
    except ValueError as error:
        raise DiscreetError(f"{error}; acteon-server hash-password prints a good one") from None


def _all_filled(_: object, attribute: "Attribute[Any]", value: tuple[str, ...]) -> None:
    for text in value:
        filled(_, attribute, text)


@frozen(kw_only=True)
class SettingsTable:
    """`[settings]`: how tokens are signed.

    Attributes:
        jwt_secret: Signs tokens, and verifies them.
        jwt_verify_secrets: Verify them as well.
        jwt_expiry_seconds: How long a token is good.
    """

    jwt_secret: str = field(repr=False, validator=filled)
    jwt_verify_secrets: tuple[str, ...] = field(default=(), repr=False, validator=_all_filled)
    jwt_expiry_seconds: int = field(default=3600, validator=between(1, _TEN_YEARS))

    @property
    def tokens(self) -> TokenSettings:
        """The same, for those who sign."""
        return TokenSettings(
            secrets=tuple(dict.fromkeys((self.jwt_secret, *self.jwt_verify_secrets))),
            lifetime=timedelta(seconds=self.jwt_expiry_seconds),
        )


@frozen(kw_only=True)
class GrantTable:
    """One of `grants`.

    Attributes:
        tenants: Names, or `*`.
        namespaces: Likewise.
        actions: Action types, likewise.
    """

    tenants: tuple[str, ...]
    namespaces: tuple[str, ...]
    actions: tuple[str, ...]

    @property
    def grant(self) -> Grant:
        """The same, for those who ask it."""
        return Grant(tenants=self.tenants, namespaces=self.namespaces, actions=self.actions)


@frozen(kw_only=True)
class UserTable:
    """`[[users]]`: somebody with a password.

    Attributes:
        username: What they sign in as.
        password_hash: Of argon2, in the PHC string format.
        role: What they may do.
        grants: Where they may do it.
    """

    username: str = field(validator=filled)
    password_hash: str = field(repr=False, validator=_verifiable)
    role: Role
    grants: tuple[GrantTable, ...] = ()

    @property
    def user(self) -> User:
        """The same, for those who ask it."""
        return User(
            name=self.username,
            password_hash=self.password_hash,
            role=self.role,
            grants=tuple(table.grant for table in self.grants),
        )


@frozen(kw_only=True)
class KeyTable:
    """`[[api_keys]]`: a program with a key, or with several while they are exchanged.

    Attributes:
        name: What the audit trail calls it.
        key_hash: The SHA-256 of the key.
        key_hashes: Those of several.
        role: What it may do.
        grants: Where it may do it.
        expires_at: From then on none of the keys is known.
    """

    name: str = field(validator=filled)
    key_hash: str | None = field(default=None, repr=False, validator=_hashes)
    key_hashes: tuple[str, ...] | None = field(default=None, repr=False, validator=_hashes)
    role: Role
    grants: tuple[GrantTable, ...] = ()
    expires_at: datetime | None = None

    @property
    def keys(self) -> tuple[ApiKey, ...]:
        """The same, for those who ask it; one for each hash."""
        hashes = self.key_hashes or (() if self.key_hash is None else (self.key_hash,))
        grants = tuple(table.grant for table in self.grants)
        return tuple(
            ApiKey(
                name=self.name,
                key_hash=found.lower(),
                role=self.role,
                grants=grants,
                expires_at=self.expires_at,
            )
            for found in hashes
        )


@frozen(kw_only=True)
class AuthTables:
    """The whole file.

    Attributes:
        settings: How tokens are signed.
        users: In the order of the file.
        api_keys: Likewise.
    """

    settings: SettingsTable
    users: tuple[UserTable, ...] = ()
    api_keys: tuple[KeyTable, ...] = ()

    @property
    def accounts(self) -> Accounts:
        """The same, for those who ask it; of two of one name, or hash, the last one counts."""
        return Accounts(
            users={table.username: table.user for table in self.users},
            keys={key.key_hash: key for table in self.api_keys for key in table.keys},
            tokens=self.settings.tokens,
        )
