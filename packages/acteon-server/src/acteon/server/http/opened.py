"""A gateway as an application that opens it: alone on any ASGI server, or within another one."""

import traceback
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from attrs import define, field
from starlette.types import Receive, Scope, Send

from acteon.core import ActeonError
from acteon.gateway import Gateway, NotOpenError
from acteon.server.config import ServerSection
from acteon.server.http.answers import encode, send_json
from acteon.server.http.app import create_app
from acteon.server.http.edge import HttpApp
from acteon.server.http.errors import error_response
from acteon.server.http.identity import Authenticate, anonymous

_HOW = (
    "the gateway is not open: give the application that it is mounted in "
    "`lifespan=app.lifespan`, or enter `app.lifespan()` there"
)


@define(eq=False)
class GatewayApp:
    """An ASGI application that opens a gateway when its server or its host starts.

    ```python
    acteon = GatewayApp(Gateway.open(rules="rules/", providers=[send_email]))
    app = FastAPI(lifespan=acteon.lifespan)
    app.mount("/acteon", acteon)
    ```

    Hosts do not tell mounted applications that they start and end: give them `lifespan`. Served by
    itself it needs none of that. It has no authentication but `authenticate`.

    Attributes:
        opening: Opens and closes the gateway; what `Gateway.open` returns can do so repeatedly.
        server: The limits of requests, and which pages may use the server; None: the defaults.
        authenticate: Tells who sent a request to a route that not everybody may use.
    """

    opening: AbstractAsyncContextManager[Gateway]
    server: ServerSection | None = field(default=None, kw_only=True)
    authenticate: Authenticate = field(default=anonymous, kw_only=True)
    _gateway: Gateway | None = field(default=None, init=False)
    _app: HttpApp | None = field(default=None, init=False)

    @property
    def gateway(self) -> Gateway:
        """The gateway, for code beside the API.

        Raises:
            NotOpenError: It is not open.
        """
        if self._gateway is None:
            raise NotOpenError(_HOW)
        return self._gateway

    @asynccontextmanager
    async def lifespan(self, _host: object = None) -> AsyncGenerator[None]:
        """Keep the gateway open while the block runs.

        Args:
            _host: The application of which this is the lifespan; it may be any.

        Raises:
            ConfigError: It cannot be opened.
        """
        async with self.opening as gateway:
            self._gateway = gateway
            self._app = create_app(gateway, self.server, authenticate=self.authenticate)
            try:
                yield
            finally:
                self._gateway = self._app = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await send_json(send, 503, encode(error_response(NotOpenError(_HOW))))
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1013})

    async def _live(self, receive: Receive, send: Send) -> None:
        """Be served by ourselves."""
        stage = "startup"
        await receive()
        try:
            async with self.lifespan():
                await send({"type": "lifespan.startup.complete"})
                stage = "shutdown"
                await receive()
        except ActeonError as error:
            await send({"type": f"lifespan.{stage}.failed", "message": str(error)})
        except Exception:
            await send({"type": f"lifespan.{stage}.failed", "message": traceback.format_exc()})
            raise
        else:
            await send({"type": "lifespan.shutdown.complete"})
