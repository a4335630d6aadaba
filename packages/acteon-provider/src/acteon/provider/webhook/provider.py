"""Handing actions to an HTTP endpoint."""

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from importlib.metadata import version
from types import SimpleNamespace, TracebackType
from typing import Self

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientOSError,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
    TraceConfig,
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceRequestHeadersSentParams,
)
from attrs import define, field
from yarl import URL

from acteon.core import SYSTEM_CLOCK, Action, Clock, InvalidError, ProviderResponse, encode_json
from acteon.provider.addresses import AddressGuard
from acteon.provider.errors import (
    Delivery,
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderError,
    ProviderSerializationError,
    ProviderTimeoutError,
)
from acteon.provider.guarded import guarded_connector, host_refusal, with_plain_host
from acteon.provider.provider import Provider, ProviderPlugin
from acteon.provider.webhook.answers import Answer
from acteon.provider.webhook.config import WebhookConfig
from acteon.provider.webhook.signing import delivery_key, signature

log = logging.getLogger(__name__)


@define(eq=False)
class WebhookProvider:
    """Sends every action as JSON, `POST`, to one URL; enter it before use.

    The body is the whole action: its nine members, sorted, compact. `Idempotency-Key` is the
    same for all attempts of all dispatches of an action (see `delivery_key`), so a receiver that
    heeds it may be asked again. Redirects are not followed, cookies not kept, proxies of the
    environment not used. What the answer means is told in `answers`; the response's headers hold
    the status as `:status` beside some of the receiver's.

    Nothing was delivered, for certain, when no connection came about. From the first byte of a
    request on, only the receiver's answer tells; without one, nobody knows. No request is ever
    repeated here.

    A status line that came in counts, even if time runs out over the body. Two things undo that:
    a body that is malformed in the same segment (see `answers`), and a caller who cancels, as by
    a limit of his own that is not above `config.timeout`.

    Attributes:
        config: Where to, and how.
        clock: Stamps signatures, and tells how far off a `Retry-After` date is.
        connect_limit: The part of `config.timeout` that looking the name up, connecting and the
            handshake may take. It ends the wait for hosts out of reach while it is certain that
            nothing was delivered, and leaves time for the answer of those that are not.
    """

    config: WebhookConfig
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True)
    connect_limit: timedelta = field(default=timedelta(seconds=10), kw_only=True)
    _url: URL = field(init=False, repr=False)
    _refusal: str | None = field(init=False)
    _names: frozenset[str] = field(init=False, repr=False)
    _session: ClientSession = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._url = with_plain_host(URL(self.config.url))
        self._refusal = host_refusal(self._guard(), self._url)
        self._names = frozenset(name.lower() for name in self.config.headers)

    def _guard(self) -> AddressGuard:
        return AddressGuard.from_texts(self.config.allow_networks)

    def needed_leave(self) -> str | None:
        """Return the line for `[[providers]]` without which every call is refused, if one is."""
        host = (self._url.raw_host or "").rstrip(".").lower()
        names = ["127.0.0.1", "::1"] if host == "localhost" else [host.partition("%")[0]]
        try:
            wanted = [self._guard().leave_for(name) for name in names]
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

    async def __aenter__(self) -> Self:
        tracing = TraceConfig()
        tracing.on_connection_create_start.append(_note_connecting)
        tracing.on_connection_create_end.append(_note_connected)
        tracing.on_request_headers_sent.append(_note_sending)
        self._session = ClientSession(
            connector=guarded_connector(self._guard(), limit=self.config.max_connections),
            cookie_jar=DummyCookieJar(),
            headers={"User-Agent": f"acteon/{version('acteon-provider')}"},
            # The library unpacks as much as comes; `Answer` stops at its limit.
            auto_decompress=False,
            timeout=ClientTimeout(total=None, sock_connect=None),
            trace_configs=[tracing],
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def execute(self, action: Action) -> ProviderResponse:
        try:
            body = encode_json(action.as_json())
            key = delivery_key(action)
        except InvalidError as error:
            raise ProviderSerializationError(str(error)) from None
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self.config.secret is not None:
            headers |= signature(self.config.secret, key, self.clock.now(), body)
        answer = await self._call("POST", headers, body)
        return answer.judge(self.clock.now())

    async def health_check(self) -> None:
        """Return if the receiver answers a `HEAD` of the URL with any status below 500.

        Many endpoints take nothing but `POST` and answer 405: they are there, which is what
        counts.
        """
        answer = await self._call("HEAD", {}, None)
        if answer.status >= 500:
            raise ProviderConnectionError(f"the receiver answered {answer.status}")

    async def _call(self, method: str, ours: Mapping[str, str], body: bytes | None) -> Answer:
        """Make one request and return its answer, of any status."""
        if self._refusal is not None:
            raise ProviderConfigurationError(self._refusal)
        headers = {"Accept-Encoding": "identity", **ours}
        headers = {name: text for name, text in headers.items() if name.lower() not in self._names}
        answer: Answer | None = None
        scope = asyncio.timeout(self.config.timeout_seconds)
        progress = _Progress(scope, self.connect_limit)
        try:
            async with (
                scope,
                self._session.request(
                    method,
                    self._url,
                    headers={**headers, **self.config.headers},
                    data=body,
                    allow_redirects=False,
                    trace_request_ctx=progress,
                ) as response,
            ):
                answer = Answer(response.status, response.headers, self.config.max_response_bytes)
                await answer.read(response.content)
                if not answer.complete:
                    response.close()  # The rest of it is wanted by nobody.
        except (ClientError, OSError) as error:
            if answer is None:
                # Without the cause: its text may hold the URL, and with it a secret.
                raise self._failure(error, progress) from None
        return answer

    def _failure(self, error: Exception, progress: "_Progress") -> ProviderError:
        delivery: Delivery = "unknown" if progress.sending else "none"
        if progress.scope.expired():
            limit = self.connect_limit if progress.hurried else self.config.timeout
            return ProviderTimeoutError(limit, delivery=delivery)
        return ProviderConnectionError(_text(error), delivery=delivery)


@define
class _Progress:
    """How far a request has come, and the time it has.

    Attributes:
        scope: Ends the request.
        connect_limit: How long connecting may take.
        hurried: Whether the scope ends earlier than at first, because a connection is awaited.
        sending: Whether there is a connection, and a byte may have gone out on it.
    """

    scope: asyncio.Timeout
    connect_limit: timedelta
    hurried: bool = False
    sending: bool = False
    _end: float | None = None

    def connecting(self) -> None:
        self._end = self.scope.when()
        limit = asyncio.get_running_loop().time() + self.connect_limit.total_seconds()
        if self._end is not None and limit < self._end:
            self.hurried = True
            self.scope.reschedule(limit)

    def connected(self) -> None:
        if self.hurried and not self.scope.expired():
            self.hurried = False
            self.scope.reschedule(self._end)


async def _note_connecting(
    _session: ClientSession, context: SimpleNamespace, _: TraceConnectionCreateStartParams
) -> None:
    context.trace_request_ctx.connecting()


async def _note_connected(
    _session: ClientSession, context: SimpleNamespace, _: TraceConnectionCreateEndParams
) -> None:
    context.trace_request_ctx.connected()


async def _note_sending(
    _session: ClientSession, context: SimpleNamespace, _sent: TraceRequestHeadersSentParams
) -> None:
    context.trace_request_ctx.sending = True


def _text(error: Exception) -> str:
    """Return what happened, without the URL or anything of it."""
    match error:
        case ClientConnectorDNSError():
            return "the name of the host cannot be resolved"
        case ClientConnectorCertificateError():
            return "the certificate of the receiver is not accepted"
        case ClientConnectorSSLError():
            return "the receiver does not speak TLS as it should"
        case ClientConnectorError(os_error=cause):
            return f"cannot connect: {_reason(cause)}"
        case ServerDisconnectedError():
            return "the receiver closed the connection without an answer"
        case ClientResponseError():
            return "the answer is no HTTP"
        case ClientOSError() | OSError():
            return f"connection lost: {_reason(error)}"
        case _:
            return f"connection lost: {type(error).__name__}"


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__


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
