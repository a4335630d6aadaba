"""The API within an application of somebody else, on real servers, and an app that opens it."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import hypercorn.asyncio
import hypercorn.config
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acteon.core import Action, Caller, Executed
from acteon.gateway import Gateway, NotOpenError, parse_rules
from acteon.server.config import ServerSection
from acteon.server.http import GatewayApp, RequestError, create_app
from acteon.server.testing import Answer, request

RULES = """
rules:
  - name: no/spam
    condition: {field: action.action_type, eq: spam}
    action: {type: suppress}
"""
ACTION: dict[str, Any] = {
    "id": "a/1",
    "namespace": "shop",
    "tenant": "acme",
    "provider": "send_email",
    "action_type": "welcome",
    "payload": {},
}
PAGE = {"origin": "https://shop.example"}
JSON = {"content-type": "application/json"}

Serve = Callable[[ASGIApp], AbstractAsyncContextManager[str]]


async def send_email(action: Action) -> str:
    return f"to {action.tenant}"


def opening() -> AbstractAsyncContextManager[Gateway]:
    return Gateway.open(rules=parse_rules(RULES), providers=[send_email])


@asynccontextmanager
async def on_uvicorn(app: ASGIApp) -> AsyncGenerator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None))
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True


@asynccontextmanager
async def on_hypercorn(app: ASGIApp) -> AsyncGenerator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listener.detach()}"]  # Its own from now on.
    config.errorlog = None
    ended = asyncio.Event()

    async def until_ended() -> None:
        await ended.wait()

    # Its types of applications are its own, and partly unknown.
    run: Any = hypercorn.asyncio.serve  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    async with asyncio.TaskGroup() as group:
        group.create_task(run(app, config, shutdown_trigger=until_ended))
        try:
            yield url
        finally:
            ended.set()


@pytest.fixture(params=[on_uvicorn, on_hypercorn], ids=["uvicorn", "hypercorn"])
def serve(request: pytest.FixtureRequest) -> Serve:
    found: Serve = request.param
    return found


HOSTS: dict[str, Callable[[GatewayApp], Starlette]] = {
    "starlette": lambda app: Starlette(lifespan=app.lifespan),
    "fastapi": lambda app: FastAPI(lifespan=app.lifespan),
}


@pytest.fixture(params=list(HOSTS))
async def url(request: pytest.FixtureRequest, serve: Serve) -> AsyncGenerator[str]:
    """Serve a host with the API at `/a b/acteon`, which has to be written with an escape."""
    app = GatewayApp(opening())
    host = HOSTS[request.param](app)
    host.mount("/a b/acteon", app)
    async with serve(host) as url:
        yield url


ROOT = "/a%20b/acteon"


async def post(url: str, target: str, body: Any) -> Answer:
    return await request(url, "POST", target, json.dumps(body).encode(), JSON)


async def test_actions_are_dispatched_and_found_in_the_trail(url: str) -> None:
    delivered = await post(url, f"{ROOT}/v1/dispatch", ACTION)
    several = await post(url, f"{ROOT}/v1/dispatch/batch", [{**ACTION, "action_type": "spam"}])
    found = await request(url, "GET", f"{ROOT}/v1/audit/a%2F1")

    assert delivered.json()["Executed"]["body"] == "to acme"
    assert several.json() == [{"Suppressed": {"rule": "no/spam"}}]
    assert found.json()["matched_rule"] == "no/spam"


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/ready", 200),
        ("GET", "/metrics/prometheus", 200),
        ("GET", "/v1/rules", 200),
        ("GET", "/v1/dispatch", 405),
        ("POST", "/health", 405),
        ("GET", "", 404),
        ("GET", "/", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", f"{ROOT}/health", 404),
        ("GET", "/health%2F", 404),
    ],
)
async def test_paths_count_from_where_it_is_mounted(
    url: str, method: str, target: str, status: int
) -> None:
    answer = await request(url, method, f"{ROOT}{target}")
    # Starlette's own answer to the bare path of a mount is to go to the one with a slash.
    assert answer.status == (307 if target == "" else status)
    assert (answer.header("allow") is not None) == (answer.status == 405)


async def test_however_the_path_of_the_mount_is_written_it_is_cut_off(url: str) -> None:
    answer = await request(url, "GET", "/%61%20b/act%65on/health")
    assert answer.status == 200


async def test_segments_are_decoded_once(url: str) -> None:
    target = f"{ROOT}/v1/rules/no%2Fspam/enabled"
    answer = await request(url, "PUT", target, b'{"enabled": false}', JSON)
    assert (answer.status, answer.json()["name"]) == (200, "no/spam")
    delivered = await post(url, f"{ROOT}/v1/dispatch", {**ACTION, "action_type": "spam"})
    assert "Executed" in delivered.json()


async def test_swagger_ui_finds_its_assets_and_the_api(url: str) -> None:
    sent = await request(url, "GET", f"{ROOT}/swagger-ui")
    assert (sent.status, sent.header("location")) == (303, f"{ROOT}/swagger-ui/")
    page = await request(url, "GET", f"{ROOT}/swagger-ui/")
    assert b'href="./swagger-ui.css"' in page.body
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"):
        assert (await request(url, "GET", f"{ROOT}/swagger-ui/{asset}")).status == 200
    document = await request(url, "GET", f"{ROOT}/api-doc/openapi.json")
    assert document.json()["servers"] == [{"url": ROOT}]
    assert "/v1/dispatch" in document.json()["paths"]


async def test_the_hosts_own_routes_stay_its_own(serve: Serve) -> None:
    app = GatewayApp(opening())
    host = FastAPI(lifespan=app.lifespan)
    host.mount("/acteon", app)

    @host.get("/order")
    async def order() -> str:  # pyright: ignore[reportUnusedFunction] - FastAPI has it
        action = Action(
            namespace="shop", tenant="own", provider="send_email", action_type="note", payload={}
        )
        outcome = await app.gateway.dispatch(action)
        assert isinstance(outcome, Executed)
        return str(outcome.response.body)

    async with serve(host) as url:
        assert (await request(url, "GET", "/order")).json() == "to own"
        assert (await request(url, "GET", "/acteon/metrics")).json()["executed"] == 1


async def test_a_gateway_that_is_open_is_mounted_by_itself(serve: Serve) -> None:
    @asynccontextmanager
    async def lifespan(host: FastAPI) -> AsyncGenerator[None]:
        async with opening() as gateway:
            host.mount("/acteon", create_app(gateway))
            yield

    async with serve(FastAPI(lifespan=lifespan)) as url:
        answer = await post(url, "/acteon/v1/dispatch", ACTION)
        assert "Executed" in answer.json()


@pytest.mark.parametrize("root", ["", "/"])
async def test_it_can_take_all_that_the_host_leaves(serve: Serve, root: str) -> None:
    app = GatewayApp(opening())
    host = Starlette(lifespan=app.lifespan)
    host.mount(root, app)
    async with serve(host) as url:
        assert "Executed" in (await post(url, "/v1/dispatch", ACTION)).json()
        document = (await request(url, "GET", "/api-doc/openapi.json")).json()
        assert "servers" not in document


@pytest.mark.parametrize("sent", ["/acteon", "/behind/acteon"], ids=["cut off", "left"])
async def test_a_proxy_may_cut_off_its_own_part_of_the_path(serve: Serve, sent: str) -> None:
    app = GatewayApp(opening())
    host = Starlette(lifespan=app.lifespan)
    host.mount("/acteon", app)

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        await host({**scope, "root_path": "/behind"}, receive, send)

    async with serve(behind) as url:
        assert (await request(url, "GET", f"{sent}/health")).status == 200
        document = (await request(url, "GET", f"{sent}/api-doc/openapi.json")).json()
        assert document["servers"] == [{"url": "/behind/acteon"}]


async def test_the_host_says_which_pages_may_use_it(serve: Serve) -> None:
    app = GatewayApp(opening())
    cors = Middleware(CORSMiddleware, allow_origins=["https://shop.example"])
    host = Starlette(lifespan=app.lifespan, middleware=[cors])
    host.mount("/acteon", app)
    async with serve(host) as url:
        answer = await request(url, "GET", "/acteon/health", headers=PAGE)
        assert answer.header("access-control-allow-origin") == "https://shop.example"
        preflight = {**PAGE, "access-control-request-method": "POST"}
        asked = await request(url, "OPTIONS", "/acteon/v1/dispatch", headers=preflight)
        assert asked.header("access-control-allow-origin") == "https://shop.example"


async def test_without_a_word_of_the_host_no_other_page_may(url: str) -> None:
    answer = await request(url, "GET", f"{ROOT}/health", headers=PAGE)
    assert answer.header("access-control-allow-origin") is None
    asked = await request(url, "OPTIONS", f"{ROOT}/v1/dispatch", headers=PAGE)
    assert (asked.status, asked.header("allow")) == (200, "POST")
    assert asked.header("access-control-allow-origin") is None


async def test_a_section_of_its_own_has_the_word(serve: Serve) -> None:
    server = ServerSection(cors_allowed_origins=("https://shop.example",), max_batch=1)
    app = GatewayApp(opening(), server=server)
    host = Starlette(lifespan=app.lifespan)
    host.mount("/acteon", app)
    async with serve(host) as url:
        answer = await request(url, "GET", "/acteon/health", headers=PAGE)
        assert answer.header("access-control-allow-origin") == "https://shop.example"
        assert (await post(url, "/acteon/v1/dispatch/batch", [ACTION, ACTION])).status == 400


async def known(scope: Scope) -> Caller:
    """Tell who asks as the middleware of the host found out."""
    user = scope["state"].get("user")
    if user is None:
        raise RequestError(401, "log in at /login")
    return Caller(user, "session")


class Sessions:
    """Somebody's middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for name, value in scope.get("headers", ()):
            if name == b"x-user":
                scope.setdefault("state", {})["user"] = value.decode()
        scope.setdefault("state", {})
        await self.app(scope, receive, send)


async def test_the_hosts_middleware_can_say_who_asks(serve: Serve) -> None:
    app = GatewayApp(opening(), authenticate=known)
    host = Starlette(lifespan=app.lifespan, middleware=[Middleware(Sessions)])
    host.mount("/acteon", app)
    async with serve(host) as url:
        refused = await post(url, "/acteon/v1/dispatch", ACTION)
        assert (refused.status, refused.json()["code"]) == (401, "UNAUTHORIZED")
        body = json.dumps(ACTION).encode()
        headers = {**JSON, "x-user": "ann"}
        assert (await request(url, "POST", "/acteon/v1/dispatch", body, headers)).status == 200
        record = await app.gateway.trail.latest("a/1")
        assert record is not None
        assert (record.caller_id, record.auth_method) == ("ann", "session")


async def test_a_host_that_forgot_the_lifespan_is_told(serve: Serve) -> None:
    app = GatewayApp(opening())
    host = Starlette()
    host.mount("/acteon", app)
    async with serve(host) as url:
        answer = await request(url, "GET", "/acteon/health")
    assert (answer.status, answer.json()["code"]) == (503, "NOT_OPEN")
    assert "lifespan=app.lifespan" in answer.json()["error"]
    with pytest.raises(NotOpenError, match="lifespan"):
        _ = app.gateway


async def test_it_can_be_started_again_and_is_another_gateway_then(serve: Serve) -> None:
    app = GatewayApp(opening())
    host = FastAPI(lifespan=app.lifespan)
    host.mount("/acteon", app)
    for _ in range(2):
        async with serve(host) as url:
            await post(url, "/acteon/v1/dispatch", ACTION)
            assert (await request(url, "GET", "/acteon/metrics")).json()["dispatched"] == 1


async def test_it_is_served_by_itself(serve: Serve) -> None:
    app = GatewayApp(opening())
    async with serve(app) as url:
        answer = await post(url, "/v1/dispatch", ACTION)
        assert "Executed" in answer.json()
        assert answer.header("access-control-allow-origin") == "*"
    with pytest.raises(NotOpenError):
        _ = app.gateway


async def told(app: GatewayApp) -> list[Message]:
    """Return what a server hears of `app` that starts and ends it."""
    heard: list[Message] = []
    stages = iter(("startup", "shutdown"))

    async def receive() -> Message:
        return {"type": f"lifespan.{next(stages)}"}

    async def send(message: Message) -> None:
        heard.append(message)

    with suppress(ZeroDivisionError):
        await app({"type": "lifespan"}, receive, send)
    return heard


async def test_a_server_is_told_in_one_line_why_it_does_not_start() -> None:
    app = GatewayApp(Gateway.open(rules=parse_rules(RULES), state="memry"))
    (message,) = await told(app)
    assert message == {
        "type": "lifespan.startup.failed",
        "message": "state: there is no acteon.state plugin 'memry'; did you mean 'memory'?",
    }


async def test_a_server_is_told_where_it_broke_of_what_nobody_foresaw() -> None:
    @asynccontextmanager
    async def broken() -> AsyncGenerator[Gateway]:
        async with opening() as gateway:
            yield gateway
        raise ZeroDivisionError

    started, failed = await told(GatewayApp(broken()))
    assert started == {"type": "lifespan.startup.complete"}
    assert failed["type"] == "lifespan.shutdown.failed"
    assert "ZeroDivisionError" in failed["message"]


async def test_a_path_without_its_written_form_is_taken_as_it_is() -> None:
    """Some servers and test clients give no `raw_path`."""
    heard: list[Message] = []
    app = GatewayApp(opening())

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        heard.append(message)

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/up/v1/audit/a b",
        "root_path": "/up",
        "query_string": b"",
        "headers": [],
    }
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.lifespan())
        members: dict[str, Any] = {**ACTION, "id": "a b"}
        await app.gateway.dispatch(Action(**members))
        await app(scope, receive, send)
    assert heard[0]["status"] == 200


async def test_a_long_path_below_a_mount_costs_no_more_than_its_length(serve: Serve) -> None:
    app = GatewayApp(opening())
    host = Starlette(lifespan=app.lifespan)
    host.mount("/acteon", app)
    async with asyncio.timeout(10), serve(host) as url:
        answer = await request(url, "GET", "/acteon" + "/" * 40_000)
        assert answer.status == 404
