"""How the sync client sends requests: by urllib3, whose errors end here."""

import os
import ssl
import time
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

import urllib3
from attrs import define, field
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as LateError

from acteon.client.answers import Answer
from acteon.client.errors import ActeonConnectionError
from acteon.client.options import Options
from acteon.client.talking import Request
from acteon.client.unanswered import late, unreachable

_CONNECTIONS: Final = 10
"""How many are kept; more are made when more threads ask."""
_PIECE: Final = 2**20
_UNSENT: Final = (ConnectTimeoutError, NameResolutionError, NewConnectionError, ProxyError)


@define(eq=False)
class Urllib3Transport:
    """Sends requests and brings answers; threads may share it.

    Attributes:
        options: Where to, and how.
        given: Makes the connections, if the program has brought something that does.
    """

    options: Options
    given: urllib3.PoolManager | None = None
    _pool: urllib3.PoolManager = field(init=False)
    _process: int = field(factory=os.getpid, init=False)

    def __attrs_post_init__(self) -> None:
        self._pool = self.given or _pool(self.options)

    def send(self, request: Request) -> Answer | ActeonConnectionError:
        """Return the answer to `request`, or why there is none."""
        end = time.monotonic() + self.options.timeout
        if self._process != os.getpid():
            # Connections of the process that was forked are its own.
            self._process = os.getpid()
            self._pool = self.given or _pool(self.options)
        try:
            response = self._pool.request(
                request.method,
                self.options.base_url + request.target,
                body=request.body,
                headers=dict(request.headers),
                timeout=urllib3.Timeout(total=self.options.timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                body = _read(response, end)
            except BaseException:
                response.close()
                raise
            response.release_conn()
        except (HTTPError, OSError, ValueError) as error:
            return self._unanswered(error)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, body)

    def close(self) -> None:
        if self.given is None:
            self._pool.clear()

    def _unanswered(self, error: HTTPError | OSError | ValueError) -> ActeonConnectionError:
        sent = not (isinstance(error, _UNSENT) or _is_mistrust(error))
        if isinstance(error, LateError | TimeoutError) and not isinstance(
            error, NewConnectionError
        ):
            return late(self.options, error, sent=sent)
        return unreachable(self.options, error, sent=sent)


def _pool(options: Options) -> urllib3.PoolManager:
    if options.proxy is None:
        return urllib3.PoolManager(maxsize=_CONNECTIONS, ssl_context=options.tls)
    parts = urlsplit(options.proxy)
    headers = None
    if parts.username is not None:
        name, password = unquote(parts.username), unquote(parts.password or "")
        headers = urllib3.make_headers(proxy_basic_auth=f"{name}:{password}")
    url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return urllib3.ProxyManager(
        url, maxsize=_CONNECTIONS, ssl_context=options.tls, proxy_headers=headers
    )


def _read(response: urllib3.BaseHTTPResponse, end: float) -> bytes:
    pieces: list[bytes] = []
    while piece := response.read1(_PIECE):
        pieces.append(piece)
        # A body that comes in drops never exceeds the limit of a single read.
        if time.monotonic() > end:
            raise TimeoutError("the answer did not end in time")
    return b"".join(pieces)


def _is_mistrust(error: Exception) -> bool:
    """Return whether the server's certificate was refused, and nothing sent."""
    return isinstance(error, SSLError) and any(
        isinstance(each, ssl.SSLCertVerificationError) for each in error.args
    )
