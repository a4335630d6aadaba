"""Requests that were sent to do harm: they are refused, and nothing breaks."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import WireError, read_action, read_actions
from acteon.server.config import Asgi, ServerSection
from acteon.server.testing import Api, OpenApi, RunningServer, exchange, parse_answer

A = (
    b'{"id":"a1","namespace":"n","tenant":"t","provider":"email","action_type":"x","payload":%s,'
    b'"created_at":"2025-01-01T00:00:00Z"}'
)
REST = A[1:] % b"1"
DIGITS = b"9" * 5000


def bodies() -> Iterator[tuple[str, bytes, set[int]]]:
    """Yield names, bodies and the statuses that each may get."""
    payloads = {
        "nan": (b"NaN", {400}),
        "infinity": (b"-Infinity", {400}),
        "digits": (DIGITS, {400}),
        "negative-digits": (b"-" + DIGITS, {400}),
        "float-digits": (DIGITS + b".5", {400}),
        "huge-exponent": (b"1e400", {400}),
        "huge-exponent-digits": (b"1e" + DIGITS, {400}),
        "tiny": (b"1e-400", {200}),
        "negative-zero": (b"-0", {200}),
        "lone-high": (rb'"\ud800"', {400}),
        "lone-low": (rb'"\udc00"', {400}),
        "swapped": (rb'"\udc00\ud800"', {400}),
        "pair": (rb'"\ud83d\ude00"', {200}),
        "zero": (rb'"\u0000"', {200}),
        "raw-zero": (b'"\0"', {400}),
        "raw-newline": (b'"\n"', {400}),
        "bad-escape": (rb'"\x"', {400}),
        "short-escape": (rb'"\u12"', {400}),
        "bad-utf8": (b'"\xff"', {400}),
        "long-utf8": (b'"\xc0\x80"', {400}),
        "utf8-surrogate": (b'"\xed\xa0\x80"', {400}),
        "cut-utf8": (b'"\xe2\x82"', {400}),
        "127-lists": (b"[" * 126 + b"]" * 126, {200}),
        "128-lists": (b"[" * 127 + b"]" * 127, {400}),
        "100000-lists": (b"[" * 100_000 + b"]" * 100_000, {400}),
        "open-lists": (b"[" * 100_000, {400}),
        "100000-objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, {400}),
        "comment": (b"1 /* one */", {400}),
        "trailing-comma": (b"[1,]", {400}),
        "single-quotes": (b"'a'", {400}),
        "hex": (b"0x10", {400}),
        "leading-zero": (b"01", {400}),
        "plus": (b"+1", {400}),
        "unquoted": (b"{a:1}", {400}),
        "true-word": (b"True", {400}),
    }
    for name, (payload, statuses) in payloads.items():
        yield name, A % payload, statuses
    yield "nothing", b"", {400}
    yield "blank", b"   ", {400}
    yield "null", b"null", {422}
    yield "text", b'"a"', {422}
    yield "number", b"1", {422}
    yield "list", b"[1]", {422}
    yield "closed-too-early", b"}", {400}
    yield "unfinished", (A % b"1")[:-1], {400, 422}
    yield "twice", (A % b"1") * 2, {400}
    yield "byte-order-mark", b"\xef\xbb\xbf" + A % b"1", {400}
    yield "utf16", (A % b"1").decode().encode("utf-16"), {400}
    yield "utf32", (A % b"1").decode().encode("utf-32-le"), {400}
    yield "id-twice", b'{"id":"b",' + REST, {422}
    yield "id-twice-escaped", rb'{"\u0069d":"b",' + REST, {422}
    yield "bad-utf8-in-unknown", b'{"x":"\xff",' + REST, {400}
    yield "deep-in-unknown", b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"," + REST, {400}
    yield "digits-in-unknown", b'{"x":' + DIGITS + b"," + REST, {200, 400}
    yield "many-members", b"{" + b"".join(b'"k%d":1,' % i for i in range(50_000)) + REST, {200}
    yield "three-megabytes", b" " * 3_000_000, {413}
    yield "nulls", b"\0" * 1000, {400}
    yield "random", bytes(range(256)) * 10, {400}
    yield "id-number", (A % b"1").replace(b'"a1"', b"1"), {422}
    yield "id-null", (A % b"1").replace(b'"a1"', b"null"), {422}
    yield "year-zeros", (A % b"1").replace(b"2025-", b"0" * 500 + b"-"), {422}


BODIES = list(bodies())


@pytest.mark.parametrize(
    ("body", "statuses"), [it[1:] for it in BODIES], ids=[it[0] for it in BODIES]
)
async def test_a_hostile_body_is_refused_or_harmless(
    open_api: OpenApi, body: bytes, statuses: set[int]
) -> None:
    async with open_api() as api:
        answer = await api.send("POST", "/v1/dispatch", body)
        assert answer.status in statuses, answer
        batch = await api.send("POST", "/v1/dispatch/batch", b"[" + body + b"]")
        assert batch.status < 500
        assert (await api.get("/health")).status == 200


@given(st.binary(max_size=300))
def test_no_octets_raise_anything_but_our_errors(body: bytes) -> None:
    for read in (read_action, read_actions):
        with pytest.raises(WireError):
            read(body)


def head(*lines: str) -> bytes:
    return "\r\n".join(
        ("POST /v1/dispatch HTTP/1.1", "host: x", "content-type: application/json", *lines, "", "")
    ).encode("latin-1")


async def raw(api: Api, sent: bytes) -> int:
    return (await exchange(api.url, sent)).status


async def test_chunked_bodies_are_read(open_api: OpenApi) -> None:
    body = A % b"1"
    chunks = b"".join(b"1\r\n%c\r\n" % octet for octet in body) + b"0\r\n\r\n"
    async with open_api() as api:
        sent = head("transfer-encoding: chunked", "connection: close") + chunks
        assert await raw(api, sent) == 200


async def test_a_chunked_body_that_is_too_large_is_refused(open_api: OpenApi) -> None:
    chunk = b"%x\r\n%s\r\n" % (65536, b" " * 65536)
    async with open_api(server=ServerSection(max_body_bytes=1000)) as api:
        sent = head("transfer-encoding: chunked", "connection: close") + chunk + b"0\r\n\r\n"
        assert await raw(api, sent) == 413


async def test_a_body_without_end_is_refused_at_some_point(open_api: OpenApi) -> None:
    chunk = b"%x\r\n%s\r\n" % (65536, b" " * 65536)
    async with open_api(server=ServerSection(max_body_bytes=65536)) as api:
        sent = head("transfer-encoding: chunked", "connection: close") + chunk * 20
        assert await raw(api, sent) == 413


async def test_a_client_that_asks_first_need_not_send_what_is_too_large(open_api: OpenApi) -> None:
    async with open_api() as api:
        sent = head("content-length: 3000000", "expect: 100-continue", "connection: close")
        assert await raw(api, sent) == 413


async def test_a_body_that_does_not_come_is_not_waited_for(open_api: OpenApi) -> None:
    async with open_api(server=ServerSection(read_timeout=timedelta(milliseconds=50))) as api:
        answer = await exchange(api.url, head("content-length: 10", "connection: close") + b"{")
    assert answer.status == 408
    said = answer.json()
    assert (said["code"], said["retryable"]) == ("REQUEST_TIMEOUT", True)


@pytest.mark.parametrize("sent", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nx: 1\r\n"])
async def test_a_head_that_does_not_come_is_not_waited_for(sent: bytes) -> None:
    moment = timedelta(milliseconds=50)
    async with RunningServer(Asgi.UVICORN, read_timeout=moment) as server:
        with pytest.raises(ConnectionError, match="no answer but b''"):
            await exchange(server.url, sent)


async def test_a_head_may_come_in_pieces(open_api: OpenApi) -> None:
    async with open_api() as api:
        _, _, place = api.url.partition("://")
        host, _, port = place.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for piece in ("GET /health", " HTTP/1.1\r\n", "host: x\r\n", "connection: close\r\n\r\n"):
            writer.write(piece.encode())
            await writer.drain()
            await api.get("/health")  # So that it is read by itself.
        assert parse_answer(await reader.read()).status == 200
        writer.close()


async def test_a_head_of_megabytes_is_refused(open_api: OpenApi) -> None:
    async with open_api() as api:
        # The answer may be lost, as the server hangs up while the rest is still being sent.
        with suppress(ConnectionError):
            long = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: " + b"a" * 8_000_000
            assert await raw(api, long + b"\r\n\r\n") in (400, 431)
        assert (await api.send("GET", "/health")).status == 200


async def test_twenty_thousand_headers_are_no_server_error(open_api: OpenApi) -> None:
    many = [f"x-{number}: {number}" for number in range(20_000)]
    async with open_api() as api:
        assert await raw(api, head(*many, "content-length: 2", "connection: close") + b"{}") < 500


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "9" * 5000, "1, 2", "0x10"])
async def test_odd_lengths_are_no_server_error(open_api: OpenApi, length: str) -> None:
    async with open_api(server=ServerSection(read_timeout=timedelta(milliseconds=50))) as api:
        sent = head(f"content-length: {length}", "connection: close") + b"{}"
        assert await raw(api, sent) < 500


@pytest.mark.parametrize(
    "target",
    [
        "/%",
        "/%00",
        "/v1/rules/%ff/enabled",
        "//",
        "/v1//rules",
        "/" + "a" * 5000,
        "/?%ff=%zz",
        "/\\",
    ],
)
async def test_odd_targets_are_no_server_error(open_api: OpenApi, target: str) -> None:
    async with open_api() as api:
        assert (await api.get(target)).status in (400, 404, 405)


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_forgotten(
    open_api: OpenApi,
) -> None:
    async with open_api() as api:
        _, _, place = api.url.partition("://")
        host, _, port = place.partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head("content-length: 1000") + b"{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await api.get("/metrics")).json()["dispatched"] == 0


def test_interim_answers_are_left_out() -> None:
    assert parse_answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n").status == 204


def test_bodies_have_names_of_their_own() -> None:
    names: list[Any] = [name for name, _, _ in BODIES]
    assert len(set(names)) == len(names) >= 50
    assert json.loads(A % b"1")["payload"] == 1
