"""Who is known to the server: users and API keys, as the file on them says."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from attrs import field, frozen

from acteon.server.auth.grants import Grant
from acteon.server.auth.roles import Role


@frozen(kw_only=True)
class User:
    """Somebody with a password.

    Attributes:
        name: What they sign in as, and what the audit trail calls them.
        password_hash: Of argon2, in the PHC string format.
        role: What they may do.
        grants: Where they may do it.
    """

    name: str
    password_hash: str = field(repr=False)
    role: Role
    grants: tuple[Grant, ...] = ()


@frozen(kw_only=True)
class ApiKey:
    """A program with a key.

    Two keys of one name are the old and the new one while they are exchanged.

    Attributes:
        name: What the audit trail calls it.
        key_hash: The SHA-256 of the key, in lower-case hexadecimal digits.
        role: What it may do.
        grants: Where it may do it.
        expires_at: From then on the key is unknown; aware. None: never.
    """

    name: str
    key_hash: str = field(repr=False)
    role: Role
    grants: tuple[Grant, ...] = ()
    expires_at: datetime | None = None


@frozen(kw_only=True)
class TokenSettings:
    """How tokens are signed.

    Attributes:
        secrets: The keys of HS256: the first one signs, all of them verify.
        lifetime: How long a token is good.
    """

    secrets: tuple[str, ...] = field(repr=False)
    lifetime: timedelta = timedelta(hours=1)


@frozen(kw_only=True)
class Accounts:
    """All who are known.

    Attributes:
        users: By name.
        keys: By the hash of the key.
        tokens: How tokens are signed.
    """

    users: Mapping[str, User]
    keys: Mapping[str, ApiKey]
    tokens: TokenSettings
