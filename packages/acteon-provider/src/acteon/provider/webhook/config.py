"""What an operator says about a webhook."""

import re
from collections.abc import Mapping
from datetime import timedelta

from attrs import Attribute, field, frozen
from attrs.validators import ge
from yarl import URL

from acteon.provider.addresses import AddressGuard
from acteon.provider.webhook.signing import signing_key

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_FRAMING = frozenset({"content-length", "host", "transfer-encoding", "connection", "expect"})
_LONGEST = 86_400.0
_WANTED = "acteon.wanted"
"""Metadata: what is told of a key whose value is not, as it may be a secret."""
_URL = "an http:// or https:// URL with a host, such as https://receiver.example/path"
_HEADERS = (
    'a table of header names and their texts, such as {Authorization = "Bearer …"}, each name '
    "once, and none of the request's framing"
)
_SECRET = "a text, or whsec_ and Base64"
_NETWORKS = 'a list of networks, such as ["127.0.0.0/8"]'


def _is_web_address(_: object, attribute: "Attribute[str]", value: str) -> None:
    # The texts do not show the value: a webhook's URL is often its only secret.
    try:
        url = URL(value)
        usable = url.scheme in {"http", "https"} and bool(url.raw_host) and bool(url.port)
        # As the system's resolver will: it takes no empty label, and none above 63 bytes.
        (url.raw_host or "").encode("idna")
    except ValueError:  # a UnicodeError is one, too
        usable = False
    if not usable or re.search(r"[\x00-\x20\x7f]", value):
        raise ValueError(f"'{attribute.name}' must be an http:// or https:// URL with a host")


def _are_headers(
    _: object, attribute: "Attribute[Mapping[str, str]]", value: Mapping[str, str]
) -> None:
    seen: set[str] = set()
    for name, content in value.items():
        where = f"'{attribute.name}'"
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{where}: {name!r} is no name of a header")
        if not _VALUE.fullmatch(content):
            raise ValueError(f"{where}: the value of {name!r} holds control characters")
        if name.lower() in _FRAMING:
            raise ValueError(f"{where} must not set {name!r}: it follows from the request")
        if name.lower() in seen:
            raise ValueError(f"{where} sets {name!r} twice")
        seen.add(name.lower())


def _is_span(_: object, attribute: "Attribute[float]", value: float) -> None:
    if not 0 < value <= _LONGEST:
        raise ValueError(
            f"'{attribute.name}' must be above 0 and at most {_LONGEST:.0f} seconds, not {value:g}"
        )


def _is_secret(_: object, attribute: "Attribute[str | None]", value: str | None) -> None:
    if value is None:
        return
    try:
        usable = bool(signing_key(value))
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"'{attribute.name}' must be a text, or 'whsec_' and Base64")


def _are_networks(
    _: object, attribute: "Attribute[tuple[str, ...]]", value: tuple[str, ...]
) -> None:
    try:
        AddressGuard.from_texts(value)
    except ValueError as error:
        raise ValueError(f"'{attribute.name}' {error}") from None


@frozen(kw_only=True)
class WebhookConfig:
    """The keys of a `[[providers]]` of type `webhook`.

    Attributes:
        url: Where actions are sent, `http://` or `https://`; `user:password@` before the host
            becomes basic authentication.
        headers: Sent along; they take the place of the provider's own of the same name.
        timeout_seconds: The time for one attempt, connecting included, which may take 10 seconds
            of it. It must lie below `[executor] timeout_seconds`: only this limit knows how far
            the attempt came, so that an answered request is not sent again.
        secret: Signs every request, see `signature`; `whsec_` and Base64, or any other text,
            which is then taken as it is.
        max_response_bytes: How much of an answer is kept, after decompression; the rest is cut.
        allow_networks: Networks of special addresses that may be connected to all the same,
            such as `127.0.0.0/8`; see `AddressGuard`.
        max_connections: Requests at a time; further ones wait, within their time.
    """

    url: str = field(validator=_is_web_address, repr=False, metadata={_WANTED: _URL})
    headers: Mapping[str, str] = field(
        factory=dict[str, str], validator=_are_headers, repr=False, metadata={_WANTED: _HEADERS}
    )
    timeout_seconds: float = field(default=20.0, validator=_is_span)
    secret: str | None = field(
        default=None, validator=_is_secret, repr=False, metadata={_WANTED: _SECRET}
    )
    max_response_bytes: int = field(default=65_536, validator=ge(0))
    allow_networks: tuple[str, ...] = field(
        default=(), validator=_are_networks, metadata={_WANTED: _NETWORKS}
    )
    max_connections: int = field(default=100, validator=ge(1))

    def __attrs_post_init__(self) -> None:
        names = {name.lower() for name in self.headers}
        if "authorization" in names and URL(self.url).raw_user is not None:
            raise ValueError("'headers' sets 'Authorization', and 'url' has credentials, too")

    @property
    def timeout(self) -> timedelta:
        """The time for one attempt."""
        return timedelta(seconds=self.timeout_seconds)
