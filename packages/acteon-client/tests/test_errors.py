"""How requests fail, and what programs are told: every shape of answer, and every lack of one."""

import asyncio
import logging
import pickle
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acteon.client import (
    ActeonClient,
    ActeonConnectionError,
    ActeonTimeoutError,
    ApiError,
    AuditDisabledError,
    AuthenticationError,
    ClientError,
    ConfigurationError,
    DeserializationError,
    HttpError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
)
from acteon.core import ActeonError, Action
from acteon.gateway import Gateway
from acteon.server.http import create_app
from acteon.server.testing import RunningServer

JSON = "content-type: application/json"
ACTION = Action("shop", "acme", "email", "welcome", {}, id="action-1")

# Status and body, as servers of this kind send them, and what becomes of it.
REFUSALS: list[tuple[str, bytes, type[ClientError], str, str, bool]] = [
    (
        "401 Unauthorized",
        b'{"error":"missing authentication credentials"}',
        AuthenticationError,
        "UNAUTHORIZED",
        "missing authentication credentials",
        False,
    ),
    (
        "403 Forbidden",
        b'[{"error":"no grant for tenant acme"}]',
        PermissionDeniedError,
        "FORBIDDEN",
        "no grant for tenant acme",
        False,
    ),
    ("404 Not Found", b'{"error":"x"}', NotFoundError, "NOT_FOUND", "x", False),
    (
        "404 Not Found",
        b'{"error":"audit is not enabled"}',
        AuditDisabledError,
        "NOT_FOUND",
        "audit is not enabled",
        False,
    ),
    (
        "429 Too Many Requests",
        b'{"error":"rate limit exceeded","retry_after":7,"limit":100}',
        RateLimitedError,
        "RATE_LIMITED",
        "rate limit exceeded",
        True,
    ),
    ("500 Internal Server Error", b'{"error":"state"}', ApiError, "SERVER_ERROR", "state", True),
    (
        "500 Internal Server Error",
        b'{"error":"rule","code":"RULE_ERROR","message":"rule","retryable":false}',
        ApiError,
        "RULE_ERROR",
        "rule",
        False,
    ),
    (
        "503 Service Unavailable",
        b'{"code":"IN_PROGRESS","message":"busy","retryable":true}',
        ApiError,
        "IN_PROGRESS",
        "busy",
        True,
    ),
    (
        "409 Conflict",
        b'{"error":{"code":"GONE","message":"erased","retryable":false}}',
        ApiError,
        "GONE",
        "erased",
        False,
    ),
    (
        "400 Bad Request",
        b"Failed to parse the request body as JSON",
        InvalidRequestError,
        "INVALID_REQUEST",
        "Failed to parse the request body as JSON",
        False,
    ),
    ("415 Unsupported Media Type", b"no", InvalidRequestError, "INVALID_REQUEST", "no", False),
    ("422 Unprocessable Entity", b"no", InvalidRequestError, "INVALID_REQUEST", "no", False),
    ("413 Content Too Large", b"", InvalidRequestError, "INVALID_REQUEST", "413", False),
    ("408 Request Timeout", b"", HttpError, "TIMEOUT", "Failed to dispatch: 408", True),
    ("502 Bad Gateway", b"<html>proxy</html>", HttpError, "SERVER_ERROR", "proxy", True),
    ("405 Method Not Allowed", b"", HttpError, "CLIENT_ERROR", "is base_url that of an", False),
    ("404 Not Found", b"", NotFoundError, "NOT_FOUND", "is base_url that of an Acteon", False),
    ("418 Odd", b"[1,2]", HttpError, "CLIENT_ERROR", "[1,2]", False),
    ("500 Odd", b"\xff\xfe", HttpError, "SERVER_ERROR", "�", True),
]


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "message", "retryable"),
    REFUSALS,
    ids=[f"{each[0]} {each[1][:30]!r}" for each in REFUSALS],
)
async def test_every_refusal_says_why(
    connected: Any,
    scripted: Any,
    status: str,
    body: bytes,
    kind: type[ClientError],
    code: str,
    message: str,
    retryable: bool,
) -> None:
    server = scripted((status, body, JSON))
    async with connected(server.url) as client:
        with pytest.raises(ClientError) as caught:
            await client.dispatch(ACTION)

    error = caught.value
    assert type(error) is kind
    assert message in error.message
    assert (error.status, error.code, error.retryable) == (int(status[:3]), code, retryable)
    assert error.is_retryable() is retryable
    assert (error.request_id, error.body) == ("action-1", body)
    assert isinstance(error, ActeonError)
    assert error.api_code() == (code if isinstance(error, ApiError) else None)
    assert not error.is_connection_error()


async def test_when_to_come_back(connected: Any, scripted: Any) -> None:
    server = scripted(
        ("429 Too Many Requests", b'{"error":"x","retry_after":7}', "retry-after: 3"),
        ("429 Too Many Requests", b'{"error":"x","retry_after":7}', "x-ratelimit-limit: 50"),
        ("503 Busy", b"", "retry-after: Wed, 21 Oct 2015 07:28:00 GMT"),
        ("503 Busy", b"", "retry-after: soon"),
    )
    got: list[tuple[float | None, int | None]] = []
    async with connected(server.url) as client:
        for _ in range(4):
            with pytest.raises(HttpError) as caught:
                await client.list_rules()
            got.append((caught.value.retry_after, getattr(caught.value, "limit", None)))

    assert got == [(3, None), (7, 50), (0, None), (None, None)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"17",
        b'{"Executed":{}}',
        b'{"Executed":{"status":"odd"}}',
        b'{"A":1,"B":2}',
        b'{"Suppressed":{}}',
        b'{"Throttled":{"retry_after":{"secs":"x"}}}',
        b"[" * 3000,
        b"\xff",
    ],
)
async def test_a_success_that_cannot_be_read(connected: Any, scripted: Any, body: bytes) -> None:
    server = scripted(("200 OK", body, JSON), ("200 OK", body, "content-type: text/html"))
    async with connected(server.url) as client:
        with pytest.raises(DeserializationError) as caught:
            await client.dispatch(ACTION)
        assert not caught.value.retryable
        assert str(caught.value).startswith("failed to deserialize response: POST /v1/dispatch: ")
        with pytest.raises(DeserializationError, match="is base_url that of an Acteon server"):
            await client.query_audit()


async def test_a_batch_as_other_servers_answer_it(connected: Any, scripted: Any) -> None:
    body = (
        b'["Deduplicated",{"error":"no rule"},'
        b'{"error":{"code":"LOCK","message":"held","retryable":true}},'
        b'{"error":"busy","code":"IN_PROGRESS","message":"busy","retryable":true},'
        b'{"QuotaExceeded":{"limit":5}}]'
    )
    server = scripted(("200 OK", body, JSON), ("200 OK", b"[]", JSON))
    async with connected(server.url) as client:
        results = await client.dispatch_batch([ACTION] * 5)
        with pytest.raises(DeserializationError, match="expected 5 results, got 0"):
            await client.dispatch_batch([ACTION] * 5)

    assert results[0].outcome.tag == "deduplicated"
    told = [(each.error.message, each.error.code, each.error.retryable) for each in results[1:4]]
    assert told == [
        ("no rule", "", False),
        ("held", "LOCK", True),
        ("busy", "IN_PROGRESS", True),
    ]
    unknown = results[4].outcome
    assert (unknown.tag, unknown.name, unknown.raw) == ("unknown", "QuotaExceeded", {"limit": 5})
    assert unknown.as_json() == {"QuotaExceeded": {"limit": 5}}


async def test_answers_of_other_servers(connected: Any, scripted: Any) -> None:
    server = scripted(
        ("200 OK", b'{"reloaded":3,"directory":"/rules"}', JSON),
        ("200 OK", b'{"loaded":2,"errors":["bad"]}', JSON),
        ("200 OK", b"", JSON),
        ("503 Not Ready", b'{"error":"x","checks":{"state":"down"}}', JSON),
    )
    async with connected(server.url) as client:
        first, second = await client.reload_rules(), await client.reload_rules()
        assert (await client.set_rule_enabled("a/b", True)).name == "a/b"
        ready = await client.ready()

    assert (first.loaded, first.directory, second.loaded, second.errors) == (
        3,
        "/rules",
        2,
        ("bad",),
    )
    assert (ready.is_ready, ready.checks) == (False, {"state": "down"})
    heads = [request.split(b"\r\n")[0] for request in server.requests]
    assert heads[0] == b"POST /v1/rules/reload HTTP/1.1"
    assert heads[2] == b"PUT /v1/rules/a%2Fb/enabled HTTP/1.1"
    assert b"content-type" not in server.requests[0].lower()


async def test_a_record_that_is_not_there_is_none_and_an_unknown_path_an_error(
    connected: Any, scripted: Any
) -> None:
    server = scripted(
        ("404 Not Found", b'{"error":"audit record not found"}', JSON),
        ("404 Not Found", b'{"error":"audit is not enabled"}', JSON),
        ("404 Not Found", b"<html>nginx</html>"),
    )
    async with connected(server.url) as client:
        assert await client.get_audit_record("x") is None
        with pytest.raises(AuditDisabledError):
            await client.get_audit_record("x")
        with pytest.raises(NotFoundError):
            await client.get_audit_record("x")


async def test_no_redirect_is_followed(connected: Any, scripted: Any) -> None:
    elsewhere = scripted()
    server = scripted(("308 Permanent Redirect", b"", f"location: {elsewhere.url}/v1/dispatch"))
    async with connected(server.url, api_key="k") as client:
        with pytest.raises(HttpError, match=r"the server points to http://127\.0\.0\.1"):
            await client.dispatch(ACTION)
    assert elsewhere.requests == []


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def reset(scripted: Any) -> str:
    url: str = scripted(None).url
    return url


def garbage(scripted: Any) -> str:
    url: str = scripted(b"220 mail.example ESMTP\r\n").url
    return url


def cut(scripted: Any) -> str:
    url: str = scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").url
    return url


def silent(scripted: Any) -> str:
    url: str = scripted(b"").url
    return url


LACKS: list[tuple[Callable[[Any], str], bool, type[ActeonConnectionError], str]] = [
    (lambda _: closed_port(), False, ActeonConnectionError, "refused"),
    (lambda _: "http://no-such-host.invalid", False, ActeonConnectionError, "invalid: ."),
    (lambda _: "https://" + closed_port()[7:], False, ActeonConnectionError, "refused"),
    (reset, True, ActeonConnectionError, ": ."),
    (garbage, True, ActeonConnectionError, ": ."),
    (cut, True, ActeonConnectionError, ": ."),
    (silent, True, ActeonTimeoutError, r"no answer within 0\.3 s"),
]


@pytest.mark.parametrize(
    ("place", "sent", "kind", "text"),
    LACKS,
    ids=["refused", "no such host", "refused tls", "reset", "garbage", "cut", "silent"],
)
async def test_no_answer(
    connected: Any,
    scripted: Any,
    place: Callable[[Any], str],
    sent: bool,
    kind: type[ActeonConnectionError],
    text: str,
) -> None:
    url = place(scripted)
    async with connected(url, timeout=0.3) as client:
        with pytest.raises(ActeonConnectionError, match=text) as caught:
            await client.dispatch(ACTION)
        assert await client.health() is False

    error = caught.value
    assert type(error) is kind
    assert str(error).startswith(f"connection error: {url}: ")
    assert (error.sent, error.retryable, error.request_id) == (sent, True, "action-1")
    assert isinstance(error, ConnectionError)
    assert isinstance(error, TimeoutError) is (kind is ActeonTimeoutError)
    assert error.is_timeout() is (kind is ActeonTimeoutError)
    assert error.is_connection_error()


async def test_a_body_that_trickles_ends_in_time(connected: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    program = (
        "import socket, sys, time\n"
        "listener = socket.socket(fileno=int(sys.argv[1]))\n"
        "connection, _ = listener.accept()\n"
        "connection.recv(65536)\n"
        "connection.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: 100000\\r\\n\\r\\n')\n"
        "while True:\n"
        "    connection.sendall(b'x')\n"
        "    time.sleep(0.05)\n"
    )
    number = listener.fileno()
    with (
        listener,
        subprocess.Popen(  # noqa: ASYNC220 - it is not waited for
            [sys.executable, "-c", program, str(number)],
            pass_fds=[number],
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with connected(url, timeout=0.5) as client:
                with pytest.raises(ActeonTimeoutError, match=r"no answer within 0\.5 s"):
                    await client.list_rules()
        finally:
            process.kill()


@pytest.fixture
def hanging(scripted: Any, tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Give the URL of a real server whose provider never answers, and what kills it then."""
    receiver = scripted(b"")
    (tmp_path / "acteon.toml").write_text(
        f'[[providers]]\nname = "email"\ntype = "webhook"\nurl = "{receiver.url}"\n'
        'allow_networks = ["127.0.0.0/8"]\n'
    )
    command = [sys.executable, "-m", "acteon.server", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        lines = (re.search(r"listening url=(\S+)", line) for line in server.stderr)
        url = next(found.group(1) for found in lines if found)

        def kill() -> None:
            receiver.called.wait(20)
            server.kill()
            server.wait()

        yield url, kill
        server.kill()


async def test_a_server_that_is_killed_in_the_middle(
    connected: Any, hanging: tuple[str, Callable[[], None]]
) -> None:
    url, kill = hanging
    killer = threading.Thread(target=kill)
    killer.start()
    async with connected(url) as client:
        with pytest.raises(ActeonConnectionError) as caught:
            await client.dispatch(ACTION)
        assert caught.value.sent
        await asyncio.to_thread(killer.join)
        with pytest.raises(ActeonConnectionError, match="refused") as caught:
            await client.dispatch(ACTION)
        assert not caught.value.sent


async def test_who_may_not_is_told_so(connected: Any, gateway: Gateway) -> None:
    from acteon.server.auth import UnauthorizedError

    async def nobody(scope: Any) -> Any:
        raise UnauthorizedError("invalid API key")

    async with RunningServer() as server:
        server.app = create_app(gateway, authenticate=nobody)
        async with connected(server.url, api_key="wrong") as client:
            assert await client.health()
            with pytest.raises(AuthenticationError, match="invalid API key"):
                await client.dispatch(ACTION)


@pytest.mark.parametrize(
    "error",
    [
        ClientError("text", status=500, code="X", retryable=True, retry_after=1.5, body=b"y"),
        ActeonConnectionError("text", request_id="a"),
        ActeonTimeoutError("text"),
        RateLimitedError("text", status=429, code="RATE_LIMITED"),
        ConfigurationError("text"),
        DeserializationError("text"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_a_trip_to_another_process(error: ClientError) -> None:
    again = pickle.loads(pickle.dumps(error))

    assert type(again) is type(error)
    assert (str(again), again.__dict__) == (str(error), error.__dict__)


async def test_nothing_tells_a_secret(
    connected: Any, scripted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = scripted(("401 Unauthorized", b"no"))
    caplog.set_level(logging.DEBUG)
    async with connected(server.url, api_key="s3cret-key", headers={"X-Team": "s3cret"}) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.dispatch(ACTION)
        shown = f"{client.client!r} {caught.value!r} {caught.value} {client.client._options!r}"

    assert b"s3cret-key" in server.requests[0]
    assert "s3cret" not in shown + caplog.text + str([each.__dict__ for each in caplog.records])


def test_a_client_of_the_environment(monkeypatch: pytest.MonkeyPatch, scripted: Any) -> None:
    server = scripted(("200 OK", b"[]"), ("200 OK", b"[]"), ("200 OK", b"[]"))
    monkeypatch.setenv("ACTEON_URL", server.url)
    monkeypatch.setenv("ACTEON_API_KEY", "key-1")
    for given in ({}, {"token": "t"}, {"api_key": "key-2"}):
        with ActeonClient.from_env(**given) as client:
            client.list_rules()

    assert b"x-api-key: key-1" in server.requests[0].lower()
    assert b"authorization: bearer t" in server.requests[1].lower()
    assert b"x-api-key" not in server.requests[1].lower()
    assert b"x-api-key: key-2" in server.requests[2].lower()
    monkeypatch.setenv("ACTEON_TIMEOUT", "soon")
    with pytest.raises(ConfigurationError, match="ACTEON_TIMEOUT: 'soon' is no number"):
        ActeonClient.from_env()


@pytest.mark.parametrize(
    ("url", "options", "text"),
    [
        ("localhost:8080", {}, "write it like http://localhost:8080"),
        ("ftp://a", {}, "write it like"),
        ("http://", {}, "write it like"),
        ("http://a:x", {}, "base_url"),
        ("http://user:pw@a", {}, "give api_key or token"),
        ("http://a/?x=1", {}, "leave out all but"),
        ("http://a", {"timeout": 0}, "timeout: 0: give seconds"),
        ("http://a", {"timeout": float("nan")}, "timeout: nan"),
        ("http://a", {"api_key": "a", "token": "b"}, "give one of them"),
        ("http://a", {"api_key": "a\r\nx: y"}, "x-api-key: has characters"),
        ("http://a", {"headers": {"x": "ü"}}, "x: has characters"),
        ("https://a", {"client_cert_path": "a.pem"}, "give both or neither"),
        ("https://a", {"ca_cert_path": "/none.pem"}, "/none.pem: No such file"),
        ("https://a", {"ca_cert_path": "/none.pem", "verify_ssl": False}, "give one of them"),
        ("http://a", {"ca_cert_path": "a.pem"}, "certificates are for https only"),
    ],
)
def test_options_that_cannot_be_used(url: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(text)) as caught:
        ActeonClient(url, **options)
    assert "pw" not in str(caught.value)


async def test_a_prefix_is_before_all_paths(connected: Any, scripted: Any) -> None:
    server = scripted(("200 OK", b"[]"))
    async with connected(f"{server.url}/a%20b//") as client:
        assert client.base_url == f"{server.url}/a%20b"
        await client.list_rules()
    assert server.requests[0].startswith(b"GET /a%20b/v1/rules HTTP/1.1\r\n")
    assert b"user-agent: acteon-client-python/" in server.requests[0].lower()
