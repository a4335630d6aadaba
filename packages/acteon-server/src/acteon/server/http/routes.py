"""Routes that match the path as it was sent, before anything is decoded in it."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from starlette.datastructures import URLPath
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import ASGIApp, Receive, Scope, Send

from acteon.server.http.answers import send_empty
from acteon.server.http.errors import RequestError
from acteon.server.http.identity import Entrance
from acteon.server.http.mounting import sent_path

Endpoint = Callable[[Request], Awaitable[Response]]

_PARAMETER: Final = re.compile(r"\{(\w+)\}")


class RawRoute(BaseRoute):
    """A path, and what answers each method on it.

    Args:
        path: The path. `{name}` stands for one segment, which may be empty unless it is the last.
        methods: What answers them; a GET answers HEAD as well.
        entrance: Lets requests in, before the method is looked at; None: anybody may ask.

    Attributes:
        path: As given.
        methods: Their names, as given.
        entrance: As given.
        allowed: The methods, as a header `Allow` lists them.
    """

    def __init__(
        self, path: str, methods: Mapping[str, ASGIApp], entrance: Entrance | None = None
    ) -> None:
        self.path = path
        self.allowed = ",".join("GET,HEAD" if name == "GET" else name for name in methods)
        self.methods = tuple(methods)
        self._apps = dict(methods)
        if "GET" in methods:
            self._apps["HEAD"] = methods["GET"]
        self.entrance = entrance
        self._pattern = re.compile(_pattern(path))
        self._names = _PARAMETER.findall(path)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found = self._pattern.fullmatch(sent_path(scope))
        if found is None:
            return Match.NONE, {}
        return Match.FULL, {"acteon.segments": found.groups()}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.entrance is not None:
            await self.entrance(scope)
        app = self._apps.get(scope["method"])
        if app is None:
            await send_empty(send, 405, [(b"allow", self.allowed.encode())])
            return
        scope["path_params"] = {
            name: _decoded(name, segment)
            for name, segment in zip(self._names, scope["acteon.segments"], strict=True)
        }
        await app(scope, receive, send)


def answering(endpoint: Endpoint) -> ASGIApp:
    """Return `endpoint` as an ASGI application."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive))
        await response(scope, receive, send)

    return app


def _pattern(path: str) -> bytes:
    literal = _PARAMETER.sub("\0", path)
    last = literal.endswith("\0")
    pattern = re.escape(literal.removesuffix("\0")).replace("\0", "([^/]*)")
    return (pattern + ("([^/]+)" if last else "")).encode()


def _decoded(name: str, segment: bytes) -> str:
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise RequestError(400, f"Invalid URL: Invalid UTF-8 in `{name}`") from None
