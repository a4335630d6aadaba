"""A network that fails as it is told, between real sockets, and in front of a real Redis."""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Any

import pytest
from attrs import define, field

from acteon.core import ActeonError
from acteon.simulation import Action, SimulationConfig, SimulationError, SimulationHarness
from acteon.simulation.ports import bound
from acteon.simulation.proxy import FaultProxy
from acteon.state import StateConnectionError, StateKey
from acteon.state_redis import RedisStateConfig, RedisStatePlugin
from servers import redis
from servers.process import Server

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

LIMIT = 10
"""Seconds that nothing here takes."""
A_WHILE = 0.1
"""Seconds in which something would arrive if it ever did."""
HOUR = timedelta(hours=1)


@define(eq=False)
class Echo:
    """Answers each line with itself, in capitals; `end` has it close the connection."""

    port: int = 0
    asked: list[bytes] = field(factory=list[bytes])
    ended: list[type[BaseException] | None] = field(factory=list[type[BaseException] | None])
    """How clients went: None if in order."""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Echo"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=10_000_000)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (line := await reader.readline()) not in {b"", b"end\n"}:
                self.asked.append(line)
                writer.write(line.upper())
                await writer.drain()
            self.ended.append(None)
        except OSError as error:
            self.ended.append(type(error))
        finally:
            writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with Echo().running() as echo:
        yield echo


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[FaultProxy]:
    async with FaultProxy("127.0.0.1", echo.port) as proxy:
        yield proxy


@pytest.fixture
async def connect(proxy: FaultProxy) -> AsyncIterator[Callable[[], Any]]:
    """Give what connects through the proxy."""
    async with AsyncExitStack() as stack:

        async def connect() -> Stream:
            stream = await asyncio.open_connection("127.0.0.1", proxy.local_port, limit=10_000_000)
            stack.callback(stream[1].close)
            return stream

        yield connect


async def ask(stream: Stream, line: bytes = b"hello\n") -> bytes:
    stream[1].write(line)
    async with asyncio.timeout(LIMIT):
        return await stream[0].readline()


async def nothing_arrives(stream: Stream) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(A_WHILE):
            await stream[0].read(1)


async def is_reset(stream: Stream) -> None:
    async with asyncio.timeout(LIMIT):
        with pytest.raises(ConnectionResetError):
            await stream[0].read()


async def until(holds: Callable[[], bool]) -> None:
    deadline = monotonic() + LIMIT
    while not holds():
        assert monotonic() < deadline
        await asyncio.sleep(0.002)


async def test_without_faults_all_passes_and_is_counted(
    proxy: FaultProxy, connect: Callable[[], Any]
) -> None:
    one, two = await connect(), await connect()
    large = b"x" * 3_000_000 + b"\n"

    assert await ask(one) == b"HELLO\n"
    assert await ask(two, large) == large.upper()

    assert proxy.connections == proxy.open_connections == 2
    assert proxy.bytes_asked == proxy.bytes_answered == len(large) + 6


async def test_the_end_of_either_side_comes_over_in_order(
    echo: Echo, proxy: FaultProxy, connect: Callable[[], Any]
) -> None:
    one, two = await connect(), await connect()

    assert await ask(one, b"end\n") == b""
    two[1].write(b"last\n")
    two[1].write_eof()

    assert await two[0].read() == b"LAST\n"
    one[1].close()
    await until(lambda: proxy.open_connections == 0)
    assert echo.ended == [None, None]


async def test_a_client_that_resets_is_reset_at_the_server(
    echo: Echo, connect: Callable[[], Any]
) -> None:
    stream = await connect()
    await ask(stream)
    reset = b"\x01\0\0\0\0\0\0\0"
    stream[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    stream[1].transport.abort()

    await until(lambda: bool(echo.ended))
    assert echo.ended == [ConnectionResetError]


async def test_without_a_server_connections_are_reset() -> None:
    with bound() as nobody:
        async with FaultProxy("127.0.0.1", nobody.getsockname()[1]) as proxy:
            stream = await asyncio.open_connection("127.0.0.1", proxy.local_port)
            await is_reset(stream)
            stream[1].close()


async def test_cut_resets_both_sides_of_all_connections_and_new_ones_work(
    echo: Echo, proxy: FaultProxy, connect: Callable[[], Any]
) -> None:
    one, two = await connect(), await connect()
    await ask(one)
    await ask(two)

    proxy.cut()

    await is_reset(one)
    await is_reset(two)
    await until(lambda: len(echo.ended) == 2)
    assert echo.ended == [ConnectionResetError] * 2
    assert proxy.open_connections == 0
    assert await ask(await connect()) == b"HELLO\n"


async def test_refused_connections_are_refused_by_the_system_and_open_ones_stay(
    proxy: FaultProxy, connect: Callable[[], Any]
) -> None:
    stream = await connect()
    await ask(stream)
    port = proxy.local_port

    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await connect()
    assert await ask(stream) == b"HELLO\n"
    proxy.refuse(False)

    assert await ask(await connect()) == b"HELLO\n"
    assert proxy.local_port == port
    assert proxy.connections == 2


async def test_refusing_may_be_switched_faster_than_anything_else_gets_a_turn(
    proxy: FaultProxy, connect: Callable[[], Any]
) -> None:
    for refusing in (True, False, True, True, False, False, True):
        proxy.refuse(refusing)
    with pytest.raises(ConnectionRefusedError):
        await connect()

    proxy.heal()

    assert await ask(await connect()) == b"HELLO\n"


async def test_faults_may_be_there_before_the_proxy(echo: Echo) -> None:
    proxy = FaultProxy("127.0.0.1", echo.port)
    proxy.refuse()
    proxy.cut()
    async with proxy:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", proxy.local_port)


async def test_answers_are_late_by_the_delay_and_not_by_more_for_each_part(
    proxy: FaultProxy, connect: Callable[[], Any]
) -> None:
    stream = await connect()
    pause = 0.2
    proxy.delay(timedelta(seconds=pause))
    begun = monotonic()

    stream[1].write(b"1\n")
    for number in b"2345":
        await asyncio.sleep(pause / 8)
        stream[1].write(bytes([number, 10]))
    answers = [await stream[0].readline() for _ in range(5)]

    assert answers == [b"1\n", b"2\n", b"3\n", b"4\n", b"5\n"]
    assert 1.5 * pause <= monotonic() - begun < 3 * pause


async def test_jitter_keeps_answers_in_order(proxy: FaultProxy, connect: Callable[[], Any]) -> None:
    stream = await connect()
    proxy.delay(timedelta(0), jitter=timedelta(milliseconds=20))
    lines = [b"%d\n" % number for number in range(30)]

    for line in lines:
        stream[1].write(line)
        await asyncio.sleep(0.001)

    async with asyncio.timeout(LIMIT):
        assert [await stream[0].readline() for _ in lines] == lines


async def test_what_is_delayed_for_long_comes_at_once_when_that_ends(
    proxy: FaultProxy, connect: Callable[[], Any]
) -> None:
    stream = await connect()
    proxy.delay(HOUR)
    stream[1].write(b"hello\n")
    await nothing_arrives(stream)

    proxy.heal()

    assert await ask(stream, b"and\n") == b"HELLO\n"


async def test_half_open_takes_all_passes_nothing_and_goes_on_afterwards(
    echo: Echo, proxy: FaultProxy, connect: Callable[[], Any]
) -> None:
    before = await connect()
    await ask(before)
    proxy.half_open()

    during = await connect()
    for stream in (before, during):
        stream[1].write(b"late\n")
        await nothing_arrives(stream)
    assert echo.asked == [b"hello\n"]
    proxy.half_open(False)

    assert await before[0].readline() == await during[0].readline() == b"LATE\n"


async def test_a_connection_can_be_cut_while_it_is_half_open(
    proxy: FaultProxy, connect: Callable[[], Any]
) -> None:
    proxy.half_open()
    stream = await connect()
    await until(lambda: proxy.open_connections == 1)

    proxy.cut()

    await is_reset(stream)


async def test_a_limit_is_kept_to(proxy: FaultProxy, connect: Callable[[], Any]) -> None:
    stream = await connect()
    proxy.limit(20_000)
    begun = monotonic()

    assert len(await ask(stream, b"x" * 3_999 + b"\n")) == 4_000

    # Nearly 0.2 seconds there, and the echo of the whole line takes as long.
    assert 0.25 < monotonic() - begun < 2
    proxy.limit(None)
    begun = monotonic()
    assert len(await ask(stream, b"x" * 99_999 + b"\n")) == 100_000
    assert monotonic() - begun < 2


def asked_until_the_end(port: int, line: bytes) -> tuple[bytes, str]:
    """Return what arrives, and how it ends; streams would forget what came before a reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as client:
        client.sendall(line)
        got = b""
        try:
            while octets := client.recv(4096):
                got += octets
        except ConnectionResetError:
            return got, "reset"
        return got, "in order"


@pytest.mark.parametrize("n_bytes", [0, 1, 70_000])
async def test_an_answer_is_cut_in_its_middle_once(
    n_bytes: int, echo: Echo, proxy: FaultProxy, connect: Callable[[], Any]
) -> None:
    other = await connect()
    await ask(other)
    proxy.cut_after(n_bytes)

    line = b"x" * 99_999 + b"\n"
    got, end = await asyncio.to_thread(asked_until_the_end, proxy.local_port, line)

    assert (got, end) == (b"X" * n_bytes, "reset")
    assert echo.asked[-1] == line
    assert await ask(other) == b"HELLO\n"
    assert await ask(await connect()) == b"HELLO\n"


async def test_answers_are_lost_after_the_request_was_carried_out(
    echo: Echo, proxy: FaultProxy, connect: Callable[[], Any]
) -> None:
    asks, idle = await connect(), await connect()
    await ask(idle)
    proxy.lose_answers()

    asks[1].write(b"pay\n")
    await until(lambda: b"pay\n" in echo.asked)
    await nothing_arrives(asks)
    asks[1].write(b"end\n")
    await nothing_arrives(asks)
    proxy.heal()

    await is_reset(asks)  # What came next would be taken for the answer.
    assert await ask(idle) == b"HELLO\n"


@pytest.mark.parametrize(
    ("fault", "given"),
    [
        ("delay", (timedelta(seconds=-1),)),
        ("delay", (HOUR, -HOUR)),
        ("limit", (0,)),
        ("cut_after", (-1,)),
    ],
)
def test_what_cannot_be_is_told(fault: str, given: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="must be >= "):
        getattr(FaultProxy("127.0.0.1", 1), fault)(*given)


def test_the_url_is_the_given_one_with_another_host_and_port() -> None:
    with FaultProxy.sync("postgres://ann:p%40ss@db.example/shop?sslmode=disable") as proxy:
        assert (proxy.host, proxy.port) == ("db.example", 5432)
        assert proxy.url == (
            f"postgres://ann:p%40ss@127.0.0.1:{proxy.local_port}/shop?sslmode=disable"
        )
    with FaultProxy.sync("elasticsearch+http://[::1]:9200") as proxy:
        assert (proxy.host, proxy.port) == ("::1", 9200)
        assert proxy.url == f"elasticsearch+http://127.0.0.1:{proxy.local_port}"


@pytest.mark.parametrize(
    "url",
    [
        "unix:///run/redis.sock",
        "redis+sentinel://:secret@one:26379/service",
        "redis+cluster://:secret@one:7000,two:7000",
        "postgres://ann:secret@one,two/shop",
        "amqp://ann:secret@one",
        "redis://:secret@one:port",
        "dynamodb://eu-west-1",
        "localhost:6379",
    ],
)
def test_a_url_without_one_server_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SimulationError) as caught:
        FaultProxy.to(url)

    assert "secret" not in str(caught.value)


def test_it_has_a_url_only_while_it_runs() -> None:
    proxy = FaultProxy("127.0.0.1", 1)
    with pytest.raises(SimulationError, match="enter it"):
        _ = proxy.url


async def test_it_runs_once_at_a_time_and_may_run_again(echo: Echo) -> None:
    proxy = FaultProxy("127.0.0.1", echo.port)
    async with proxy:
        with pytest.raises(SimulationError, match="runs already"):
            await proxy.__aenter__()
    for _ in range(2):
        async with proxy:
            stream = await asyncio.open_connection("127.0.0.1", proxy.local_port)
            assert await ask(stream) == b"HELLO\n"
            stream[1].close()


async def test_leaving_it_resets_what_is_open(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy:
        proxy.half_open()
        stream = await asyncio.open_connection("127.0.0.1", proxy.local_port)
        await until(lambda: proxy.connections == 1)
    await is_reset(stream)
    stream[1].close()


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Server]:
    with redis.running() as server:
        yield server


@pytest.fixture
async def redis_proxy(redis_server: Server) -> AsyncIterator[FaultProxy]:
    async with FaultProxy.to(redis_server.url) as proxy:
        yield proxy


class TestWithoutALoop:
    """The same proxy in a thread of its own, and clients that block."""

    @pytest.fixture
    def server(self) -> Iterator[socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            yield server

    def test_clients_that_block_get_through_and_faults_hold_at_once(
        self, server: socket.socket
    ) -> None:
        port = server.getsockname()[1]

        with FaultProxy.sync(f"tcp://127.0.0.1:{port}") as proxy:
            there = ("127.0.0.1", proxy.local_port)
            with socket.create_connection(there, timeout=LIMIT) as client:
                passed, _ = server.accept()
                with closing(passed):
                    client.sendall(b"ping")
                    assert passed.recv(100) == b"ping"
                    passed.sendall(b"pong")
                    assert client.recv(100) == b"pong"

                    proxy.cut()
                    assert proxy.open_connections == 0
                    with pytest.raises(ConnectionResetError):
                        client.recv(1)

            proxy.refuse()
            for _ in range(20):
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(there, timeout=LIMIT)

    def test_many_threads_may_switch_faults(self, server: socket.socket) -> None:
        with FaultProxy.sync(f"tcp://127.0.0.1:{server.getsockname()[1]}") as proxy:

            def switch() -> None:
                for _ in range(30):
                    proxy.refuse()
                    proxy.half_open()
                    proxy.heal()

            threads = [threading.Thread(target=switch) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            with socket.create_connection(("127.0.0.1", proxy.local_port), timeout=LIMIT) as client:
                passed, _ = server.accept()
                with closing(passed):
                    client.sendall(b"ping")
                    assert passed.recv(100) == b"ping"


@pytest.mark.server
class TestInFrontOfRedis:
    """What the state store promises, while the network does its worst."""

    KEY = StateKey("tests", "acme", "state", "1")

    @staticmethod
    def config(url: str) -> RedisStateConfig:
        quick = timedelta(milliseconds=400)
        return RedisStateConfig(url=url, connect_timeout=quick, command_timeout=quick)

    @staticmethod
    async def answers(call: Callable[[], Any]) -> Any:
        """Call until there is an answer."""
        deadline = monotonic() + LIMIT
        while True:
            try:
                return await call()
            except ActeonError:
                assert monotonic() < deadline
                await asyncio.sleep(0.02)

    @pytest.mark.parametrize("fault", ["refuse", "half_open", "lose_answers"])
    async def test_a_store_gets_through_an_outage(
        self, fault: str, redis_proxy: FaultProxy
    ) -> None:
        async with RedisStatePlugin.open(self.config(redis_proxy.url)) as backend:
            await backend.store.set(self.KEY, "before", ttl=HOUR)
            getattr(redis_proxy, fault)()
            redis_proxy.cut()

            begun = monotonic()
            with pytest.raises(StateConnectionError):
                await backend.store.get(self.KEY)
            assert monotonic() - begun < 3
            redis_proxy.heal()

            assert await self.answers(lambda: backend.store.get(self.KEY)) == "before"

    async def test_a_store_whose_idle_connections_were_cut_answers_at_once(
        self, redis_proxy: FaultProxy
    ) -> None:
        async with RedisStatePlugin.open(self.config(redis_proxy.url)) as backend:
            await backend.store.set(self.KEY, "there", ttl=HOUR)
            for _ in range(3):
                redis_proxy.cut()
                assert await backend.store.get(self.KEY) == "there"

    async def test_of_a_lost_answer_the_effect_is_there_and_unknown(
        self, redis_proxy: FaultProxy, redis_server: Server
    ) -> None:
        key = StateKey("tests", "acme", "state", "lost")
        async with RedisStatePlugin.open(self.config(redis_proxy.url)) as backend:
            redis_proxy.lose_answers()
            with pytest.raises(StateConnectionError):
                await backend.store.check_and_set(key, "mine", ttl=HOUR)
            assert "mine" in redis.ask(redis_server.port, "GET", "acteon:tests:acme:state:lost")
            redis_proxy.heal()

            again = await self.answers(lambda: backend.store.check_and_set(key, "theirs", ttl=HOUR))
            assert not again

    async def test_an_answer_that_breaks_off_is_not_taken_for_another(
        self, redis_proxy: FaultProxy
    ) -> None:
        keys = [StateKey("tests", "acme", "state", f"{number}") for number in range(5)]
        async with RedisStatePlugin.open(self.config(redis_proxy.url)) as backend:
            for key in keys:
                await backend.store.set(key, key.id * 1000, ttl=HOUR)
            redis_proxy.cut_after(500)

            found = [await self.answers(partial(backend.store.get, key)) for key in keys]

            assert found == [key.id * 1000 for key in keys]

    async def test_a_simulation_deduplicates_before_and_after_an_outage(
        self, redis_proxy: FaultProxy
    ) -> None:
        rules = """
rules:
  - name: once
    condition: {field: action.action_type, eq: notify}
    action: {type: deduplicate, ttl_seconds: 60}
"""
        config = SimulationConfig(nodes=2, rules=rules, providers=["email"], state=redis_proxy.url)
        action = Action("tests", "acme", "email", "notify", {}).with_dedup_key("k")
        async with SimulationHarness(config) as harness:
            (await harness.dispatch(action)).assert_executed()
            redis_proxy.refuse()
            redis_proxy.cut()
            with pytest.raises(ActeonError):
                await harness.dispatch(action)
            redis_proxy.heal()

            outcome = await self.answers(lambda: harness.dispatch_to(1, action))

            outcome.assert_deduplicated()
            harness.provider("email").assert_called(1)
