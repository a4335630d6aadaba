"""A node behind an HTTP server, in this process."""

from collections.abc import Callable
from contextlib import AsyncExitStack

from attrs import define, field

from acteon.client import AsyncActeonClient
from acteon.gateway import Gateway, Opening
from acteon.server.http import create_app
from acteon.server.testing import RunningServer
from acteon.simulation.nodes.embedded import EmbeddedNode
from acteon.simulation.nodes.remote import RemoteNode


@define(eq=False)
class ServedNode(RemoteNode):
    """A gateway behind an HTTP server on a free port of 127.0.0.1.

    Attributes:
        id: As with all nodes.
        opening: Returns what opens the gateway, each time anew.
        url: Where it is reached, while it runs.
    """

    id: str
    opening: Callable[[], Opening[Gateway]]
    url: str | None = field(default=None, init=False)
    _inner: EmbeddedNode = field(init=False)
    _client: AsyncActeonClient | None = field(default=None, init=False)
    _stack: AsyncExitStack = field(factory=AsyncExitStack, init=False)

    def __attrs_post_init__(self) -> None:
        self._inner = EmbeddedNode(self.id, self.opening)

    @property
    def gateway(self) -> Gateway:
        """The gateway itself, for what HTTP does not offer."""
        return self._inner.gateway

    async def start(self) -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._inner.stop)
            await self._inner.start()
            # The server ends before its client, whose requests under way are answered.
            stack.push_async_callback(self._close_client)
            server = await stack.enter_async_context(RunningServer())
            server.app = create_app(self.gateway)
            self._client = AsyncActeonClient(server.url)
            self.url = server.url
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        self.url = None
        await self._stack.aclose()

    async def flush(self) -> None:
        await self._inner.flush()
