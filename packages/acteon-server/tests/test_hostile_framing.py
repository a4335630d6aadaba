"""Octets that are no proper HTTP: an answer or a closed connection, and no delivery twice.

Each server has its own parser. Where they differ, the table says so, and `docs/guarantees.md` too.
"""

import logging

import pytest
from attrs import field, frozen

from acteon.gateway.testing import ScriptedProvider
from acteon.server.config import Asgi
from acteon.server.http.heads import MAX_HEADERS
from acteon.server.testing import Api, OpenApi, RunningServer, exchange_all

BODY = b'{"id":"a1","namespace":"n","tenant":"t","provider":"email","action_type":"x","payload":{}}'
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
GET = b"GET /health HTTP/1.1\r\nhost: x\r\n"
POST = b"POST /v1/dispatch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
CLOSE = b"connection: close\r\n\r\n"
LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNKED = b"transfer-encoding: chunked\r\n"


@frozen
class Case:
    """Something that is sent.

    Attributes:
        id: What it is called.
        sent: All that is sent before the client says that nothing more follows.
        uvicorn: The statuses of the answers; none: the connection is closed without one.
        hypercorn: Likewise; None: the same.
        delivered: How many deliveries come of it with uvicorn, and with hypercorn.
    """

    id: str
    sent: bytes = field(repr=False)
    uvicorn: tuple[int, ...]
    hypercorn: tuple[int, ...] | None = None
    delivered: tuple[int, int] = (0, 0)

    def wanted(self, asgi: Asgi) -> tuple[tuple[int, ...], int]:
        """Return the statuses and the number of deliveries."""
        if asgi is Asgi.UVICORN or self.hypercorn is None:
            return self.uvicorn, self.delivered[asgi is Asgi.HYPERCORN]
        return self.hypercorn, self.delivered[1]


def get(line: bytes, *more: bytes) -> bytes:
    return line + b"\r\nhost: x\r\n" + b"".join(more) + CLOSE


def headers(count: int) -> bytes:
    """Return a GET with `count` headers in all."""
    return GET + b"".join(b"x-%d: 1\r\n" % number for number in range(count - 2)) + CLOSE


CASES = (
    Case("no-request-line", b"HELLO\r\n\r\n", (400,)),
    Case("no-version", b"GET /health\r\n\r\n", (200,), (400,)),
    Case("http-0.9", b"GET /health HTTP/0.9\r\nhost: x\r\n\r\n", (200,)),
    Case("http-3.0", get(b"GET /health HTTP/3.0"), (400,), (200,)),
    Case("no-http", get(b"GET /health HTPP/1.1"), (400,)),
    Case("long-version", get(b"GET /health HTTP/1." + b"1" * 5000), (400,)),
    Case("unknown-method", get(b"BREW /health HTTP/1.1"), (400,), (405,)),
    Case("other-method", get(b"PROPFIND /health HTTP/1.1"), (405,)),
    Case("trace", get(b"TRACE /health HTTP/1.1"), (405,)),
    Case("connect", get(b"CONNECT x:443 HTTP/1.1"), (400,), (404,)),
    Case("long-method", get(b"A" * 60_000 + b" / HTTP/1.1"), (400,), (404,)),
    Case("tls-hello", bytes.fromhex("16030100c8010000c40303") + bytes(190), (400,)),
    Case("bare-newlines", b"GET /health HTTP/1.1\nhost: x\nconnection: close\n\n", (400,), (200,)),
    Case("bare-return", b"GET /health HTTP/1.1\rhost: x\rconnection: close\r\r", (400,)),
    Case("no-colon", GET + b"colon\r\n" + CLOSE, (400,)),
    Case("blank-before-colon", GET + b"x : 1\r\n" + CLOSE, (400,)),
    Case("folded", GET + b"x: 1\r\n 2\r\n" + CLOSE, (400,), (200,)),
    Case("folded-first", b"GET /health HTTP/1.1\r\n x: 1\r\nhost: x\r\n" + CLOSE, (400,)),
    Case("zero-in-header", GET + b"x: \0\r\n" + CLOSE, (400,)),
    Case("empty-name", GET + b": 1\r\n" + CLOSE, (400,)),
    Case("as-many-headers-as-may-be", headers(MAX_HEADERS), (200,)),
    Case("one-header-more", headers(MAX_HEADERS + 1), (431,)),
    Case("short-headers", GET + b"a:\r\n" * 16_000 + CLOSE, (431,)),
    Case("twenty-thousand-headers", headers(20_000), (431,)),
    Case("header-of-60-kilobytes", GET + b"x: " + b"a" * 60_000 + b"\r\n" + CLOSE, (200,)),
    Case("header-of-200-kilobytes", GET + b"x: " + b"a" * 200_000 + b"\r\n" + CLOSE, (431,)),
    Case("header-of-a-megabyte", GET + b"x: " + b"a" * 1_000_000 + b"\r\n" + CLOSE, (431,)),
    Case("path-of-60-kilobytes", get(b"GET /%s HTTP/1.1" % (b"a" * 60_000)), (404,)),
    Case("path-of-a-megabyte", get(b"GET /%s HTTP/1.1" % (b"a" * 1_000_000)), (431,)),
    Case("query-of-60-kilobytes", get(b"GET /health?%s HTTP/1.1" % (b"&a=" * 20_000)), (200,)),
    Case("query-of-a-megabyte", get(b"GET /v1/audit?%s HTTP/1.1" % (b"&a=" * 333_333)), (431,)),
    Case("zero-in-path", get(b"GET /\0 HTTP/1.1"), (400,)),
    Case("path-beyond-ascii", get("GET /é HTTP/1.1".encode()), (400,)),
    Case("blank-in-path", get(b"GET /a b HTTP/1.1"), (400,)),
    Case("length-negative", POST + b"content-length: -1\r\n\r\n", (400,)),
    Case("length-signed", POST + b"content-length: +%d\r\n" % len(BODY) + CLOSE + BODY, (400,)),
    Case("length-hex", POST + b"content-length: 0x10\r\n" + CLOSE + BODY, (400,)),
    Case("length-of-5000-digits", POST + b"content-length: %s\r\n" % (b"9" * 5000) + CLOSE, (400,)),
    Case("length-twice", POST + LENGTH * 2 + CLOSE + BODY, (400,), (200,), (0, 1)),
    Case("lengths-differ", POST + b"content-length: 1\r\n" + LENGTH + CLOSE + BODY, (400,)),
    Case("length-too-short", POST + b"content-length: 5\r\n" + CLOSE + BODY, (400,)),
    Case("length-too-long", POST + b"content-length: 500\r\n" + CLOSE + BODY, ()),
    Case("length-missing", POST + CLOSE + BODY, (400,)),
    Case("length-and-chunks", POST + LENGTH + CHUNKED + CLOSE + CHUNKS, (400,)),
    Case("chunks-and-length", POST + CHUNKED + LENGTH + CLOSE + CHUNKS, (400,)),
    Case("chunks-twice", POST + CHUNKED * 2 + CLOSE + CHUNKS, (400,), (501,)),
    Case(
        "chunks-almost", POST + b"transfer-encoding: xchunked\r\n" + CLOSE + CHUNKS, (400,), (501,)
    ),
    Case("packed", POST + b"transfer-encoding: gzip, chunked\r\n" + CLOSE + CHUNKS, (400,), (501,)),
    Case(
        "chunks-not-last",
        POST + b"transfer-encoding: chunked, identity\r\n" + CLOSE + CHUNKS,
        (400,),
        (501,),
    ),
    Case(
        "chunks-behind-a-blank", POST + b"transfer-encoding : chunked\r\n" + CLOSE + CHUNKS, (400,)
    ),
    Case("chunks-behind-a-tab", POST + b"transfer-encoding: \x0bchunked\r\n" + CLOSE, (400,)),
    Case("chunks-in-1.0", POST.replace(b"1.1", b"1.0") + CHUNKED + CLOSE + CHUNKS, (400,)),
    Case("chunk-no-size", POST + CHUNKED + b"\r\nzz\r\n" + BODY, (400,)),
    Case("chunk-negative", POST + CHUNKED + b"\r\n-1\r\n" + BODY, (400,)),
    Case("chunk-hex", POST + CHUNKED + b"\r\n0x" + CHUNKS, (400,)),
    Case("chunk-enormous", POST + CHUNKED + b"\r\n" + b"f" * 18 + b"\r\n" + BODY, (400,), ()),
    Case("chunk-too-short", POST + CHUNKED + b"\r\n3\r\nabcdef\r\n0\r\n\r\n", (400,)),
    Case("chunk-newlines", POST + CHUNKED + b"\r\n" + CHUNKS.replace(b"\r\n", b"\n"), (400,), ()),
    Case("chunk-without-end", POST + CHUNKED + b"\r\n" + CHUNKS[:-5], ()),
    Case(
        "second-is-garbage",
        POST + LENGTH + b"\r\n" + BODY + b"GARBAGE\r\n\r\n",
        (200,),
        (200, 400),
        (1, 1),
    ),
    Case(
        "second-is-cut-in-its-body",
        POST + LENGTH + b"\r\n" + BODY + POST + CHUNKED + b"\r\nzz\r\n",
        (200, 400),
        None,
        (1, 1),
    ),
    Case("three-in-a-row", (GET + b"\r\n") * 2 + GET + CLOSE, (200, 200, 200)),
    Case(
        "smuggled",
        POST + b"content-length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + POST + LENGTH + CLOSE + BODY,
        (400,),
    ),
)


async def statuses(api: Api, octets: bytes) -> tuple[int, ...]:
    """Return the statuses of the answers to `octets`."""
    return tuple(answer.status for answer in await exchange_all(api.url, octets))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_what_is_no_proper_http_is_answered_as_documented(
    server: RunningServer,
    open_api: OpenApi,
    email: ScriptedProvider,
    caplog: pytest.LogCaptureFixture,
    case: Case,
) -> None:
    with caplog.at_level(logging.WARNING, logger="acteon"):
        async with open_api() as api:
            found = await statuses(api, case.sent)
            assert (await api.get("/health")).status == 200
    assert (found, len(email.calls)) == case.wanted(server.asgi)
    assert [record.getMessage() for record in caplog.records] == []


async def test_trailers_are_no_headers(open_api: OpenApi, email: ScriptedProvider) -> None:
    untyped = POST.replace(b"content-type", b"x-type") + CHUNKED + CLOSE
    async with open_api() as api:
        trailer = CHUNKS[:-2] + b"content-type: application/json\r\n\r\n"
        assert await statuses(api, untyped + trailer) == (415,)
    assert email.calls == []


async def test_trailers_end_somewhere(open_api: OpenApi) -> None:
    async with open_api() as api:
        endless = POST + CHUNKED + b"\r\n" + CHUNKS[:-2] + b"x: " + b"a" * 2_000_000
        assert await statuses(api, endless) in ((431,), (400,))


async def test_http_2_is_spoken_by_hypercorn_only(server: RunningServer, open_api: OpenApi) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    async with open_api() as api:
        if server.asgi is Asgi.UVICORN:
            assert await statuses(api, preface) == (400,)
        else:
            with pytest.raises(ValueError, match="no answer but"):
                await exchange_all(api.url, preface)
