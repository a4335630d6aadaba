"""A Slack that runs here: `chat.postMessage`, `auth.test` and webhooks as they are documented."""

import asyncio
import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from attrs import define, field

from acteon.slack.config import SlackConfig

MAX_BLOCKS = 50


@define(eq=False)
class FakeSlack:
    """Listens on 127.0.0.1, at a free port, while it is entered; give its URLs to a `SlackConfig`.

    Attributes:
        token: The only one that it takes.
        channels: Those that there are, by what calls name them.
        errors: Errors that the next calls of a method end in, in order.
        per_second: Messages that a channel takes in a second; further ones get 429.
        now: Tells the time that this goes by, in seconds.
        messages: What was posted, in order, with `channel` and `ts`.
        revoked: Whether the webhook is gone.
    """

    token: str = "xoxb-test"
    channels: set[str] = field(factory=lambda: {"#general", "C024BE91L"})
    errors: list[str] = field(factory=list[str])
    per_second: int | None = None
    now: Callable[[], float] = field(factory=lambda: asyncio.get_running_loop().time)
    messages: list[dict[str, Any]] = field(factory=list[dict[str, Any]])
    revoked: bool = False
    _runner: web.AppRunner = field(init=False)
    _site: web.TCPSite = field(init=False)
    _times: dict[str, list[float]] = field(factory=dict[str, list[float]], init=False)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/api/chat.postMessage", self._post_message)
        app.router.add_post("/api/auth.test", self._auth_test)
        app.router.add_post("/services/T/B/secret", self._webhook)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await self._site.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`."""
        _, port = self._runner.addresses[0][:2]
        return f"http://127.0.0.1:{port}"

    def config(self, **changes: Any) -> SlackConfig:
        """Return a configuration for the Web API, with `changes`."""
        members: dict[str, Any] = {
            "token": self.token,
            "api_base_url": f"{self.url}/api",
            "allow_networks": ("127.0.0.0/8",),
        }
        return SlackConfig(**{**members, **changes})

    def webhook_config(self, **changes: Any) -> SlackConfig:
        """Return a configuration for the incoming webhook, with `changes`."""
        members: dict[str, Any] = {
            "webhook_url": f"{self.url}/services/T/B/secret",
            "allow_networks": ("127.0.0.0/8",),
        }
        return SlackConfig(**{**members, **changes})

    def _refusal(self, request: web.Request) -> str | None:
        if self.errors:
            return self.errors.pop(0)
        sent = request.headers.get("Authorization")
        if sent is None:
            return "not_authed"
        return None if sent == f"Bearer {self.token}" else "invalid_auth"

    async def _auth_test(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return web.json_response({"ok": False, "error": refusal})
        return web.json_response({"ok": True, "user_id": "U1", "team_id": "T1"})

    async def _post_message(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return web.json_response({"ok": False, "error": refusal})
        message = await request.json()
        channel = message.get("channel")
        if channel not in self.channels:
            return web.json_response({"ok": False, "error": "channel_not_found"})
        if not message.get("text") and not message.get("blocks") and not message.get("attachments"):
            return web.json_response({"ok": False, "error": "no_text"})
        if len(message.get("blocks", [])) > MAX_BLOCKS:
            return web.json_response({"ok": False, "error": "invalid_blocks"})
        if self._too_many(channel):
            return web.json_response(
                {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "1"}
            )
        ts = f"1700000000.{len(self.messages):06}"
        self.messages.append({**message, "ts": ts})
        return web.json_response({"ok": True, "channel": "C024BE91L", "ts": ts, "message": message})

    def _too_many(self, channel: str) -> bool:
        if self.per_second is None:
            return False
        now = self.now()
        recent = [time for time in self._times.get(channel, []) if now - time < 1]
        self._times[channel] = [*recent, now]
        return len(recent) >= self.per_second

    async def _webhook(self, request: web.Request) -> web.Response:
        if self.revoked:
            return web.Response(status=404, text="no_service")
        try:
            message = await request.json()
        except json.JSONDecodeError:
            return web.Response(status=400, text="invalid_payload")
        if not message.get("text") and not message.get("blocks"):
            return web.Response(status=400, text="no_text")
        self.messages.append(message)
        return web.Response(text="ok")
