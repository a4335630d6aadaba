"""The outermost layer: what every answer has, and what is answered when things go wrong."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from attrs import define, field
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acteon.core import ActeonError
from acteon.gateway import DrainingError
from acteon.server.http.answers import Headers, encode, send_empty, send_json
from acteon.server.http.cors import CorsPolicy
from acteon.server.http.errors import INTERNAL, ClientGoneError, Failure, failure_of
from acteon.server.http.identity import ANSWER_HEADERS
from acteon.server.http.mounting import as_mounted
from acteon.server.http.proxies import Proxies
from acteon.server.http.routes import RawRoute

log = logging.getLogger(__name__)


@define(eq=False)
class HttpApp:
    """An ASGI application: adds CORS headers to each answer of `app`, and answers where it raises.

    Attributes:
        app: What answers requests.
        cors: Which pages may use the server.
        routes: All paths that there are.
        proxies: Those who tell where requests come from.
    """

    app: ASGIApp
    cors: CorsPolicy
    routes: Sequence[RawRoute]
    proxies: Proxies = field(factory=Proxies)
    _running: set["asyncio.Task[Any]"] = field(factory=set["asyncio.Task[Any]"], init=False)
    _cut: bool = field(default=False, init=False)

    def cut_off(self) -> int:
        """Cancel all requests under way, which are answered 503; return how many there were."""
        self._cut = True
        for task in self._running:
            task.cancel()
        return len(self._running)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _other(scope, receive, send)
            return
        if scope.get("root_path") or "app" in scope or "raw_path" not in scope:
            scope = as_mounted(scope)
        if self.proxies.networks:
            scope["client"] = self.proxies.client(scope)
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await self._answer(scope, receive, send)
        finally:
            self._running.discard(task)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = self.cors.headers(scope)
        started = False

        async def send_on(message: Message) -> None:
            nonlocal started
            if not started:
                started = True
                message["headers"] = [*message["headers"], *headers, *scope.get(ANSWER_HEADERS, ())]
            await send(message)

        try:
            if scope["method"] == "OPTIONS":
                await self._preflight(scope, send_on)
                return
            self.cors.check(scope)
            await self.app(scope, receive, send_on)
        except ClientGoneError:
            return
        except ActeonError as error:
            if started:
                raise
            await _send_failure(send_on, failure_of(error))
        except asyncio.CancelledError:
            if started or not self._cut:
                raise
            # It was us who cancelled, and this is the outermost frame of the request.
            await _send_failure(send_on, failure_of(DrainingError()))
        except Exception:
            if started:
                raise  # All that is left is to cut the connection, which the server does.
            log.exception(
                "a request failed unexpectedly",
                extra={"acteon.method": scope["method"], "acteon.path": scope["path"]},
            )
            await _send_failure(send_on, INTERNAL)

    async def _preflight(self, scope: Scope, send: Send) -> None:
        matching = (one.allowed for one in self.routes if one.matches(scope)[0] is Match.FULL)
        allowed = next(matching, None)
        more: Headers = [] if allowed is None else [(b"allow", allowed.encode())]
        await send_empty(send, 200, more)


async def _send_failure(send: Send, failure: Failure) -> None:
    wait = failure.retry_after
    more: Headers = [] if wait is None else [(b"retry-after", b"%d" % wait)]
    if failure.status == 401:
        more.append((b"www-authenticate", b"Bearer"))
    await send_json(send, failure.status, encode(failure.body), more)


_LIFESPAN: Final = ("startup", "shutdown")


async def _other(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer what is no request: the gateway is opened and closed elsewhere."""
    if scope["type"] == "lifespan":
        for stage in _LIFESPAN:
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
