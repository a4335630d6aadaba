"""Tokens: JSON Web Tokens, signed by HS256 and by nothing else (RFC 7515, RFC 7519).

A token is read step by step, and the first one that fails tells why. PyJWT computes the
signatures; it takes the steps in another order, and warns of a short secret at each of them.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from attrs import define, field, frozen

from acteon.core import Reader, WireError
from acteon.server.auth.accounts import TokenSettings, User
from acteon.server.auth.errors import UnauthorizedError

T = TypeVar("T")

LEEWAY: Final = timedelta(seconds=60)
"""How long a token is taken to be good after its end: clocks of nodes differ."""


MOST_KNOWN: Final = 4096
"""So many good tokens are remembered."""
LONGEST_KNOWN: Final = 4096
"""Characters of the longest of them."""


class TokenError(UnauthorizedError):
    """A token is not good; its holder is told the text."""


@frozen(kw_only=True)
class GrantClaim:
    """One of the grants that somebody had when the token was issued."""

    tenants: tuple[str, ...]
    namespaces: tuple[str, ...]
    actions: tuple[str, ...]


@frozen(kw_only=True)
class Claims:
    """What a token says.

    Attributes:
        sub: The user's name.
        jti: The session that it belongs to.
        role: What they might do when it was issued.
        grants: Where they might do it.
        exp: When it ends, in seconds since 1970.
        aud: Whom else it was made for, if for anybody.
    """

    sub: str
    jti: str
    role: str
    grants: tuple[GrantClaim, ...]
    exp: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    aud: Any = None


_Algorithm = (
    Literal["HS256", "HS384", "HS512", "RS256", "RS384", "RS512"]
    | Literal["PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
)


@frozen(kw_only=True)
class _Head:
    """How a token is signed.

    Attributes:
        alg: By which algorithm.
        typ: What kind of token it is.
        crit: Extensions that must be understood: there are none that are.
    """

    alg: _Algorithm
    typ: str | None = None
    crit: None = None


_HEAD: Final = b'{"typ":"JWT","alg":"HS256"}'
_HEADS: Final = Reader(_Head, ("alg", "typ", "crit"))
_CLAIMS: Final = Reader(Claims, ("sub", "jti", "role", "grants", "exp", "aud"))
_encode: Final = msgspec.json.Encoder().encode


def issue(user: User, session: str, settings: TokenSettings, now: datetime) -> str:
    """Return a token for `user`.

    Args:
        user: Who gets it.
        session: The id of the session that it belongs to.
        settings: Its first secret signs the token, which is good for its lifetime.
        now: When that begins.
    """
    claims = {
        "sub": user.name,
        "jti": session,
        "role": user.role.value,
        "grants": [
            {
                "tenants": sorted(grant.tenants),
                "namespaces": sorted(grant.namespaces),
                "actions": sorted(grant.actions),
            }
            for grant in user.grants
        ],
        "exp": int((now + settings.lifetime).timestamp()),
    }
    signed = f"{_base64(_HEAD)}.{_base64(_encode(claims))}"
    return f"{signed}.{_signature(signed, settings.secrets[0])}"


def read(token: str, secrets: Sequence[str], now: datetime) -> Claims:
    """Return what `token` says, of which nothing is looked up.

    Args:
        token: Any text.
        secrets: One of them must have signed it.
        now: Tells whether it has ended.

    Raises:
        TokenError: It is not good.
    """
    parts = token.rsplit(".", 2)
    if len(parts) < 3:
        raise _invalid("InvalidToken")
    head, body, signature = parts
    if _read(_HEADS, head).alg != "HS256":
        raise _invalid("InvalidAlgorithm")
    _verify(f"{head}.{body}", signature, secrets)
    claims = _read(_CLAIMS, body)
    _check_end(claims, now)
    if claims.aud is not None:
        raise _invalid("InvalidAudience")
    return claims


@define(eq=False)
class KnownTokens:
    """Reads tokens as `read` does, and remembers the good ones: they come with every request.

    What is remembered is that somebody with a secret has signed them. Which text it is asked for
    is looked up by a hash that nobody outside can foresee.
    """

    _secrets: Sequence[str] = ()
    _good: dict[str, Claims] = field(factory=dict[str, Claims], repr=False)

    def read(self, token: str, secrets: Sequence[str], now: datetime) -> Claims:
        """Return what `token` says, or raise, as the function does."""
        if secrets != self._secrets:
            self._secrets = secrets
            self._good.clear()
        claims = self._good.get(token)
        if claims is not None:
            _check_end(claims, now)
            return claims
        claims = read(token, secrets, now)
        if len(token) <= LONGEST_KNOWN:
            if len(self._good) >= MOST_KNOWN:
                del self._good[next(iter(self._good))]  # Which came first longest ago.
            self._good[token] = claims
        return claims


def _check_end(claims: Claims, now: datetime) -> None:
    if claims.exp < int((now - LEEWAY).timestamp()):
        raise _invalid("ExpiredSignature")


def _read(reader: Reader[T], part: str) -> T:
    try:
        return reader.read(_octets(part))
    except WireError as error:
        raise _invalid(f"JSON error: {error}") from None


def _octets(part: str) -> bytes:
    """Return what `part` stands for; only the one text that is base64 without padding will do."""
    if len(part) % 4 == 1:
        raise _invalid("Base64 error: invalid length")
    try:
        found = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("Base64 error: invalid symbol") from None
    if _base64(found) != part:
        raise _invalid("Base64 error: invalid last symbol")
    return found


def _verify(signed: str, signature: str, secrets: Sequence[str]) -> None:
    # Texts are compared, not what they stand for, so that one signature has one text only.
    found = signature.encode("utf-8", "surrogatepass")
    matches = [
        hmac.compare_digest(_signature(signed, secret).encode(), found) for secret in secrets
    ]
    if not any(matches):
        raise _invalid("InvalidSignature")


def _signature(signed: str, secret: str) -> str:
    # Importing it takes a tenth of a server's start, and many servers have no tokens.
    from jwt.algorithms import HMACAlgorithm

    algorithm = HMACAlgorithm(HMACAlgorithm.SHA256)
    return _base64(algorithm.sign(signed.encode("utf-8", "surrogatepass"), secret.encode()))


def _base64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _invalid(kind: str) -> TokenError:
    return TokenError(f"invalid token: {kind}")
