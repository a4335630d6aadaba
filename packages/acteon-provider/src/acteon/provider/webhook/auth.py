"""How a webhook proves who it is: what goes into the headers, or the URL, of a request."""

import base64
import hashlib
import hmac
import re
from typing import Final, Literal

from attrs import field, frozen

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_TAKEN: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "idempotency-key",
        "transfer-encoding",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
"""What the headers of a request say that are not about who sends it."""
_WANTED: Final = "acteon.wanted"
"""Metadata: what is told of a key whose value is not, as it may be a secret."""
_NEEDED: Final = {
    "basic": ("username", "password"),
    "bearer": ("token",),
    "api_key": ("value",),
    "hmac_sha256": ("secret",),
}
_ALLOWED: Final = {
    "basic": (),
    "bearer": (),
    "api_key": ("header", "query"),
    "hmac_sha256": ("header",),
}
_HEADERS: Final = {"api_key": "X-API-Key", "hmac_sha256": "X-Hub-Signature-256"}


@frozen(kw_only=True)
class WebhookAuth:
    """How the receiver knows who sends.

    | `type` | keys | what is sent |
    |---|---|---|
    | `basic` | `username`, `password` | `Authorization: Basic …` |
    | `bearer` | `token` | `Authorization: Bearer …` |
    | `api_key` | `value`; `header` or `query` | the value, as a header or a parameter of the URL |
    | `hmac_sha256` | `secret`; `header` | `sha256=` and the HMAC of the body in hexadecimal |

    With timestamps requests are signed by `secret` of the provider itself, outside of this table.

    Attributes:
        type: Which of them.
        username: The name for `basic`.
        password: The password for `basic`.
        token: The token for `bearer`.
        value: The key for `api_key`.
        secret: The key of the HMAC for `hmac_sha256`.
        header: The name of the header; without it, `X-API-Key` or `X-Hub-Signature-256`.
        query: The name of the parameter of the URL, in place of a header.
    """

    type: Literal["basic", "bearer", "api_key", "hmac_sha256"]
    username: str | None = field(default=None, repr=False, metadata={_WANTED: "a text"})
    password: str | None = field(default=None, repr=False, metadata={_WANTED: "a text"})
    token: str | None = field(default=None, repr=False, metadata={_WANTED: "a text"})
    value: str | None = field(default=None, repr=False, metadata={_WANTED: "a text"})
    secret: str | None = field(default=None, repr=False, metadata={_WANTED: "a text"})
    header: str | None = None
    query: str | None = None

    def __attrs_post_init__(self) -> None:
        given = {
            name
            for name in ("username", "password", "token", "value", "secret", "header", "query")
            if getattr(self, name) is not None
        }
        needed, allowed = _NEEDED[self.type], _ALLOWED[self.type]
        for name in needed:
            # Where the name is the secret, the password is empty.
            if getattr(self, name) is None or (name != "password" and not getattr(self, name)):
                raise ValueError(f"type {self.type!r} needs {name!r}")
        for name in sorted(given - {*needed, *allowed}):
            raise ValueError(f"type {self.type!r} has no use for {name!r}")
        if self.header is not None and self.query is not None:
            raise ValueError("'header' and 'query' exclude each other")
        if self.header is not None and not _TOKEN.fullmatch(self.header):
            raise ValueError("'header' is no name of a header")
        if self.header is not None and self.header.lower() in _TAKEN:
            raise ValueError(f"'header' must not be {self.header!r}, which says something else")
        if self.query is not None and not self.query:
            raise ValueError("'query' must not be empty")
        if ":" in (self.username or ""):
            raise ValueError("'username' must not have a colon")
        for name in ("username", "password", "token", "value", "secret", "query"):
            if not _VALUE.fullmatch(getattr(self, name) or ""):
                raise ValueError(f"{name!r} holds control characters")

    @property
    def header_name(self) -> str | None:
        """The header that this sets; None if it sets none."""
        if self.type in {"basic", "bearer"}:
            return "Authorization"
        return None if self.query is not None else self.header or _HEADERS[self.type]

    @property
    def parameter(self) -> tuple[str, str] | None:
        """The parameter of the URL that this sets, and its value; None if it sets none."""
        return None if self.query is None else (self.query, self.value or "")

    def headers(self, body: bytes) -> dict[str, str]:
        """Return the headers that this sets for a request with `body`."""
        name = self.header_name
        return {} if name is None else {name: self._text(body)}

    def _text(self, body: bytes) -> str:
        match self.type:
            case "basic":
                pair = f"{self.username}:{self.password}".encode()
                return f"Basic {base64.b64encode(pair).decode()}"
            case "bearer":
                return f"Bearer {self.token}"
            case "api_key":
                return self.value or ""
            case "hmac_sha256":
                key = (self.secret or "").encode()
                return f"sha256={hmac.digest(key, body, hashlib.sha256).hex()}"
