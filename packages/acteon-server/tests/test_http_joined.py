"""Answers go out in one piece."""

import asyncio
from datetime import timedelta

from acteon.server.config import Asgi
from acteon.server.http.joined import JoinedTransport
from acteon.server.http.running import Shutdown, chosen_server
from acteon.server.testing import OpenApi, exchange


class Recorder(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def test_writes_of_one_turn_are_one() -> None:
    recorder = Recorder()
    joined = JoinedTransport(recorder, asyncio.get_running_loop())
    for part in (b"head", b"", b"body"):
        joined.write(part)
    assert recorder.written == []
    await asyncio.sleep(0)
    joined.write(b"next")
    await asyncio.sleep(0)
    assert recorder.written == [b"headbody", b"next"]


async def test_much_is_not_held() -> None:
    recorder = Recorder()
    joined = JoinedTransport(recorder, asyncio.get_running_loop())
    joined.write(b"x" * 100_000)
    assert recorder.written == [b"x" * 100_000]
    await asyncio.sleep(0)
    assert len(recorder.written) == 1


async def test_closing_writes_what_is_held_first() -> None:
    recorder = Recorder()
    joined = JoinedTransport(recorder, asyncio.get_running_loop())
    joined.write(b"last")
    joined.close()
    assert recorder.written == [b"last"]
    assert joined.is_closing()


async def test_nothing_is_written_to_a_closed_connection() -> None:
    recorder = Recorder()
    joined = JoinedTransport(recorder, asyncio.get_running_loop())
    joined.write(b"late")
    recorder.close()
    await asyncio.sleep(0)
    assert recorder.written == []


async def test_answers_to_pipelined_requests_keep_their_order(open_api: OpenApi) -> None:
    paths = ("/health", "/nope", "/swagger-ui/swagger-ui-bundle.js", "/metrics")
    heads = [f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n" for path in paths]
    last = "GET /v1/rules HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    async with open_api() as api:
        rest = (await exchange(api.url, "".join((*heads, last)).encode())).body
    assert rest.count(b"HTTP/1.1 ") == len(paths)
    assert rest.endswith(b"[]")


def test_the_fast_server_is_taken_where_it_is_installed() -> None:
    assert chosen_server(Asgi.AUTO) is Asgi.UVICORN
    assert chosen_server(Asgi.HYPERCORN) is Asgi.HYPERCORN


async def test_the_time_to_stop_runs_from_the_first_order() -> None:
    shutdown = Shutdown(timedelta(seconds=100))
    assert shutdown.left == 100
    shutdown.order()
    shutdown.order()
    await shutdown.ordered()
    assert 0 < shutdown.left_for_requests < shutdown.left <= 100
    assert shutdown.left - shutdown.left_for_requests > 1.9
