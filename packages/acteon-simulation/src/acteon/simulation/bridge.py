"""How the nodes that are processes reach the providers of the test.

The harness serves its providers on a port of 127.0.0.1. Each `acteon-server` has providers of the
type `simulated`, which pass every call on to there, and give back the answer, or raise the very
error, that came of it. A call that a server gives up is cancelled in the test, too.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, ClassVar, Final, Self
from urllib.parse import quote

import aiohttp
from aiohttp import web
from attrs import define, field, frozen
from yarl import URL

from acteon.core import (
    ActeonError,
    Action,
    ProviderResponse,
    ResponseStatus,
    decode_json,
    encode_json,
    encode_told,
    read_action,
)
from acteon.provider import (
    ExecutionFailedError,
    Provider,
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderError,
    ProviderNotFoundError,
    ProviderPlugin,
    ProviderSerializationError,
    ProviderTimeoutError,
    RateLimitedError,
)

_ERRORS: Final[Mapping[str, type[ProviderError]]] = {
    each.__name__: each
    for each in (
        ExecutionFailedError,
        ProviderConfigurationError,
        ProviderConnectionError,
        ProviderError,
        ProviderNotFoundError,
        ProviderSerializationError,
        ProviderTimeoutError,
        RateLimitedError,
    )
}
_MAX_BODY: Final = 64 * 1024 * 1024
_FOR_EVER: Final = aiohttp.ClientTimeout(total=None)


@define(eq=False)
class Bridge:
    """Serves the providers of a test to processes, while it is entered.

    Attributes:
        providers: They, by name.
        url: Where they are served, once it is entered.
    """

    providers: Mapping[str, Provider]
    url: str = field(default="", init=False)
    _runner: web.AppRunner = field(init=False)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_post("/{provider}/execute", self._execute)
        app.router.add_post("/{provider}/health", self._check)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _execute(self, request: web.Request) -> web.Response:
        action = read_action(await request.read())
        try:
            response = await self.providers[request.match_info["provider"]].execute(action)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised over there
            return _answer({"error": _written(error)})
        return _answer({"response": response.as_json()})

    async def _check(self, request: web.Request) -> web.Response:
        try:
            await self.providers[request.match_info["provider"]].health_check()
        except Exception as error:  # noqa: BLE001 - likewise
            return _answer({"error": _written(error)})
        return _answer({})


def _answer(told: Any) -> web.Response:
    return web.Response(body=encode_told(told), content_type="application/json")


def _written(error: Exception) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": type(error).__name__, "text": str(error)}
    if isinstance(error, ProviderError):
        wait = error.retry_after
        told["kind"] = next(each.__name__ for each in type(error).mro() if each in _KINDS)
        told["delivery"] = error.delivery
        told["retry_after"] = None if wait is None else wait.total_seconds()
    return told


_KINDS: Final = frozenset(_ERRORS.values())


class SimulatedError(Exception):
    """What a provider of the test raised that is no `ProviderError`."""


def _raised(told: Mapping[str, Any]) -> Exception:
    kind = _ERRORS.get(told["kind"])
    if kind is None:
        return SimulatedError(f"{told['kind']}: {told['text']}")
    # Their constructors put the text together; here it is whole already.
    error = kind.__new__(kind)
    ActeonError.__init__(error, told["text"])
    wait = told["retry_after"]
    error.delivery = told["delivery"]
    error.retry_after = None if wait is None else timedelta(seconds=wait)
    return error


@frozen
class SimulatedConfig:
    """The keys of a provider of the type `simulated`.

    Attributes:
        url: Where the test serves its providers.
    """

    url: str


@define(eq=False)
class SimulatedProvider:
    """Passes calls on to the provider of that name in a test.

    Attributes:
        name: What the test calls it.
        url: Where the test serves its providers.
        session: Makes the connections.
        idempotent: Whether a call without an answer may be repeated; the server's configuration
            says what the test's provider says.
    """

    name: str
    url: str
    session: aiohttp.ClientSession
    idempotent: bool = False

    async def execute(self, action: Action) -> ProviderResponse:
        told = await self._ask("execute", encode_json(action.as_json()))
        response = told["response"]
        return ProviderResponse(
            ResponseStatus(response["status"]), response["body"], response["headers"]
        )

    async def health_check(self) -> None:
        await self._ask("health", b"")

    async def _ask(self, what: str, body: bytes) -> Mapping[str, Any]:
        url = URL(f"{self.url}/{quote(self.name, safe='')}/{what}", encoded=True)
        try:
            async with self.session.post(url, data=body, timeout=_FOR_EVER) as answer:
                told: Mapping[str, Any] = decode_json(await answer.read())
        except aiohttp.ClientError as error:
            text = "the test that has this provider does not answer"
            raise ProviderConnectionError(text, delivery="unknown") from error
        if "error" in told:
            raise _raised(told["error"])
        return told


class SimulatedPlugin(ProviderPlugin):
    """Opens a provider that is in a test."""

    Config: ClassVar[type[Any]] = SimulatedConfig
    kit = "1"

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str, config: SimulatedConfig) -> AsyncGenerator[SimulatedProvider]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield SimulatedProvider(name, config.url, session)
