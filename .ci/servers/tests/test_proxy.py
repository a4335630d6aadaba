"""The proxy passes on, counts, cuts, refuses and delays."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from servers.proxy import Proxy


class Echo:
    """A server that answers each line with itself, and ends the connection after `bye`."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(line)
                if line == b"bye\n":
                    break
            await writer.drain()
        except ConnectionResetError:
            pass
        finally:
            writer.close()
            self.ended.set()


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with Proxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()
    await server.wait_closed()


class Client:
    """A connection by way of the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, proxy: Proxy) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.url_port))

    async def ask(self, *lines: bytes) -> list[bytes]:
        self.writer.write(b"".join(lines))
        return [await self.reader.readline() for _ in lines]


async def test_a_trip_is_a_question_and_its_answer(proxy: Proxy) -> None:
    client = await Client.connect(proxy)
    for line in (b"one\n", b"two\n", b"three\n"):
        assert await client.ask(line) == [line]

    assert proxy.trips == 3
    assert proxy.connections == 1
    client.writer.close()


async def test_questions_that_are_sent_together_are_one_trip(proxy: Proxy) -> None:
    client = await Client.connect(proxy)
    lines = [b"%d\n" % number for number in range(100)]

    assert await client.ask(*lines) == lines
    assert proxy.trips == 1
    client.writer.close()


async def test_connections_are_counted_apart(proxy: Proxy) -> None:
    clients = [await Client.connect(proxy) for _ in range(3)]
    for client in clients:
        await client.ask(b"hello\n")

    assert (proxy.connections, proxy.trips) == (3, 3)
    for client in clients:
        client.writer.close()


async def test_much_data_comes_through_whole(proxy: Proxy) -> None:
    client = await Client.connect(proxy)
    line = b"x" * 60_000 + b"\n"

    assert await client.ask(*[line] * 50) == [line] * 50
    client.writer.close()


async def test_the_last_words_of_a_server_arrive_before_the_end(proxy: Proxy) -> None:
    client = await Client.connect(proxy)

    assert await client.ask(b"bye\n") == [b"bye\n"]
    assert await client.reader.read() == b""
    client.writer.close()


async def test_a_cut_ends_the_connection_on_both_sides(proxy: Proxy, echo: Echo) -> None:
    client = await Client.connect(proxy)
    await client.ask(b"hello\n")
    proxy.cut()

    with pytest.raises(ConnectionResetError):
        await client.reader.readexactly(1)
    async with asyncio.timeout(5):
        await echo.ended.wait()
    again = await Client.connect(proxy)
    assert await again.ask(b"hello\n") == [b"hello\n"]
    client.writer.close()
    again.writer.close()


async def test_new_connections_are_refused_and_open_ones_stay(proxy: Proxy) -> None:
    client = await Client.connect(proxy)
    await client.ask(b"hello\n")
    proxy.refuse(True)
    refused = await Client.connect(proxy)
    with pytest.raises(ConnectionResetError):
        await refused.reader.readexactly(1)
    refused.writer.close()

    assert await client.ask(b"still\n") == [b"still\n"]
    proxy.refuse(False)
    again = await Client.connect(proxy)
    assert await again.ask(b"hello\n") == [b"hello\n"]
    assert proxy.connections == 2
    client.writer.close()
    again.writer.close()


async def test_an_answer_is_delayed(proxy: Proxy) -> None:
    client = await Client.connect(proxy)
    loop = asyncio.get_running_loop()
    proxy.delay(timedelta(milliseconds=100))
    start = loop.time()
    await client.ask(b"slow\n")
    assert loop.time() - start >= 0.099

    proxy.delay(timedelta(0))
    async with asyncio.timeout(5):
        await client.ask(b"fast\n")
    client.writer.close()


async def test_a_server_that_is_away_ends_the_connection() -> None:
    async with Proxy("127.0.0.1", 1) as proxy:
        client = await Client.connect(proxy)

        assert await client.reader.read() == b""
        client.writer.close()
