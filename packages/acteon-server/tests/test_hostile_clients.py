"""Clients that never end, never read, or vanish: others are served all the while."""

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from acteon.gateway import Gateway
from acteon.gateway.testing import ScriptedProvider
from acteon.provider import ProviderRegistry
from acteon.server.config import Asgi, ServerSection
from acteon.server.http import create_app
from acteon.server.testing import LIMIT, Api, OpenApi, RunningServer, request
from acteon.state_memory import memory_backend

CROWD = 300
MOMENT = timedelta(milliseconds=300)
SOON = 10.0  # Who is not served waits for ever; machines may be busy.
"""Seconds within which a normal client is answered, whatever others do."""

POST = b"POST /v1/dispatch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
ACTION: dict[str, Any] = {
    "namespace": "n",
    "tenant": "t",
    "provider": "email",
    "action_type": "x",
    "payload": {},
}
PAGE = b"GET /api-doc/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
KINDS = {
    "nothing": b"",
    "head": b"GET /health HTTP/1.1\r\nhost: x\r\nx-more: ",
    "body": POST + b"content-length: 1000\r\n\r\n{",
    "chunks": POST + b"transfer-encoding: chunked\r\n\r\n5\r\n{",
    "trailers": POST + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx: ",
    "answers": PAGE * 20,
}


async def until(holds: Callable[[], bool]) -> None:
    """Return when `holds` does."""
    async with asyncio.timeout(LIMIT):
        while not holds():  # noqa: ASYNC110 - what is waited for belongs to another program
            await asyncio.sleep(0.01)


@asynccontextmanager
async def crowd(url: str, octets: bytes) -> AsyncGenerator[list[socket.socket]]:
    """Let many clients send `octets` and then neither send nor read anything."""
    place = urlsplit(url)
    sockets: list[socket.socket] = []
    loop = asyncio.get_running_loop()
    try:
        for _ in range(CROWD):
            one = socket.socket()
            sockets.append(one)
            one.setblocking(False)
            # So that answers are soon too many for it.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(one, (place.hostname, place.port))
            await loop.sock_sendall(one, octets)
        yield sockets
    finally:
        for one in sockets:
            one.close()


async def dispatched_soon(api: Api, times: int) -> None:
    for _ in range(times):
        async with asyncio.timeout(SOON):
            assert (await api.post("/v1/dispatch", ACTION)).status == 200


@pytest.mark.parametrize("kind", KINDS)
async def test_a_crowd_that_never_ends_keeps_nobody_waiting(
    open_api: OpenApi,
    email: ScriptedProvider,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    with caplog.at_level(logging.WARNING, logger="acteon"):
        async with open_api() as api:
            await dispatched_soon(api, 1)
            before = len(asyncio.all_tasks())
            async with crowd(api.url, KINDS[kind]):
                await dispatched_soon(api, 20)
            await until(lambda: len(asyncio.all_tasks()) <= before)
            await dispatched_soon(api, 1)
    assert len(email.calls) == 22
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize("asgi", [Asgi.UVICORN, Asgi.HYPERCORN], ids=lambda asgi: asgi.value)
@pytest.mark.parametrize("kind", ["body", "chunks", "answers"])
async def test_a_crowd_is_let_go(asgi: Asgi, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    async with (
        Gateway(state=memory_backend(), providers=ProviderRegistry.of({})) as gateway,
        RunningServer(asgi, read_timeout=MOMENT) as server,
    ):
        server.app = create_app(gateway, ServerSection(read_timeout=MOMENT))
        before = len(asyncio.all_tasks())
        with caplog.at_level(logging.WARNING):
            async with crowd(server.url, KINDS[kind]):
                await until(lambda: len(asyncio.all_tasks()) <= before)
                assert (await request(server.url, "GET", "/health")).status == 200
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize("asgi", [Asgi.UVICORN, Asgi.HYPERCORN], ids=lambda asgi: asgi.value)
async def test_clients_that_reset_their_connections_leave_nothing_behind(asgi: Asgi) -> None:
    async with (
        Gateway(state=memory_backend(), providers=ProviderRegistry.of({})) as gateway,
        RunningServer(asgi) as server,
    ):
        server.app = create_app(gateway, ServerSection())
        before = len(asyncio.all_tasks())
        async with crowd(server.url, KINDS["answers"]) as sockets:
            await until(lambda: len(asyncio.all_tasks()) > before)
            await asyncio.gather(*map(readable, sockets))
            for one in sockets:
                # Answers are under way, and more requests wait behind the first one.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def readable(one: socket.socket) -> None:
    """Return when there is something to be read."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(one, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(one)
