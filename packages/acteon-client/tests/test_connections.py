"""Encrypted connections, proxies, and what is left of connections afterwards."""

import asyncio
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
import urllib3
from attrs import frozen

from acteon.client import (
    ActeonClient,
    ActeonConnectionError,
    Action,
    AsyncActeonClient,
    ConfigurationError,
)
from acteon.gateway import Gateway
from acteon.server.http import create_app
from acteon.server.testing import RunningServer

ACTION = Action("shop", "acme", "email", "welcome", {})
JSON = "content-type: application/json"


@frozen
class Certificates:
    """PEM files: of an authority, and of a client that it has certified.

    Attributes:
        server: What a server needs that wants to see the client's.
    """

    authority: str
    certificate: str
    key: str
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    client = ca.issue_cert("client@example.com")
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    client.private_key_pem.write_to_path(folder / "client.key")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority: Any = ca  # Its contexts may be those of another library, which is not here.
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    path, certificate, key = (str(folder / name) for name in ("ca.pem", "client.pem", "client.key"))
    return Certificates(path, certificate, key, context)


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
async def test_who_is_certified_is_believed_and_nobody_else(
    connected: Any, gateway: Gateway, certificates: Certificates
) -> None:
    own = {
        "client_cert_path": certificates.certificate,
        "client_key_path": certificates.key,
    }
    async with RunningServer(tls=certificates.server) as server:
        server.app = create_app(gateway)
        async with connected(server.url, ca_cert_path=certificates.authority, **own) as client:
            assert (await client.dispatch(ACTION)).is_executed()
        async with connected(server.url, verify_ssl=False, **own) as client:
            assert await client.health()
        async with connected(server.url, **own) as client:
            with pytest.raises(ActeonConnectionError, match=r"(?i)certificate") as caught:
                await client.dispatch(ACTION)
            assert not caught.value.sent
        async with connected(server.url, ca_cert_path=certificates.authority) as client:
            with pytest.raises(ActeonConnectionError):
                await client.dispatch(ACTION)


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


async def test_a_proxy_of_the_environment(
    connected: Any, scripted: Any, no_proxies: pytest.MonkeyPatch
) -> None:
    proxy = scripted(("200 OK", b"[]", JSON))
    no_proxies.setenv("http_proxy", proxy.url.replace("http://", "http://me:p%40ss@"))
    async with connected("http://acteon.example:1234", api_key="k") as client:
        assert await client.list_rules() == []
        assert "p%40ss" not in repr(client.client._options)
    head = proxy.requests[0].lower()
    assert head.startswith(b"get http://acteon.example:1234/v1/rules http/1.1\r\n")
    assert b"proxy-authorization: basic bwu6cebzcw==" in head

    direct = scripted(("200 OK", b"[]", JSON))
    no_proxies.setenv("no_proxy", "127.0.0.1")
    async with connected(direct.url) as client:
        assert await client.list_rules() == []
    assert len(proxy.requests) == 1
    no_proxies.setenv("http_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="http_proxy: socks5: use http"):
        ActeonClient("http://acteon.example")


def test_threads_share_a_client(scripted: Any) -> None:
    server = scripted(*[("200 OK", b"[]", JSON)] * 40)
    with ActeonClient(server.url) as client, ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(client.list_rules) for _ in range(40)]
        found = [call.result() for call in calls]

    assert found == [[]] * 40


async def test_a_call_that_is_cancelled_leaves_nothing(scripted: Any) -> None:
    server = scripted(b"", ("200 OK", b"[]", JSON))
    async with AsyncActeonClient(server.url) as client:
        call = asyncio.create_task(client.dispatch(ACTION))
        await asyncio.to_thread(server.called.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await client.list_rules() == []


def test_an_async_client_belongs_to_one_event_loop_until_it_is_closed(scripted: Any) -> None:
    server = scripted(("200 OK", b"[]", JSON), ("200 OK", b"[]", JSON))
    client = AsyncActeonClient(server.url)

    async def ask(*, close: bool) -> None:
        assert await client.list_rules() == []
        if close:
            await client.close()

    asyncio.run(ask(close=True))
    with asyncio.Runner() as runner:
        runner.run(ask(close=False))
        with pytest.raises(ConfigurationError, match="connections of another event loop"):
            asyncio.run(ask(close=False))
        runner.run(client.close())


async def test_a_client_is_closed_as_often_as_one_likes(connected: Any, scripted: Any) -> None:
    server = scripted(("200 OK", b"[]", JSON), ("200 OK", b"[]", JSON))
    async with connected(server.url) as client:
        await client.close()
        assert await client.list_rules() == []
        await client.close()
        await client.close()
        assert await client.list_rules() == []


async def test_connections_of_the_program_itself_stay_open(scripted: Any) -> None:
    server = scripted(*[("200 OK", b"[]", JSON)] * 4)
    pool = urllib3.PoolManager()
    with ActeonClient(server.url, http_client=pool) as client:
        assert await asyncio.to_thread(client.list_rules) == []
    assert pool.request("GET", f"{server.url}/x").status == 200
    pool.clear()
    async with aiohttp.ClientSession() as session:
        async with AsyncActeonClient(server.url, http_client=session) as client:
            assert await client.list_rules() == []
        async with session.get(f"{server.url}/x") as answer:
            assert answer.status == 200
    with pytest.raises(ConfigurationError, match="http_client has certificates of its own"):
        ActeonClient(server.url, http_client=pool, verify_ssl=False)


async def test_many_that_are_stopped_early_leave_nothing(connected: Any, url: str) -> None:
    taken: list[int] = []

    def actions() -> Iterator[Action]:
        for number in range(1000):
            taken.append(number)
            yield Action("shop", "acme", "email", "welcome", number)

    with ActeonClient(url) as client:

        def first() -> int:
            pairs = client.dispatch_many(actions(), chunk_size=10, concurrency=2)
            sent, _ = next(pairs)
            pairs.close()
            payload: int = sent.payload
            return payload

        assert await asyncio.to_thread(first) == 0
    assert len(taken) <= 30
    async with AsyncActeonClient(url) as other:
        taken.clear()
        many = other.dispatch_many(actions(), chunk_size=10, concurrency=2)
        assert (await anext(many))[0].payload == 0
        await many.aclose()
    assert len(taken) <= 30


async def test_of_a_request_that_fails_each_action_has_the_error(
    connected: Any, scripted: Any
) -> None:
    server = scripted(
        ("200 OK", b'["Deduplicated","Deduplicated"]', JSON),
        ("500 Oh", b'{"error":"state"}', JSON),
        ("200 OK", b'["Deduplicated"]', JSON),
    )
    async with connected(server.url) as client:
        pairs = await client.dispatch_many([ACTION] * 5, chunk_size=2, concurrency=1)

    assert [result.is_success for _, result in pairs] == [True, True, False, False, True]
    error = pairs[2][1].error
    assert (error.message, error.code, error.retryable) == (
        "API error [SERVER_ERROR]: state",
        "SERVER_ERROR",
        True,
    )
    assert error.cause.status == 500
