"""A DynamoDB Local for all tests, and a proxy in front of it that fails as the real one can."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from attrs import define, field

from acteon.core import ManualClock
from acteon.state import StateBackend
from acteon.state_dynamodb import Calls, DynamoDBStateConfig, dynamodb_backend, prepare
from servers import dynamodb
from servers.process import Server


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with dynamodb.running() as server:
        yield server


@pytest.fixture(scope="session")
def config(server: Server) -> DynamoDBStateConfig:
    return DynamoDBStateConfig(url=server.url)


@pytest.fixture(scope="session")
async def calls(config: DynamoDBStateConfig) -> AsyncIterator[Calls]:
    async with Calls(config) as calls:
        await prepare(calls)
        yield calls


@pytest.fixture
def clock() -> ManualClock:
    """A clock that is right at first: DynamoDB Local removes what has expired by its own."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def backend(calls: Calls, clock: ManualClock) -> StateBackend:
    return dynamodb_backend(calls, clock)


Fault = Mapping[str, Any] | str | Callable[[], object]


@define(eq=False)
class Meddler:
    """Passes calls on to DynamoDB, but for those that are to fail.

    Attributes:
        port: Where DynamoDB is.
        url: Where this is.
        faults: What becomes of the next calls of an operation, first one first: an error;
            "lost", which carries the call out and then closes the connection; or what is done
            before the call is carried out.
        calls: The operations that were called.
        requests: What was asked in each.
        date: What the answers tell in place of DynamoDB's time.
    """

    port: int
    url: str = ""
    faults: dict[str, list[Fault]] = field(factory=dict[str, list[Fault]])
    calls: list[str] = field(factory=list[str])
    requests: list[Any] = field(factory=list[Any])
    date: str | None = None

    def fail(self, operation: str, *faults: Fault) -> None:
        """Let the next calls of `operation` fail."""
        self.faults.setdefault(operation, []).extend(faults)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one call."""
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        operation = handler.headers["X-Amz-Target"].partition(".")[2]
        self.calls.append(operation)
        self.requests.append(json.loads(body))
        faults = self.faults.get(operation)
        fault = faults.pop(0) if faults else None
        if isinstance(fault, Mapping):
            status = 500 if "Internal" in fault["__type"] else 400
            self.send(handler, status, {}, json.dumps(fault).encode())
            return
        if callable(fault):
            fault()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", "/", body, dict(handler.headers.items()))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if fault == "lost":
            handler.close_connection = True
            return
        self.send(handler, answer.status, dict(answer.getheaders()), content)

    def send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        headers: Mapping[str, str],
        content: bytes,
    ) -> None:
        handler.send_response_only(status)
        kept = {name: headers[name] for name in headers if name.lower() != "content-length"}
        if self.date is not None:
            kept = {name: kept[name] for name in kept if name.lower() != "date"}
            kept["Date"] = self.date
        for name, value in kept.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@pytest.fixture
def meddler(server: Server) -> Iterator[Meddler]:
    meddler = Meddler(server.port)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            meddler.answer(self)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        meddler.url = f"http://127.0.0.1:{httpd.server_port}"
        yield meddler
        httpd.shutdown()
        thread.join()


@pytest.fixture
async def meddled(meddler: Meddler) -> AsyncIterator[Calls]:
    """Calls that go through the meddler."""
    async with Calls(DynamoDBStateConfig(url=meddler.url)) as calls:
        await prepare(calls)
        meddler.calls.clear()
        yield calls
