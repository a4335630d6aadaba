"""A small receiver of webhooks: it accepts every action, and answers with what it got."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

PATH = "/deliveries"


@asynccontextmanager
async def receiving(
    port: int, on_delivery: Callable[[Mapping[str, Any]], None]
) -> AsyncGenerator[str]:
    """Listen on `port` of this machine while the block runs.

    Args:
        port: 0 takes any free one.
        on_delivery: Called with each action that is delivered.

    Yields:
        The URL to deliver to.

    Raises:
        OSError: The port cannot be had.
    """

    async def receive(request: web.Request) -> web.Response:
        try:
            action = await request.json()
            answer = {"received": action["payload"]}
        except (ValueError, TypeError, KeyError):
            raise web.HTTPBadRequest(text="this is no action") from None
        on_delivery(action)
        return web.json_response(answer, dumps=json.dumps)

    app = web.Application()
    app.router.add_post(PATH, receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        host, bound = runner.addresses[0]
        yield f"http://{host}:{bound}{PATH}"
    finally:
        await runner.cleanup()
