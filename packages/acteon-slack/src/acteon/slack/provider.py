"""Handing actions to Slack."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any

from attrs import field, frozen
from yarl import URL

from acteon.core import SYSTEM_CLOCK, Action, Clock, InvalidError, ProviderResponse, encode_json
from acteon.provider import (
    AddressGuard,
    ExecutionFailedError,
    Provider,
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderPlugin,
    ProviderSerializationError,
)
from acteon.provider.http import Answer, HttpCaller
from acteon.slack.answers import judge_api, judge_webhook
from acteon.slack.config import SlackConfig
from acteon.slack.message import read_message, read_webhook_message


@frozen(eq=False)
class SlackProvider:
    """Posts the message that the payload of an action describes.

    It is not idempotent: Slack offers no way to tell a repeated call from a new one.

    Attributes:
        config: Where to, and as whom.
        caller: Makes the requests; open as long as this is used.
        clock: Tells how far off a `Retry-After` date is.
    """

    config: SlackConfig
    caller: HttpCaller
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True)

    @property
    def idempotent(self) -> bool:
        return False

    async def execute(self, action: Action) -> ProviderResponse:
        config = self.config
        if config.webhook_url is not None:
            message = read_webhook_message(action.payload)
            answer = await self._post(URL(config.webhook_url), message)
            judge_webhook(answer, self.clock.now())
            return ProviderResponse(body={"ok": True, "channel": None, "ts": None})
        message = read_message(action.payload, config.default_channel)
        answer = await self._post(config.method("chat.postMessage"), message)
        return ProviderResponse(body=_told(judge_api(answer, self.clock.now())))

    async def health_check(self) -> None:
        """Return if Slack takes the token; of a webhook, if its host answers.

        A webhook cannot be asked without posting a message: that it is revoked shows with the
        first one.
        """
        if self.config.webhook_url is not None:
            answer = await self.caller.call("HEAD", URL(self.config.webhook_url), {}, None)
            if answer.status >= 500:
                raise ProviderConnectionError(f"Slack answered {answer.status}")
            return
        answer = await self._post(self.config.method("auth.test"), None)
        try:
            judge_api(answer, self.clock.now())
        except ExecutionFailedError as error:
            reason = str(error).removeprefix(error.prefix)
            if answer.status >= 300:
                raise ProviderConnectionError(reason) from None
            if error.delivery == "unknown":
                raise ProviderConnectionError("failed to parse auth.test response") from None
            raise ProviderConfigurationError(f"Slack auth.test failed: {reason}") from None

    async def _post(self, url: URL, message: Mapping[str, Any] | None) -> Answer:
        headers: dict[str, str] = {"Accept-Encoding": "identity"}
        if self.config.token is not None:
            headers["Authorization"] = f"Bearer {self.config.token}"
        body: bytes | None = None
        if message is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
            try:
                body = encode_json(dict(message))
            except InvalidError as error:
                raise ProviderSerializationError(str(error)) from None
        return await self.caller.call("POST", url, headers, body)


def _told(found: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "ok": True,
        "channel": found.get("channel"),
        "ts": found.get("ts"),
    }
    for name in ("warning", "response_metadata"):
        if name in found:
            told[name] = found[name]
    return told


class SlackPlugin(ProviderPlugin):
    """Opens Slack."""

    Config = SlackConfig
    kit = "1"

    @classmethod
    def open(cls, name: str, config: SlackConfig) -> AbstractAsyncContextManager[Provider]:
        return _opened(config)


@asynccontextmanager
async def _opened(config: SlackConfig) -> AsyncGenerator[Provider]:
    caller = HttpCaller(
        AddressGuard.from_texts(config.allow_networks),
        config.timeout,
        f"acteon-slack/{version('acteon-slack')}",
        max_connections=config.max_connections,
        max_response_bytes=config.max_response_bytes,
    )
    async with caller:
        yield SlackProvider(config, caller)
