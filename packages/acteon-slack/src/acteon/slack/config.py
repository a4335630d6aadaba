"""What an operator says about Slack."""

import re
from datetime import timedelta
from typing import Any, Final

from attrs import Attribute, field, frozen
from attrs.validators import ge, gt, le
from yarl import URL

from acteon.provider import AddressGuard

_LONGEST: Final = 86_400.0
_WANTED: Final = "acteon.wanted"
"""Metadata: what is told of a key whose value is not, as it may be a secret."""
_TOKEN: Final = "the token of a bot or a user, such as xoxb-…"
_WEBHOOK: Final = "the URL of an incoming webhook, such as https://hooks.slack.com/services/…"


def _is_token(_: object, attribute: "Attribute[str | None]", value: str | None) -> None:
    if value is not None and not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError(f"'{attribute.name}' must be one word without blanks")


def _is_web_address(_: object, attribute: "Attribute[Any]", value: str | None) -> None:
    if value is None:
        return
    # The text does not show the value: the URL of a webhook is its only secret.
    try:
        url = URL(value)
        usable = url.scheme in {"http", "https"} and bool(url.raw_host) and bool(url.port)
        (url.raw_host or "").encode("idna")
    except ValueError:
        usable = False
    if not usable or re.search(r"[\x00-\x20\x7f]", value):
        raise ValueError(f"'{attribute.name}' must be an http:// or https:// URL with a host")


def _are_networks(
    _: object, attribute: "Attribute[tuple[str, ...]]", value: tuple[str, ...]
) -> None:
    try:
        AddressGuard.from_texts(value)
    except ValueError as error:
        raise ValueError(f"'{attribute.name}' {error}") from None


@frozen(kw_only=True)
class SlackConfig:
    """The keys of a `[[providers]]` of type `slack`: a `token`, or a `webhook_url`.

    Attributes:
        token: Of a bot or a user with the scope `chat:write`; messages go to any channel that it
            may write to.
        webhook_url: Of an incoming webhook, in place of a token; messages go to its one channel.
        default_channel: Where messages go that name no channel.
        api_base_url: Where the Web API is.
        timeout_seconds: The time for one attempt, connecting included, which may take 10 seconds
            of it. It must lie below `[executor] timeout_seconds`.
        max_response_bytes: How much of an answer is read.
        max_connections: Requests at a time; further ones wait, within their time.
        allow_networks: Networks of special addresses that may be connected to all the same,
            such as `127.0.0.0/8`.
    """

    token: str | None = field(
        default=None, validator=_is_token, repr=False, metadata={_WANTED: _TOKEN}
    )
    webhook_url: str | None = field(
        default=None, validator=_is_web_address, repr=False, metadata={_WANTED: _WEBHOOK}
    )
    default_channel: str | None = None
    api_base_url: str = field(default="https://slack.com/api", validator=_is_web_address)
    timeout_seconds: float = field(default=20.0, validator=[gt(0), le(_LONGEST)])
    max_response_bytes: int = field(default=65_536, validator=ge(1_024))
    max_connections: int = field(default=20, validator=ge(1))
    allow_networks: tuple[str, ...] = field(default=(), validator=_are_networks)

    def __attrs_post_init__(self) -> None:
        if self.token is None and self.webhook_url is None:
            raise ValueError("'token' is missing: it, or a 'webhook_url', says who we are")
        if self.token is not None and self.webhook_url is not None:
            raise ValueError("'token' and 'webhook_url' exclude each other")
        if self.webhook_url is not None and self.default_channel is not None:
            raise ValueError("a 'webhook_url' has one channel: leave 'default_channel' out")

    @property
    def timeout(self) -> timedelta:
        """The time for one attempt."""
        return timedelta(seconds=self.timeout_seconds)

    def method(self, name: str) -> URL:
        """Return the URL of the method `name` of the Web API."""
        return URL(f"{self.api_base_url.rstrip('/')}/{name}")
