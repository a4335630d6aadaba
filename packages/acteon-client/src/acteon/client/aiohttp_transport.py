"""How the async client sends requests: by aiohttp, whose errors end here."""

import asyncio
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from attrs import define, field
from yarl import URL

from acteon.client.answers import Answer
from acteon.client.errors import ActeonConnectionError, ConfigurationError
from acteon.client.options import Options
from acteon.client.talking import Request
from acteon.client.unanswered import late, unreachable

_CONNECTIONS: Final = 100
"""How many there are at most; further requests wait."""


@define(eq=False)
class _Progress:
    """How far a request has come."""

    sent: bool = False


@define(eq=False)
class AiohttpTransport:
    """Sends requests and brings answers; tasks of one event loop may share it.

    Attributes:
        options: Where to, and how.
        given: Makes the connections, if the program has brought something that does.
    """

    options: Options
    given: aiohttp.ClientSession | None = None
    _session: aiohttp.ClientSession | None = field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)

    async def send(self, request: Request) -> Answer | ActeonConnectionError:
        """Return the answer to `request`, or why there is none."""
        progress = _Progress()
        try:
            async with self._open().request(
                request.method,
                _url(self.options.base_url + request.target),
                data=request.body,
                headers=request.headers,
                skip_auto_headers=("content-type",),  # A body that is not there has none.
                allow_redirects=False,
                proxy=self.options.proxy,
                timeout=aiohttp.ClientTimeout(total=self.options.timeout),
                trace_request_ctx=progress,
            ) as response:
                body = await response.read()
        except TimeoutError as error:
            return late(self.options, error, sent=self._was_sent(progress))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return unreachable(self.options, error, sent=self._was_sent(progress))
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, body)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None and self.given is None:
            await session.close()
            # TLS connections say goodbye in the next turn of the loop.
            await asyncio.sleep(0)

    def _was_sent(self, progress: _Progress) -> bool:
        # Nobody traces the requests of a session that the program has brought.
        return progress.sent or self.given is not None

    def _open(self) -> aiohttp.ClientSession:
        if self.given is not None:
            return self.given
        loop = asyncio.get_running_loop()
        if self._session is not None and self._loop is not loop:
            raise ConfigurationError(
                "this client has connections of another event loop: close it there first, or make "
                "a client for each"
            )
        if self._session is None:
            self._loop = loop
            trace = aiohttp.TraceConfig()
            trace.on_connection_create_end.append(_mark)
            trace.on_connection_reuseconn.append(_mark)
            ssl: Any = True if self.options.tls is None else self.options.tls
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=ssl),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[trace],
            )
        return self._session


async def _mark(session: aiohttp.ClientSession, context: SimpleNamespace, _: Any) -> None:
    progress: _Progress = context.trace_request_ctx
    progress.sent = True


def _url(url: str) -> URL:
    # It is escaped as it is to be; what the library would do to it is for URLs that people type.
    return URL(url, encoded=True)
