"""What an operator says about a webhook."""

import re
from collections.abc import Container, Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal

from attrs import Attribute, field, frozen
from attrs.validators import ge, optional
from yarl import URL

from acteon.provider.addresses import AddressGuard
from acteon.provider.shaping import is_template
from acteon.provider.templates import PayloadTemplate, TextTemplate
from acteon.provider.webhook.auth import WebhookAuth
from acteon.provider.webhook.signing import signing_key

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:; ?[\w-]+=[\w\"./+-]+)*", re.ASCII)
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


def _are_codes(
    _: object, attribute: "Attribute[tuple[int | str, ...]]", value: tuple[int | str, ...]
) -> None:
    if not value or not all(map(_codes, value)):
        raise ValueError(
            f"'{attribute.name}' must be a list of statuses and ranges, from 200 to 599, such as "
            '["200-299", 404]'
        )


def _codes(code: int | str) -> range | None:
    match = re.fullmatch(r"([2-5][0-9]{2})(?:-([2-5][0-9]{2}))?", str(code), re.ASCII)
    if match is None:
        return None
    return range(int(match[1]), int(match[2] or match[1]) + 1) or None


def _is_text_template(_: object, attribute: "Attribute[str | None]", value: str | None) -> None:
    if value is None:
        return
    try:
        TextTemplate.of(value)
    except ValueError as error:
        raise ValueError(f"'{attribute.name}' {error}") from None


def _is_media_type(_: object, attribute: "Attribute[str]", value: str) -> None:
    if not _MEDIA_TYPE.fullmatch(value):
        raise ValueError(f"'{attribute.name}' must be a media type, such as application/json")


def _are_names(_: object, attribute: "Attribute[tuple[str, ...]]", value: tuple[str, ...]) -> None:
    for name in value:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"'{attribute.name}': {name!r} is no name of a header")


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
        previous_secret: Signs every request as well, while receivers change from one secret to
            another.
        method: The method of requests; `GET` and `DELETE` have no body.
        sends: What the body is, without `template` and `body`: the whole `action`, or its
            `payload`.
        template: The body, as JSON: its texts are templates, filled in from the action.
        body: The body, as one text that is a template.
        content_type: What `body` is; if that is JSON, it has to be when it is filled in.
        success_codes: Statuses and ranges of them, such as `404` and `"200-299"`, that say that
            the action was delivered.
        response_headers: Headers of answers that are told besides the usual ones.
        auth: How the receiver knows who sends.
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
    previous_secret: str | None = field(
        default=None, validator=_is_secret, repr=False, metadata={_WANTED: _SECRET}
    )
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    sends: Literal["action", "payload"] = "action"
    template: Mapping[str, Any] | None = field(
        default=None, validator=optional(is_template), repr=False
    )
    body: str | None = field(default=None, validator=_is_text_template, repr=False)
    content_type: str = field(default="application/json", validator=_is_media_type)
    success_codes: tuple[int | str, ...] = field(default=("200-299",), validator=_are_codes)
    response_headers: tuple[str, ...] = field(default=(), validator=_are_names)
    auth: WebhookAuth | None = None
    max_response_bytes: int = field(default=65_536, validator=ge(0))
    allow_networks: tuple[str, ...] = field(
        default=(), validator=_are_networks, metadata={_WANTED: _NETWORKS}
    )
    max_connections: int = field(default=100, validator=ge(1))

    def __attrs_post_init__(self) -> None:
        names = {name.lower() for name in self.headers}
        if "authorization" in names and URL(self.url).raw_user is not None:
            raise ValueError("'headers' sets 'Authorization', and 'url' has credentials, too")
        if self.auth is not None and self.auth.header_name is not None:
            header = self.auth.header_name
            if header.lower() in names:
                raise ValueError(f"'headers' sets {header!r}, and so does 'auth'")
            if header == "Authorization" and URL(self.url).raw_user is not None:
                raise ValueError("'url' has credentials, and 'auth', too")
        if self.auth is not None and self.auth.query in URL(self.url).query:
            raise ValueError(f"'url' has the parameter {self.auth.query!r}, and so does 'auth'")
        if self.previous_secret is not None and self.secret is None:
            raise ValueError("'previous_secret' is of use with a 'secret' only")
        self._check_body(names)

    def _check_body(self, headers: Container[str]) -> None:
        shaping = [name for name in ("template", "body") if getattr(self, name) is not None]
        if self.sends != "action":
            shaping.append("sends")
        for name in shaping:
            if self.method in {"GET", "DELETE"}:
                raise ValueError(f"{name!r} says what the body is, but a {self.method} has none")
        if len(shaping) > 1:
            raise ValueError(f"{shaping[0]!r} and {shaping[1]!r} exclude each other")
        if self.body is None and self.content_type != "application/json":
            raise ValueError("'content_type' is that of a 'body'; all others are JSON")
        if self.body is not None and "content-type" in headers:
            raise ValueError("'headers' sets 'Content-Type'; with a 'body', 'content_type' does")

    @property
    def is_json(self) -> bool:
        """Whether `content_type` is JSON."""
        kind = self.content_type.partition(";")[0].strip().lower()
        return kind in {"application/json", "text/json"} or kind.endswith("+json")

    @cached_property
    def success(self) -> frozenset[int]:
        """The statuses that `success_codes` names."""
        return frozenset(code for each in self.success_codes for code in _codes(each) or ())

    @cached_property
    def shape(self) -> PayloadTemplate | TextTemplate | None:
        """The template of the body, compiled; None if there is none."""
        if self.template is not None:
            return PayloadTemplate.of(self.template)
        return None if self.body is None else TextTemplate.of(self.body)

    @property
    def timeout(self) -> timedelta:
        """The time for one attempt."""
        return timedelta(seconds=self.timeout_seconds)
