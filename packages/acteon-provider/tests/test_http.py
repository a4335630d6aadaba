"""What a receiver cannot do to those who call it, and what is never done to a receiver."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Final

import pytest
from aiohttp import web
from yarl import URL

from acteon.provider import (
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
)
from acteon.provider.addresses import AddressGuard
from acteon.provider.http import Answer, HttpCaller
from acteon.provider.testing import Receiver, Reply, answer, close, endless, garbage

Call = Callable[..., Awaitable[Answer]]
LIMIT: Final = 10_000
MUCH: Final = 4_000_000
"""More than any of these answers may take of the memory."""


def flood(head: bytes, piece: bytes, *, pause: float = 0) -> Reply:
    """Send `head`, and then `piece` again and again, for as long as somebody listens."""

    async def reply(request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        transport.write(head)
        while not transport.is_closing():
            if transport.get_write_buffer_size() < 1_000_000:
                transport.write(piece)
            await asyncio.sleep(pause)
        return web.Response()

    return reply


@pytest.fixture
async def caller() -> AsyncIterator[HttpCaller]:
    guard = AddressGuard.from_texts(["127.0.0.0/8"])
    limit = timedelta(seconds=1)
    async with HttpCaller(guard, limit, "test/1", max_response_bytes=LIMIT) as caller:
        yield caller


@pytest.fixture
def call(caller: HttpCaller, receiver: Receiver) -> Call:
    async def calling(method: str = "POST", body: bytes | None = b"{}") -> Answer:
        return await caller.call(method, URL(receiver.url), {}, body)

    return calling


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "HEAD"])
@pytest.mark.parametrize("warm", [True, False], ids=["used before", "new"])
async def test_no_request_is_made_twice(
    call: Call, receiver: Receiver, method: str, warm: bool
) -> None:
    if warm:  # It is on connections that were used before that libraries try again.
        await call("POST")
    receiver.requests.clear()
    receiver.script(close())
    with pytest.raises(ProviderConnectionError) as failure:
        await call(method, b"{}" if method.startswith("P") else None)
    assert failure.value.delivery == "unknown"
    assert [each.method for each in receiver.requests] == [method]


ENDLESS_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TEN_GIGABYTES = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n"


@pytest.mark.parametrize(
    "reply",
    [
        flood(TEN_GIGABYTES, b"x" * 65_536),
        flood(ENDLESS_CHUNKS, b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
        flood(ENDLESS_CHUNKS, b"1\r\nx\r\n" * 10_000),
        flood(ENDLESS_CHUNKS + b"7fffffff\r\n", b"x" * 65_536),
        flood(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x" * 65_536),
        endless(),
    ],
    ids=["10 GB", "chunks", "small chunks", "one chunk", "until it closes", "endless"],
)
async def test_an_answer_is_read_up_to_its_limit(
    call: Call, receiver: Receiver, reply: Reply
) -> None:
    receiver.script(reply)
    tracemalloc.start()
    try:
        got = await call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    content, whole = got.content()
    assert (got.status, len(content), whole) == (200, LIMIT, False)
    assert peak < MUCH


@pytest.mark.parametrize(
    "reply",
    [
        flood(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 1_000),
        flood(b"HTTP/1.1 200 OK\r\nA: ", b"b" * 65_536),
        flood(b"HTTP/1.1 200 ", b"OK" * 32_768),
        flood(b"", b"\r\n" * 1_000),
        flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
        flood(b"", b"\x00" * 65_536),
    ],
    ids=["headers", "one header", "reason", "empty lines", "to be continued", "zeros"],
)
async def test_a_flood_before_the_answer_ends_within_the_time(
    call: Call, receiver: Receiver, reply: Reply
) -> None:
    receiver.script(reply)
    tracemalloc.start()
    try:
        async with asyncio.timeout(5):
            with pytest.raises((ProviderConnectionError, ProviderTimeoutError)) as failure:
                await call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert failure.value.delivery == "unknown"
    assert peak < MUCH


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nX-Long: "], ids=["status", "header"]
)
async def test_an_answer_byte_by_byte_takes_no_more_than_the_time(
    call: Call, receiver: Receiver, head: bytes
) -> None:
    receiver.script(flood(head, b"H", pause=0.1))
    async with asyncio.timeout(5):
        with pytest.raises(ProviderTimeoutError) as failure:
            await call()
    assert failure.value.delivery == "unknown"


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", ENDLESS_CHUNKS + b"ff\r\n"],
    ids=["body", "chunk"],
)
async def test_a_body_byte_by_byte_takes_no_more_than_the_time(
    call: Call, receiver: Receiver, head: bytes
) -> None:
    receiver.script(flood(head, b"H", pause=0.1))
    async with asyncio.timeout(5):
        got = await call()
    assert (got.status, got.complete) == (200, False)


@pytest.mark.parametrize(
    "text",
    [
        b"Content-Length: 100\r\n\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nff\r\nhalf",
    ],
    ids=["a body too long", "no last chunk", "a chunk too long"],
)
async def test_a_length_that_is_not_kept_changes_no_status(
    call: Call, receiver: Receiver, text: bytes
) -> None:
    receiver.script(garbage(b"HTTP/1.1 200 OK\r\n" + text))
    got = await call()
    assert (got.status, *got.content()) == (200, b"half", False)


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: -1\r\n",
        b"Content-Length: 1e9\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: " + b"9" * 40 + b"\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 20 + b"\r\n",
        b"Content-Length: 2\r\n\r\n{}and more",
    ],
)
async def test_a_length_that_cannot_be_is_no_answer(
    call: Call, receiver: Receiver, headers: bytes
) -> None:
    receiver.script(garbage(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n{}"))
    with pytest.raises(ProviderConnectionError) as failure:
        await call()
    assert failure.value.delivery == "unknown"


async def test_what_follows_an_answer_answers_nobody_else(call: Call, receiver: Receiver) -> None:
    async def two(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        one = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        request.transport.write(one + one.replace(b"200", b"299"))
        await asyncio.Event().wait()
        return web.Response()

    receiver.script(two)
    first, second = await call(), await call()
    assert (first.status, second.status) == (200, 200)
    assert len(receiver.requests) == 2


async def test_the_others_are_served_while_one_floods(call: Call, receiver: Receiver) -> None:
    receiver.script(flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000), answer())
    async with asyncio.TaskGroup() as group:
        flooded = group.create_task(_failure(call))
        await receiver.wait_for(1)
        assert (await call()).status == 200
        assert not flooded.done()


async def _failure(call: Call) -> ProviderError:
    with pytest.raises(ProviderError) as failure:
        await call()
    return failure.value


async def test_a_redirect_is_an_answer_like_any_other(call: Call, receiver: Receiver) -> None:
    receiver.script(answer(307, headers={"Location": receiver.url}))
    assert (await call()).status == 307
    assert len(receiver.requests) == 1


async def test_an_address_that_is_refused_is_not_connected_to(
    caller: HttpCaller, receiver: Receiver
) -> None:
    url = URL("http://169.254.169.254/latest/")
    refusal = caller.refusal(url)
    assert refusal is not None
    with pytest.raises(ProviderConfigurationError) as failure:
        await caller.call("GET", url, {}, None)
    assert refusal in str(failure.value)
    assert caller.refusal(URL(receiver.url)) is None


async def test_who_has_left_is_closed(receiver: Receiver) -> None:
    guard = AddressGuard.from_texts(["127.0.0.0/8"])
    caller = HttpCaller(guard, timedelta(seconds=1), "test/1")
    async with caller:
        assert not caller.closed
    assert caller.closed
