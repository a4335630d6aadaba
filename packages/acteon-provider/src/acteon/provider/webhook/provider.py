"""Handing actions to an HTTP endpoint."""

import logging
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from importlib.metadata import version
from types import TracebackType
from typing import Self

from attrs import define, field
from yarl import URL

from acteon.core import (
    SYSTEM_CLOCK,
    Action,
    Clock,
    InvalidError,
    MalformedError,
    ProviderResponse,
    decode_json,
    encode_json,
)
from acteon.provider.addresses import AddressGuard
from acteon.provider.errors import ProviderConnectionError, ProviderSerializationError
from acteon.provider.guarded import with_plain_host
from acteon.provider.http import CONNECT_LIMIT, Answer, HttpCaller
from acteon.provider.provider import Provider, ProviderPlugin
from acteon.provider.templates import TextTemplate
from acteon.provider.webhook.answers import KEPT, judge
from acteon.provider.webhook.config import WebhookConfig
from acteon.provider.webhook.signing import delivery_key, signature

log = logging.getLogger(__name__)


@define(eq=False)
class WebhookProvider:
    """Sends every action to one URL; enter it before use.

    Without anything else in its configuration it makes a `POST` whose body is the whole action: its
    nine members, sorted, compact. `Idempotency-Key` is the same for all attempts of all dispatches
    of an action (see `delivery_key`), so a receiver that heeds it may be asked again. How requests
    are made, and what is known of those without an answer, is told in `acteon.provider.http`;
    what answers mean, in `answers`. The response's headers hold the status as `:status` beside
    some of the receiver's. No request is ever repeated here.

    Two things undo a status line that came in: a body that is malformed in the same segment (see
    `answers`), and a caller who cancels, as by a limit of his own that is not above
    `config.timeout`.

    Attributes:
        config: Where to, and how.
        clock: Stamps signatures, and tells how far off a `Retry-After` date is.
        connect_limit: The part of `config.timeout` that looking the name up, connecting and the
            handshake may take.
    """

    config: WebhookConfig
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True)
    connect_limit: timedelta = field(default=CONNECT_LIMIT, kw_only=True)
    _caller: HttpCaller = field(init=False, repr=False)
    _url: URL = field(init=False, repr=False)
    _names: frozenset[str] = field(init=False, repr=False)
    _kept: tuple[str, ...] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        config = self.config
        self._caller = HttpCaller(
            AddressGuard.from_texts(config.allow_networks),
            config.timeout,
            f"acteon/{version('acteon-provider')}",
            connect_limit=self.connect_limit,
            max_connections=config.max_connections,
            max_response_bytes=config.max_response_bytes,
        )
        self._url = URL(config.url)
        if config.auth is not None and config.auth.parameter is not None:
            self._url = self._url.extend_query([config.auth.parameter])
        self._names = frozenset(name.lower() for name in config.headers)
        self._kept = (*KEPT, *(name.lower() for name in config.response_headers))

    def needed_leave(self) -> str | None:
        """Return the line for `[[providers]]` without which every call is refused, if one is."""
        host = (with_plain_host(self._url).raw_host or "").rstrip(".").lower()
        names = ["127.0.0.1", "::1"] if host == "localhost" else [host.partition("%")[0]]
        try:
            wanted = [self._caller.guard.leave_for(name) for name in names]
        except ValueError:
            return None  # A name that only the resolver knows.
        if None in wanted:
            return None
        quoted = ", ".join(f"'{each}'" for each in wanted)
        return f"allow_networks = [{quoted}]"

    @property
    def idempotent(self) -> bool:
        """Whether receivers can tell a repeated call: unless the key is configured away."""
        return "idempotency-key" not in self._names

    @property
    def closed(self) -> bool:
        """Whether it has been left."""
        return self._caller.closed

    async def __aenter__(self) -> Self:
        await self._caller.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._caller.__aexit__(kind, error, traceback)

    async def execute(self, action: Action) -> ProviderResponse:
        config = self.config
        try:
            key = delivery_key(action)
            body = None if config.method in {"GET", "DELETE"} else self._body(action)
        except InvalidError as error:
            raise ProviderSerializationError(str(error)) from None
        sent = body or b""
        headers = {"Idempotency-Key": key}
        if body is not None:
            headers["Content-Type"] = config.content_type
        if config.secret is not None:
            now, previous = self.clock.now(), config.previous_secret
            headers |= signature(config.secret, key, now, sent, previous=previous)
        if config.auth is not None:
            headers |= config.auth.headers(sent)
        answer = await self._call(config.method, headers, body)
        return judge(answer, self.clock.now(), success=config.success, kept=self._kept)

    def _body(self, action: Action) -> bytes:
        config = self.config
        shape = config.shape
        if shape is None:
            return encode_json(action.as_json() if config.sends == "action" else action.payload)
        if not isinstance(shape, TextTemplate):
            return encode_json(shape.render(action))
        try:
            body = shape.render(action).encode()
        except UnicodeEncodeError:
            raise ProviderSerializationError(
                "the 'body' that was filled in is no Unicode"
            ) from None
        if config.is_json:
            try:
                decode_json(body)
            except MalformedError as error:
                raise ProviderSerializationError(
                    f"the 'body' that was filled in is no JSON: {error}; tojson writes values so"
                ) from None
        return body

    async def health_check(self) -> None:
        """Return if the receiver answers a `HEAD` of the URL with any status below 500.

        Many endpoints take nothing but `POST` and answer 405: they are there, which is what
        counts.
        """
        auth = self.config.auth
        # A signature of no body proves nothing, and may count as an attack.
        signs = auth is None or auth.type == "hmac_sha256"
        answer = await self._call("HEAD", {} if signs or auth is None else auth.headers(b""), None)
        if answer.status >= 500:
            raise ProviderConnectionError(f"the receiver answered {answer.status}")

    async def _call(self, method: str, ours: Mapping[str, str], body: bytes | None) -> Answer:
        """Make one request and return its answer, of any status."""
        headers = {"Accept-Encoding": "identity", **ours}
        headers = {name: text for name, text in headers.items() if name.lower() not in self._names}
        return await self._caller.call(method, self._url, {**headers, **self.config.headers}, body)


class WebhookPlugin(ProviderPlugin):
    """Opens webhooks."""

    Config = WebhookConfig
    kit = "1"

    @classmethod
    def open(cls, name: str, config: WebhookConfig) -> AbstractAsyncContextManager[Provider]:
        provider = WebhookProvider(config)
        line = provider.needed_leave()
        if line is not None:
            log.warning(
                "a webhook will be refused: its host is no public address; allow it in its "
                "[[providers]] if that is meant",
                extra={"acteon.provider": name, "acteon.line": line},
            )
        return provider
