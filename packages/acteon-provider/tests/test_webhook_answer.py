"""What a webhook makes of answers, and of their absence."""

import asyncio
import gzip
import json
import socket
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import Action, ResponseStatus, encode_json
from acteon.provider import (
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
)
from acteon.provider.http import parse_retry_after
from acteon.provider.testing import (
    Receiver,
    Reply,
    answer,
    close,
    endless,
    garbage,
    gzip_bomb,
    reset,
)
from acteon.provider.webhook import WebhookConfig, WebhookProvider

Open = Callable[..., Awaitable[WebhookProvider]]


async def failure_of(provider: WebhookProvider, action: Action) -> ProviderError:
    with pytest.raises(ProviderError) as failure:
        await provider.execute(action)
    return failure.value


def slowly(text: bytes) -> Reply:
    """Send `text` as it is, and then nothing more for as long as the connection lasts."""

    async def reply(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(text)
        await asyncio.Event().wait()
        return web.Response()

    return reply


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_2xx_is_a_success(
    webhook: Open, receiver: Receiver, action: Action, status: int
) -> None:
    receiver.script(answer(status))
    response = await (await webhook()).execute(action)
    assert response.status is ResponseStatus.SUCCESS
    assert response.headers[":status"] == str(status)


@pytest.mark.parametrize(
    "status", [300, 301, 302, 307, 308, 304, 400, 401, 403, 404, 409, 410, 422]
)
async def test_other_statuses_are_a_definite_failure(
    webhook: Open, receiver: Receiver, action: Action, status: int
) -> None:
    receiver.script(answer(status, headers={"Location": receiver.url}))
    response = await (await webhook()).execute(action)
    assert response.status is ResponseStatus.FAILURE
    assert response.headers[":status"] == str(status)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("status", "delivery"),
    [
        (408, "none"),
        (425, "none"),
        (500, "unknown"),
        (501, "unknown"),
        (502, "unknown"),
        (503, "none"),
        (504, "unknown"),
        (505, "unknown"),
        (599, "unknown"),
    ],
)
async def test_a_receiver_in_trouble_is_a_connection_error(
    webhook: Open, receiver: Receiver, action: Action, status: int, delivery: str
) -> None:
    receiver.script(answer(status, headers={"Retry-After": "7"}))
    error = await failure_of(await webhook(), action)
    assert type(error) is ProviderConnectionError
    assert error.retryable
    assert error.delivery == delivery
    assert error.retry_after == timedelta(seconds=7)
    assert str(error) == f"connection error: the receiver answered {status}"


async def test_429_is_a_rate_limit(webhook: Open, receiver: Receiver, action: Action) -> None:
    receiver.script(answer(429, headers={"Retry-After": "Wed, 01 Jan 2025 00:01:00 GMT"}))
    error = await failure_of(await webhook(), action)
    assert type(error) is RateLimitedError
    assert error.retryable
    assert error.delivery == "none"
    assert error.retry_after == timedelta(minutes=1)


NOW = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("9" * 30, 366 * 86400),
        ("Wed, 01 Jan 2025 00:00:10 GMT", 10),
        ("Wednesday, 01-Jan-25 00:00:10 GMT", 10),
        ("Wed Jan  1 00:00:10 2025", 10),
        ("Tue, 31 Dec 2024 23:59:59 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 366 * 86400),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        ("Wed, 99 Jan 2025 00:00:10 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, seconds: int | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert parse_retry_after(text, NOW) == expected


@given(st.text())
def test_no_retry_after_is_negative_or_raises(text: str) -> None:
    pause = parse_retry_after(text, NOW)
    assert pause is None or pause >= timedelta(0)


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"id": 1, "ok": [true, null]}', {"id": 1, "ok": [True, None]}),
        (b"[]", []),
        (b"null", None),
        (b"", {"status_code": 200}),
        (b"OK", {"status_code": 200, "text": "OK"}),
        (b"caf\xe9", {"status_code": 200, "text": "caf\ufffd"}),
        (b'"\\ud800"', {"status_code": 200, "text": '"\\ud800"'}),
        (b"[" * 500, {"status_code": 200, "text": "[" * 500}),
        (b"y" * 2000, {"status_code": 200, "text": "y" * 1024, "truncated": True}),
    ],
)
async def test_the_body_is_the_receivers_json_or_tells_of_its_text(
    webhook: Open, receiver: Receiver, action: Action, body: bytes, kept: object
) -> None:
    receiver.script(answer(body=body, headers={"Content-Type": "text/odd"}))
    response = await (await webhook()).execute(action)
    assert response.body == kept
    assert json.loads(encode_json(response.as_json()))["body"] == kept


async def test_some_headers_of_the_receiver_are_kept(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    headers = {"Content-Type": "application/json", "X-Request-Id": "r1", "X-Internal": "secret"}
    receiver.script(answer(headers=headers))
    response = await (await webhook()).execute(action)
    assert response.headers == {
        ":status": "200",
        "content-type": "application/json",
        "x-request-id": "r1",
    }


async def test_headers_that_are_no_ascii_can_still_be_written(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    receiver.script(
        garbage(b"HTTP/1.1 200 OK\r\nX-Request-Id: \xff\xe9\r\nContent-Length: 2\r\n\r\n{}")
    )
    response = await (await webhook()).execute(action)
    assert b'"x-request-id":"??"' in encode_json(response.as_json())


async def test_a_body_within_the_limit_is_kept_whole(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    receiver.default = answer(body=b'"' + b"z" * 98 + b'"')
    assert (await (await webhook(max_response_bytes=100)).execute(action)).body == "z" * 98
    cut = await (await webhook(max_response_bytes=99)).execute(action)
    assert cut.body == {"status_code": 200, "text": '"' + "z" * 98, "truncated": True}
    assert cut.status is ResponseStatus.SUCCESS


async def test_an_endless_body_is_cut_and_its_connection_dropped(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    receiver.script(endless())
    provider = await webhook()
    response = await provider.execute(action)
    assert response.status is ResponseStatus.SUCCESS
    assert response.body["truncated"] is True
    await provider.execute(action)
    assert receiver.connections == 2


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_a_compressed_body_is_unpacked(
    webhook: Open, receiver: Receiver, action: Action, pack: Callable[[bytes], bytes]
) -> None:
    name = "gzip" if pack is gzip.compress else "deflate"
    receiver.script(answer(body=pack(b'{"a":1}'), headers={"Content-Encoding": name}))
    assert (await (await webhook()).execute(action)).body == {"a": 1}
    assert receiver.requests[0].all("accept-encoding") == ["identity"]


async def test_a_bomb_does_not_go_off(webhook: Open, receiver: Receiver, action: Action) -> None:
    receiver.script(gzip_bomb(100_000_000))
    provider = await webhook()
    tracemalloc.start()
    try:
        response = await provider.execute(action)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert response.body["truncated"] is True
    assert peak < 2_000_000


async def test_a_body_packed_wrongly_is_left_out(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    receiver.script(answer(body=b"not packed", headers={"Content-Encoding": "gzip"}))
    response = await (await webhook()).execute(action)
    assert response.body == {"status_code": 200, "truncated": True}


async def test_a_body_that_breaks_off_is_cut(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    receiver.script(garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
    response = await (await webhook()).execute(action)
    assert response.status is ResponseStatus.SUCCESS
    assert response.body == {"status_code": 200, "text": "half", "truncated": True}


async def test_a_body_that_takes_too_long_is_cut(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    receiver.script(slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
    response = await (await webhook(timeout_seconds=0.2)).execute(action)
    assert response.body == {"status_code": 200, "text": "half", "truncated": True}


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (reset(), "connection error: connection lost: connection reset by peer"),
        (close(), "connection error: the receiver closed the connection without an answer"),
        (garbage(), "connection error: the answer is no HTTP"),
        (garbage(b"HTTP/1.1 2"), "connection error: the receiver closed the connection"),
        (garbage(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000), "connection error: "),
    ],
    ids=["reset", "close", "garbage", "half a line", "huge header"],
)
async def test_without_an_answer_nobody_knows(
    webhook: Open, receiver: Receiver, action: Action, reply: Reply, text: str
) -> None:
    receiver.script(reply)
    error = await failure_of(await webhook(), action)
    assert type(error) is ProviderConnectionError
    assert str(error).startswith(text)
    assert error.delivery == "unknown"
    assert len(receiver.requests) == 1


async def test_silence_is_a_time_out_of_unknown_end(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    receiver.script(answer(after=asyncio.Event()))
    error = await failure_of(await webhook(timeout_seconds=0.2), action)
    assert type(error) is ProviderTimeoutError
    assert error.delivery == "unknown"
    assert str(error) == "timeout after 200ms"
    assert len(receiver.requests) == 1


@pytest.fixture
def unreachable() -> Iterator[str]:
    """A URL whose host answers no attempt to connect."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as waiting:
        # Nobody accepts: once the queue is full, the kernel answers no more.
        for _ in range(4):
            filler = waiting.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


async def test_a_connection_that_does_not_come_about_in_time_delivers_nothing(
    webhook: Open, action: Action, unreachable: str
) -> None:
    error = await failure_of(await webhook(url=unreachable, timeout_seconds=0.2), action)
    assert type(error) is ProviderTimeoutError
    assert str(error) == "timeout after 200ms"
    assert error.delivery == "none"


async def test_connecting_has_a_limit_of_its_own(
    webhook: Open, action: Action, unreachable: str
) -> None:
    provider = await webhook(
        url=unreachable, timeout_seconds=60.0, connect_limit=timedelta(milliseconds=200)
    )
    async with asyncio.timeout(10):
        error = await failure_of(provider, action)
    assert type(error) is ProviderTimeoutError
    assert str(error) == "timeout after 200ms"
    assert error.delivery == "none"


async def test_the_limit_of_connecting_ends_with_the_connection(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    limit = timedelta(milliseconds=500)
    provider = await webhook(connect_limit=limit)
    done = asyncio.Event()
    receiver.script(answer(after=done))
    async with asyncio.TaskGroup() as group:
        call = group.create_task(provider.execute(action))
        await receiver.wait_for(1)
        asyncio.get_running_loop().call_later(2 * limit.total_seconds(), done.set)
    assert call.result().status is ResponseStatus.SUCCESS


def test_the_usual_limits_lie_below_the_usual_30_seconds_of_callers() -> None:
    provider = WebhookProvider(WebhookConfig(url="https://host.example/"))
    assert provider.config.timeout == timedelta(seconds=20)
    assert provider.connect_limit == timedelta(seconds=10)


async def test_an_answered_call_is_not_repeated_for_its_slow_body(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    receiver.default = slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    provider = await webhook(timeout_seconds=0.2)
    async with asyncio.timeout(10):  # as whoever repeats calls does for each of them
        response = await provider.execute(action)
    assert response.status is ResponseStatus.SUCCESS
    assert len(receiver.requests) == 1


async def test_a_body_malformed_in_the_segment_of_its_status_is_no_answer(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    receiver.script(garbage(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"))
    error = await failure_of(await webhook(), action)
    assert type(error) is ProviderConnectionError
    assert error.delivery == "unknown"


async def test_a_refused_connection_delivers_nothing(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    async with Receiver() as other:
        gone = other.url
    error = await failure_of(await webhook(url=gone), action)
    assert type(error) is ProviderConnectionError
    assert str(error) == "connection error: cannot connect: connection refused"
    assert error.delivery == "none"


async def test_a_name_without_an_address_delivers_nothing(webhook: Open, action: Action) -> None:
    error = await failure_of(await webhook(url="http://nowhere.invalid/"), action)
    assert type(error) is ProviderConnectionError
    assert str(error) == "connection error: the name of the host cannot be resolved"
    assert error.delivery == "none"


async def test_a_failed_handshake_delivers_nothing(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    url = receiver.url.replace("http:", "https:")
    error = await failure_of(await webhook(url=url), action)
    assert type(error) is ProviderConnectionError
    assert error.delivery == "none"
    assert receiver.requests == []


@pytest.mark.parametrize("reply", [reset(), close(), garbage(), answer(503), answer(429)])
async def test_texts_of_errors_hold_no_secrets(
    webhook: Open, receiver: Receiver, action: Action, reply: Reply
) -> None:
    receiver.script(reply)
    url = f"http://hush:hush@127.0.0.1:{receiver.port}/hush?token=hush"
    error = await failure_of(await webhook(url=url, secret="hush"), action)
    assert "hush" not in f"{error} {error!r}"
    assert error.__cause__ is None


async def test_a_cancelled_call_gives_its_connection_back(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    provider = await webhook(max_connections=1)
    receiver.script(answer(after=asyncio.Event()))
    async with asyncio.TaskGroup() as group:
        call = group.create_task(provider.execute(action))
        await receiver.wait_for(1)
        call.cancel()
    assert call.cancelled()
    async with asyncio.timeout(10):
        await provider.execute(action)
