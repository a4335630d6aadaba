"""Requests of providers that speak HTTP: within limits, never repeated, and of known delivery.

Nothing was delivered, for certain, when no connection came about. From the first byte of a request
on, only the receiver's answer tells; without one, nobody knows. A status line that came in counts,
even if time runs out over the body. Redirects are not followed, cookies not kept, proxies of the
environment not used.
"""

import asyncio
import os
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import SimpleNamespace, TracebackType
from typing import Self

from aiohttp import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
    StreamReader,
    TraceConfig,
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceRequestHeadersSentParams,
)
from attrs import define, field
from yarl import URL

from acteon.provider.addresses import AddressGuard
from acteon.provider.errors import (
    Delivery,
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
)
from acteon.provider.guarded import guarded_connector, host_refusal, with_plain_host

__all__ = ["CONNECT_LIMIT", "Answer", "HttpCaller", "parse_retry_after"]

CONNECT_LIMIT = timedelta(seconds=10)
"""What looking a name up, connecting and the handshake may take, unless said otherwise."""

_LONGEST_PAUSE = timedelta(days=366)


@define(eq=False)
class Answer:
    """An answer as far as it has come in.

    Attributes:
        status: The status code.
        headers: Their names in any case, as the mapping finds them in any case.
        limit: How many bytes of the body are kept, after decompression.
        received: What came, still compressed.
        complete: Whether `received` is all of the body.
    """

    status: int
    headers: Mapping[str, str]
    limit: int
    received: bytearray = field(factory=bytearray)
    complete: bool = False

    async def read(self, stream: StreamReader) -> None:
        """Read the body; return when it ended, or when more than the limit has come."""
        while len(self.received) <= self.limit:
            chunk = await stream.readany()
            if not chunk:
                self.complete = True
                return
            self.received += chunk

    def content(self) -> tuple[bytes, bool]:
        """Return what is kept of the body, unpacked, and whether that is all of it."""
        encoding = self.headers.get("content-encoding", "").strip().lower()
        content = bytes(self.received)
        whole = self.complete
        if encoding in {"gzip", "x-gzip", "deflate"} and content:
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # both formats, by their header
            try:
                # Never more than this is unpacked, however much it would be.
                content = unpacker.decompress(content, self.limit + 1)
            except zlib.error:
                return b"", False
            whole = whole and unpacker.eof and not unpacker.unused_data
        return content[: self.limit], whole and len(content) <= self.limit

    def retry_after(self, now: datetime) -> timedelta | None:
        """Return how long the receiver asked to be left alone, if it did."""
        return parse_retry_after(self.headers.get("retry-after", ""), now)


@define(eq=False)
class HttpCaller:
    """Makes the requests of one provider; enter it before use.

    Attributes:
        guard: Judges the addresses that are connected to.
        timeout: The most that one request may take.
        connect_limit: The part of `timeout` that looking the name up, connecting and the
            handshake may take. It ends the wait for hosts out of reach while it is certain that
            nothing was delivered, and leaves time for the answer of those that are not.
        max_connections: Requests at a time; further ones wait, within their time.
        max_response_bytes: How much of an answer is kept, after decompression.
        user_agent: Who receivers are told we are.
    """

    guard: AddressGuard
    timeout: timedelta
    user_agent: str
    connect_limit: timedelta = field(default=CONNECT_LIMIT, kw_only=True)
    max_connections: int = field(default=100, kw_only=True)
    max_response_bytes: int = field(default=65_536, kw_only=True)
    _session: ClientSession = field(init=False, repr=False)

    async def __aenter__(self) -> Self:
        tracing = TraceConfig()
        tracing.on_connection_create_start.append(_note_connecting)
        tracing.on_connection_create_end.append(_note_connected)
        tracing.on_request_headers_sent.append(_note_sending)
        self._session = ClientSession(
            connector=guarded_connector(self.guard, limit=self.max_connections),
            cookie_jar=DummyCookieJar(),
            headers={"User-Agent": self.user_agent},
            # The library unpacks as much as comes; `Answer` stops at its limit.
            auto_decompress=False,
            timeout=ClientTimeout(total=None, sock_connect=None),
            middlewares=(_never_again,),
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

    @property
    def closed(self) -> bool:
        """Whether it has been left."""
        return self._session.closed

    def refusal(self, url: URL) -> str | None:
        """Return why `url` is never called, if its host is an address that is refused."""
        return host_refusal(self.guard, with_plain_host(url))

    async def call(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """Make one request and return its answer, of any status.

        Args:
            method: `POST`, …
            url: Where to. Its host is judged by the guard.
            headers: All of them but those of the connection; none is added but `User-Agent` and
                `Accept-Encoding`, unless they are there.
            body: The body, if there is one.

        Raises:
            ProviderConfigurationError: The address is refused.
            ProviderConnectionError: There is no answer.
            ProviderTimeoutError: It did not come in time.
        """
        url = with_plain_host(url)
        refusal = host_refusal(self.guard, url)
        if refusal is not None:
            raise ProviderConfigurationError(refusal)
        answer: Answer | None = None
        scope = asyncio.timeout(self.timeout.total_seconds())
        progress = _Progress(scope, self.connect_limit)
        try:
            async with (
                scope,
                self._session.request(
                    method,
                    url,
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    trace_request_ctx=progress,
                ) as response,
            ):
                answer = Answer(response.status, response.headers, self.max_response_bytes)
                await answer.read(response.content)
                if not answer.complete:
                    response.close()  # The rest of it is wanted by nobody.
        except (ClientError, OSError, _LostError) as error:
            if answer is None:
                cause = error.cause if isinstance(error, _LostError) else error
                # Without the cause: its text may hold the URL, and with it a secret.
                raise self._failure(cause, progress) from None
        return answer

    def _failure(self, error: Exception, progress: "_Progress") -> ProviderError:
        delivery: Delivery = "unknown" if progress.sending else "none"
        if progress.scope.expired():
            limit = self.connect_limit if progress.hurried else self.timeout
            return ProviderTimeoutError(limit, delivery=delivery)
        return ProviderConnectionError(_text(error), delivery=delivery)


class _LostError(Exception):
    """The connection is lost."""

    def __init__(self, cause: ClientConnectionError) -> None:
        super().__init__()
        self.cause = cause


async def _never_again(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Make `request`, and keep the library from making it a second time.

    That it does by itself, once, for methods such as `PUT` and `DELETE`, when the connection is
    lost before an answer.
    """
    try:
        return await handler(request)
    except (ClientOSError, ServerDisconnectedError) as error:
        raise _LostError(error) from None


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


def parse_retry_after(text: str, now: datetime) -> timedelta | None:
    """Return how long the header `Retry-After: text` asks to wait, at most a year.

    Args:
        text: Seconds, or the date of HTTP.
        now: What a date is counted from.

    Returns:
        The pause, zero if the date has passed; None if the text says nothing of the kind.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,32}", text):
        return timedelta(seconds=min(int(text), int(_LONGEST_PAUSE.total_seconds())))
    try:
        instant = parsedate_to_datetime(text)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        pause = instant - now
    except (ValueError, OverflowError):
        return None
    return min(max(pause, timedelta(0)), _LONGEST_PAUSE)
