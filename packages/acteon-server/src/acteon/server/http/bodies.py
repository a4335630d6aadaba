"""Request bodies: what kind they are, how large, how slow."""

import asyncio
import re
from collections.abc import Callable
from typing import Final, TypeVar

from attrs import define, frozen
from starlette.types import Receive, Scope

from acteon.core import InvalidError, MalformedError, Unfinished, run_eagerly
from acteon.server.config import ServerSection
from acteon.server.http.errors import ClientGoneError, RequestError
from acteon.server.http.hints import on_no_json, on_shape, on_type

T = TypeVar("T")

_JSON_TYPE: Final = re.compile(rb"application/(?:[!#-'*+.^-`|~\w-]+\+)?json(?:;.*)?", re.I | re.S)

_LISTENED: Final = 8
"""How many times the limit is read, and thrown away, of a body that is refused anyway: many
clients look at the answer only when they have sent everything."""


def content_type(scope: Scope) -> bytes | None:
    """Return the first `Content-Type` of a request, if it has one."""
    return header(scope, b"content-type")


def header(scope: Scope, wanted: bytes) -> bytes | None:
    """Return the first value of the header `wanted`, which is in lower case."""
    value: bytes
    for name, value in scope["headers"]:
        if name == wanted:
            return value
    return None


@frozen
class BodyReader:
    """Reads bodies of JSON, within limits of `server`."""

    server: ServerSection

    async def read(self, scope: Scope, receive: Receive, decode: Callable[[bytes], T]) -> T:
        """Return what the body of a request says.

        Args:
            scope: The request's.
            receive: The request's.
            decode: Decodes it; may raise `WireError`.

        Raises:
            RequestError: It is no JSON, too large, too slow, or `decode` refuses it.
            ClientGoneError: It was not sent to its end.
        """
        problem = self._refused_at_once(scope)
        if problem is not None and header(scope, b"expect") is not None:
            raise problem  # The client has not sent it yet.
        body = await self._whole(receive, problem)
        try:
            return decode(body)
        except MalformedError as error:
            hint = on_no_json(str(error), body)
            text = f"Failed to parse the request body as JSON: {error}{hint}"
            raise RequestError(400, text) from None
        except InvalidError as error:
            hint = on_shape(str(error), body, scope["path"])
            text = f"Failed to deserialize the JSON body into the target type: {error}{hint}"
            raise RequestError(422, text) from None

    def _refused_at_once(self, scope: Scope) -> RequestError | None:
        kind = content_type(scope)
        if kind != b"application/json" and not (kind and _JSON_TYPE.fullmatch(kind)):
            wanted = "Expected request with `Content-Type: application/json`"
            return RequestError(415, f"{wanted}{on_type(kind)}")
        length = header(scope, b"content-length")
        # More digits than any limit has; int() would refuse thousands of them.
        if length and (len(length) > 18 or int(length) > self.server.max_body_bytes):
            return _too_large()
        return None

    async def _whole(self, receive: Receive, problem: RequestError | None) -> bytes:
        upload = _Upload(self.server.max_body_bytes, problem)
        # Most bodies are there already: those need no time limit.
        rest = run_eagerly(upload.take(receive))
        if isinstance(rest, Unfinished):
            limit = self.server.read_timeout.total_seconds()
            try:
                async with asyncio.timeout(limit):
                    await rest
            except TimeoutError:
                text = f"the request body took more than {limit:g} seconds"
                upload.problem = upload.problem or RequestError(408, text)
        if upload.problem is not None:
            raise upload.problem
        return upload.body


@define(eq=False)
class _Upload:
    """A body on its way.

    Attributes:
        limit: How many bytes it may have.
        problem: Why it is refused, if it is.
        body: What has come of it.
    """

    limit: int
    problem: RequestError | None
    body: bytes = b""

    async def take(self, receive: Receive) -> None:
        """Take it in to its end, or until it is much too long.

        Raises:
            ClientGoneError: It was not sent to its end.
        """
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(chunk)
            if self.problem is None and size > self.limit:
                self.problem = _too_large()
                chunks.clear()
            if self.problem is None:
                chunks.append(chunk)
            elif size > _LISTENED * self.limit:
                return
        self.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large() -> RequestError:
    return RequestError(413, "Failed to buffer the request body: length limit exceeded")
