"""Which pages browsers let use the server (the Fetch standard's CORS protocol)."""

from collections.abc import Sequence
from typing import Final

from attrs import field, frozen
from starlette.types import Scope

from acteon.server.http.answers import Headers
from acteon.server.http.bodies import header
from acteon.server.http.errors import RequestError
from acteon.server.http.mounting import MOUNTED

_VARY: Final = (b"vary", b"origin, access-control-request-method, access-control-request-headers")
_SAFE: Final = ("GET", "HEAD")


def _encoded(origins: Sequence[str] | None) -> frozenset[bytes] | None:
    return None if origins is None else frozenset(origin.encode() for origin in origins)


@frozen
class CorsPolicy:
    """Which pages may use the server.

    Attributes:
        origins: Theirs; None: all may, or, where the application is mounted in another one, those
            that the other one lets.
    """

    origins: frozenset[bytes] | None = field(default=None, converter=_encoded)

    def headers(self, scope: Scope) -> Headers:
        """Return the headers that the answer to a request needs."""
        if self.origins is None:
            if MOUNTED in scope:
                return []  # The host says which pages may; twice the same header is none.
            return _PREFLIGHT_OF_ALL if scope["method"] == "OPTIONS" else _ALL
        origin = header(scope, b"origin")
        if origin is None or origin not in self.origins:
            return [_VARY]
        allowed = (b"access-control-allow-origin", origin)
        rest = _PREFLIGHT if scope["method"] == "OPTIONS" else _EXPOSED
        return [allowed, *rest, _VARY]

    def check(self, scope: Scope) -> None:
        """Refuse what a page that may not use the server wants done.

        Browsers send simple requests of any page and keep only the answers from it, so that
        without this a page could, say, drain the dead letters.

        Raises:
            RequestError: Such a page sent the request.
        """
        if self.origins is None or scope["method"] in _SAFE:
            return
        origin = header(scope, b"origin")
        if origin is None or origin in self.origins:
            return
        _, _, authority = origin.partition(b"://")
        if not authority or authority != header(scope, b"host"):
            raise RequestError(403, "pages of this origin may not use the server")


_EXPOSED: Final[Headers] = [(b"access-control-expose-headers", b"*")]
_PREFLIGHT: Final[Headers] = [
    (b"access-control-allow-methods", b"*"),
    (b"access-control-allow-headers", b"*"),
]
_ALL: Final[Headers] = [(b"access-control-allow-origin", b"*"), *_EXPOSED, _VARY]
_PREFLIGHT_OF_ALL: Final[Headers] = [
    (b"access-control-allow-origin", b"*"),
    *_PREFLIGHT,
    _VARY,
]
