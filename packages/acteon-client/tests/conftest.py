"""Both clients under one surface, real servers, and servers that say what they are told to."""

import asyncio
import inspect
import re
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

import pytest
from attrs import define, field

from acteon.audit import AuditSettings
from acteon.client import ActeonClient, AsyncActeonClient
from acteon.executor import ExecutorSettings, MemoryDeadLetters
from acteon.gateway import Gateway, parse_rules
from acteon.server.http import create_app
from acteon.server.testing import RunningServer

RULES = """
rules:
  - name: a/b ü
    priority: 1
    description: spam
    condition: {field: action.action_type, eq: spam}
    action: {type: suppress}
  - name: once
    priority: 2
    condition: {field: action.action_type, eq: notify}
    action: {type: deduplicate, ttl_seconds: 60}
  - name: two
    priority: 3
    condition: {field: action.action_type, eq: alert}
    action: {type: throttle, max_count: 2, window_seconds: 60}
  - name: elsewhere
    priority: 4
    condition: {field: action.action_type, eq: urgent}
    action: {type: reroute, target_provider: sms}
"""


@define(eq=False)
class Both:
    """A client of either kind, whose calls are awaited."""

    client: Any

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.client, name)
        if not callable(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            if isinstance(self.client, AsyncActeonClient):
                got: Any = found(*args, **kwargs)
                if inspect.isasyncgen(got):
                    return [each async for each in got]
                return await got
            # The server may be in this loop.
            return await asyncio.to_thread(_listed, found, args, kwargs)

        return call


def _listed(call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    got: Any = call(*args, **kwargs)
    return [each for each in got] if inspect.isgenerator(got) else got  # noqa: C416 - typed so


MakeClient = Callable[..., AbstractAsyncContextManager[Both]]


@pytest.fixture(params=["sync", "async"])
def connected(request: pytest.FixtureRequest) -> MakeClient:
    """Give what makes a client of either kind, to be entered, of its arguments."""

    @asynccontextmanager
    async def connect(url: str, **options: Any) -> AsyncGenerator[Both]:
        if request.param == "sync":
            with ActeonClient(url, **options) as client:
                yield Both(client)
        else:
            async with AsyncActeonClient(url, **options) as client:
                yield Both(client)

    return connect


async def email(action: Any) -> Any:
    """Deliver an email; those to `nobody` cannot be delivered."""
    if action.payload == "nobody":
        raise ValueError("no such mailbox")
    return {"sent": True}


async def sms(action: Any) -> Any:
    """Deliver a short message."""


@pytest.fixture
async def gateway() -> AsyncGenerator[Gateway]:
    """Give an open gateway with rules, providers, an audit trail and dead letters."""
    async with Gateway.open(
        rules=parse_rules(RULES),
        providers=[email, sms],
        executor=ExecutorSettings(max_retries=0),
        audit_settings=AuditSettings(mode="sync"),
        dead_letters=MemoryDeadLetters(),
    ) as opened:
        yield opened


@pytest.fixture
async def url(gateway: Gateway) -> AsyncGenerator[str]:
    """Give the URL of a real server with that gateway."""
    async with RunningServer() as server:
        server.app = create_app(gateway)
        yield server.url


@pytest.fixture
async def client(connected: MakeClient, url: str) -> AsyncGenerator[Both]:
    """Give a client of either kind for that server."""
    async with connected(url) as one:
        yield one


@define(eq=False)
class Script:
    """A server that answers each request with the next of its answers, whatever it says.

    Attributes:
        url: Where it is.
        answers: What it sends; None hangs up at once, `b""` never answers.
        requests: What it was sent: head and body of each request.
        called: Set once it was sent something.
        over: Set when nobody waits for it any more.
    """

    url: str
    answers: list[bytes | None]
    requests: list[bytes] = field(factory=list[bytes])
    called: threading.Event = field(factory=threading.Event)
    over: threading.Event = field(factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        """Answer until the listener is closed."""
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(20)
            while request := _request(connection):
                self.requests.append(request)
                self.called.set()
                answer = self.answers.pop(0) if self.answers else None
                if answer is None:
                    return
                if not answer:
                    self.over.wait(20)
                    return
                connection.sendall(answer)
                if b"keep-alive" not in answer:
                    return


def _request(connection: socket.socket) -> bytes:
    """Return the next request on `connection`; empty at its end."""
    got = b""
    while b"\r\n\r\n" not in got:
        try:
            piece = connection.recv(65536)
        except OSError:
            return b""
        if not piece:
            return b""
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    length = int(found.group(1)) if found else 0
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    """Return an answer as octets, after which the connection ends."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


MakeScript = Callable[..., Script]


@pytest.fixture
def scripted() -> Generator[MakeScript]:
    """Give what makes a server of the answers that it is to give."""
    with _servers() as make:
        yield make


@contextmanager
def _servers() -> Generator[MakeScript]:
    listeners: list[socket.socket] = []
    scripts: list[Script] = []

    def make(*answers: bytes | tuple[Any, ...] | None) -> Script:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        host, port = listener.getsockname()
        texts = [answer(*each) if isinstance(each, tuple) else each for each in answers]
        script = Script(f"http://{host}:{port}", texts)
        scripts.append(script)
        threading.Thread(target=script.serve, args=(listener,), daemon=True).start()
        return script

    try:
        yield make
    finally:
        for script in scripts:
            script.over.set()
        for listener in listeners:
            # Closing alone does not wake a thread that accepts.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
