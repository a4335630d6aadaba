"""What tests need that speak HTTP to a server: one that runs here, and a client that hides nothing.

```python
async with RunningServer() as server:
    server.app = create_app(gateway)
    answer = await request(server.url, "GET", "/health")
    assert answer.status == 200
```
"""

import asyncio
import json
import os
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.parse import urlsplit

from attrs import define, evolve, field, frozen
from starlette.types import Receive, Scope, Send

from acteon.gateway import Gateway
from acteon.server.auth.signin import SignIn
from acteon.server.config import Asgi, ServerSection
from acteon.server.http import HttpApp
from acteon.server.http.identity import Authenticate, Limit, LimitActions
from acteon.server.http.listening import listening
from acteon.server.http.providers import Reload
from acteon.server.http.running import Shutdown, run_app

LIMIT: Final = 20.0
"""Seconds after which an answer counts as never coming."""


@define(eq=False)
class RunningServer:
    """Serves `app`, which may be exchanged at any time, on a free port of 127.0.0.1.

    Attributes:
        asgi: Which server speaks HTTP.
        app: What answers requests.
        shutdown_timeout: How long requests under way may take when it is left.
        read_timeout: How long the head of a request may take to arrive.
        tls: What connections are encrypted with; None: they are not.
        url: Where it is reached, once it is entered.
    """

    asgi: Asgi = Asgi.AUTO
    app: HttpApp | None = None
    shutdown_timeout: timedelta = timedelta(seconds=5)
    read_timeout: timedelta = timedelta(seconds=30)
    tls: ssl.SSLContext | None = None
    url: str = field(default="", init=False)
    _shutdown: Shutdown = field(init=False)
    _started: asyncio.Event = field(factory=asyncio.Event, init=False)
    _owner: "asyncio.Task[None] | None" = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        self._shutdown = Shutdown(self.shutdown_timeout)
        # A task of its own: fixtures are left in other tasks than they are entered.
        self._owner = asyncio.create_task(self._own())
        self._owner.add_done_callback(lambda _: self._started.set())
        await self._started.wait()
        if self._owner.done():
            await self._owner  # Raises why it could not start.
        return self

    async def _own(self) -> None:
        with listening("127.0.0.1", 0) as sockets:
            await run_app(
                self,
                sockets,
                asgi=self.asgi,
                shutdown=self._shutdown,
                read_timeout=self.read_timeout,
                on_started=self._announce,
                tls=self.tls,
            )

    def _announce(self, url: str) -> None:
        self.url = url
        self._started.set()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._shutdown.order()
        assert self._owner is not None
        await self._owner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None, "give the server an app before it is asked anything"
        await self.app(scope, receive, send)

    def cut_off(self) -> int:
        return 0 if self.app is None else self.app.cut_off()


@frozen
class Api:
    """A gateway that is served.

    Attributes:
        gateway: It.
        url: The server's.
        headers: What every request carries.
    """

    gateway: Gateway
    url: str
    headers: Mapping[str, str] = field(factory=dict[str, str])

    async def get(self, target: str, **headers: str) -> "Answer":
        """Return the answer to a GET."""
        return await request(self.url, "GET", target, headers={**self.headers, **headers})

    async def send(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        content_type: str | None = "application/json",
        **more: str,
    ) -> "Answer":
        """Return the answer to a request with a body.

        Args:
            method: The method.
            target: Path and query, sent as they are.
            body: The body; what is not `bytes` is sent as JSON, None sends none, and no type.
            content_type: Its kind; None says nothing about it.
            more: More headers; `_` in a name stands for `-`.
        """
        octets = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        headers = {**self.headers, **headers}
        if body is not None and content_type is not None:
            headers["content-type"] = content_type
        return await request(self.url, method, target, octets, headers)

    async def post(self, target: str, body: Any = None) -> "Answer":
        """Return the answer to a POST of JSON."""
        return await self.send("POST", target, body)


class OpenApi(Protocol):
    """Opens a gateway for a test and serves it; what is not named is as its fixture has it."""

    def __call__(
        self,
        rules: str = "",
        *,
        server: ServerSection = ...,
        authenticate: Authenticate = ...,
        limit: Limit | None = ...,
        limit_actions: LimitActions | None = ...,
        sign_in: SignIn | None = ...,
        reload_providers: Reload | None = ...,
        **changes: Any,
    ) -> AbstractAsyncContextManager[Api]: ...


@frozen
class Answer:
    """What a server answered.

    Attributes:
        status: The status.
        headers: All of them, in their order, names in lower case.
        body: The body.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def json(self) -> Any:
        """Return what the body says."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """Return the only value of the header `name`, given in lower case, or None."""
        values = [value for found, value in self.headers if found == name]
        assert len(values) < 2, f"{name} is there {len(values)} times"
        return values[0] if values else None


async def request(
    url: str,
    method: str,
    target: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request, exactly as said, and return the answer.

    Args:
        url: The server's.
        method: The method.
        target: Path and query, sent as they are.
        body: The body; its length is added to the headers.
        headers: Headers beside `Host` and `Connection`.
    """
    lines = [f"{method} {target} HTTP/1.1", f"host: {urlsplit(url).netloc}", "connection: close"]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    head = "\r\n".join((*lines, "", "")).encode("latin-1")
    return await exchange(url, head + (body or b""))


async def exchange(url: str, sent: bytes) -> Answer:
    """Send the octets `sent` and return the answer, read until the server hangs up.

    Raises:
        TimeoutError: It did not.
        ConnectionError: It hung up without an answer.
    """
    place = urlsplit(url)
    async with asyncio.timeout(LIMIT):
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        try:
            writer.write(sent)
            with suppress(ConnectionError):  # It may have answered before it hung up.
                await writer.drain()
            return parse_answer(await _read_all(reader))
        finally:
            writer.close()


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    received = b""
    try:
        while chunk := await reader.read(65536):
            received += chunk
    except ConnectionError:
        if not received:
            raise
    return received


async def exchange_all(url: str, sent: bytes) -> tuple[Answer, ...]:
    """Send the octets `sent`, say that nothing follows, and return all answers there are.

    Raises:
        TimeoutError: The server did not hang up.
        ValueError: It said something that is no answer.
    """
    place = urlsplit(url)
    async with asyncio.timeout(LIMIT):
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        received = b""
        try:
            with suppress(ConnectionError):  # It may hang up while there is more to send.
                writer.write(sent)
                writer.write_eof()
                while chunk := await reader.read(65536):
                    received += chunk
        finally:
            writer.close()
    return tuple(_answers(received))


def _answers(received: bytes) -> Iterator[Answer]:
    while received:
        head, separator, rest = received.partition(b"\r\n\r\n")
        if not separator or not head.startswith(b"HTTP/1.1 "):
            raise ValueError(f"no answer but {received!r}")
        received = rest
        if int(head.split(b" ")[1]) >= 200:  # The others are interim answers.
            answer = parse_answer(head + separator)
            size = int(answer.header("content-length") or 0)
            received = rest[size:]
            yield evolve(answer, body=rest[:size])


def parse_answer(received: bytes) -> Answer:
    """Return the answer in `received`; interim answers before it are left out.

    Raises:
        ConnectionError: There is none.
    """
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        raise ConnectionError(f"no answer but {received!r}")
    first, *rest = head.decode("latin-1").split("\r\n")
    status = int(first.split(" ")[1])
    if status < 200:
        return parse_answer(body)
    pairs = (line.partition(":") for line in rest)
    headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    if ("transfer-encoding", "chunked") in headers:
        body = _unchunked(body)
    return Answer(status, headers, body)


def _unchunked(body: bytes) -> bytes:
    chunks: list[bytes] = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        chunks.append(body[:length])
        body = body[length + 2 :]
    return b"".join(chunks)


@frozen
class Ended:
    """How a process ended that was to be a server, or that it became one.

    Attributes:
        status: Its exit status; None: it listened, and was stopped.
        told: The lines on stderr, without the instants of log lines.
    """

    status: int | None
    told: tuple[str, ...]


def started(folder: Path, arguments: Sequence[str], environ: Mapping[str, str]) -> Ended:
    """Run the command in a process of its own until it listens, or ends.

    The process is forked from one that has imported all of the server, which saves the better
    part of a second each time.

    Args:
        folder: Where it is started.
        arguments: Of the command.
        environ: The whole environment.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    reading, writing = context.Pipe(duplex=False)
    ending, ended = context.Pipe(duplex=False)
    process = context.Process(
        target=_run_command, args=(folder, arguments, environ, writing, ended)
    )
    process.start()
    writing.close()
    ended.close()
    lines: list[str] = []
    listening = False
    with reading, open(os.dup(reading.fileno()), encoding="utf-8") as stderr:
        for line in stderr:
            lines.append(_INSTANT.sub("", line.rstrip("\n")))
            if ": listening url=" in line:
                listening = True
                process.terminate()
    process.join(LIMIT)
    status: int | None = None
    if not listening:
        # Not `process.exitcode`: where threads start processes at the same time, each looks after
        # those of the others, and of two that read one status the second takes it for 255.
        with ending:
            status = ending.recv()
    return Ended(status, tuple(lines))


_INSTANT: Final = re.compile(r"^\S+Z (?=[A-Z])")
_PRELOADED: Final = [
    *("acteon.server.cli", "acteon.server.serve", "acteon.state_memory", "acteon.audit_memory"),
    *("acteon.rules_yaml", "acteon.provider"),
]


def _run_command(
    folder: Path,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    stderr: Connection,
    ended: Connection,
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    os.dup2(stderr.fileno(), 2)
    from acteon.server.cli import main

    try:
        main(list(arguments), prog_name="acteon-server")
    except SystemExit as end:
        ended.send(end.code)
        raise
