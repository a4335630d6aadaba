"""Messages, answers and their absence, over real sockets."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from acteon.core import Action
from acteon.provider import (
    ExecutionFailedError,
    Provider,
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderError,
    ProviderSerializationError,
    ProviderTimeoutError,
    RateLimitedError,
)
from acteon.provider.testing import Receiver, Reply, answer, close, endless, garbage, reset
from acteon.slack import SlackConfig, SlackPlugin
from acteon.slack.testing import FakeSlack

HERE = ("127.0.0.0/8",)
TOKEN = "xoxb-hush-hush"
OK = b'{"ok": true, "channel": "C1", "ts": "1.2"}'


@asynccontextmanager
async def opened(receiver: Receiver, **changes: Any) -> AsyncGenerator[Provider]:
    """Open one whose Slack is `receiver`."""
    members: dict[str, Any] = {
        "token": TOKEN,
        "default_channel": "#c",
        "api_base_url": receiver.url,
        "allow_networks": HERE,
        **changes,
    }
    async with SlackPlugin.open("slack", SlackConfig(**members)) as provider:
        yield provider


def saying(action: Action, **payload: Any) -> Action:
    return evolve(action, payload=payload)


async def test_a_message_is_posted(provider: Provider, slack: FakeSlack, action: Action) -> None:
    response = await provider.execute(action)

    assert response.body == {"ok": True, "channel": "C024BE91L", "ts": "1700000000.000000"}
    assert response.headers == {}
    (message,) = slack.messages
    assert message == {"channel": "#general", "text": "Grüße, 世界", "ts": "1700000000.000000"}


async def test_what_slack_knows_is_passed_on_and_nothing_else(
    receiver: Receiver, action: Action
) -> None:
    blocks = [{"type": "divider"}]
    sent = {"channel": "C9", "blocks": blocks, "thread_ts": "1.2", "reply_broadcast": True}
    receiver.default = answer(body=OK)
    async with opened(receiver) as provider:
        await provider.execute(saying(action, **sent, text=None, secret="no", username=" "))

    (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", "/hook/chat.postMessage")
    assert request.json == sent
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ("text", "failed to parse payload: it must be an object"),
        ({"text": 1}, "failed to parse payload: 'text' must be a text"),
        ({"text": "x", "blocks": "{}"}, "failed to parse payload: 'blocks' must be a list"),
        ({"text": "x", "mrkdwn": "no"}, "failed to parse payload: 'mrkdwn' must be true or false"),
        ({"text": None}, "payload must contain at least one of 'text' or 'blocks'"),
        ({"text": " "}, "payload must contain at least one of 'text' or 'blocks'"),
        ({"text": "x" * 40_001}, "'text' is longer than 40000 characters"),
        ({"blocks": [1] * 51}, "there are more than 50 blocks"),
    ],
)
async def test_what_is_no_message_is_not_sent(
    receiver: Receiver, action: Action, payload: Any, told: str
) -> None:
    async with opened(receiver) as provider:
        with pytest.raises(ProviderSerializationError) as refused:
            await provider.execute(evolve(action, payload=payload))
    assert str(refused.value) == f"serialization error: {told}"
    assert not receiver.requests


async def test_somewhere_it_has_to_go(receiver: Receiver, action: Action) -> None:
    async with opened(receiver, default_channel=None) as provider:
        with pytest.raises(ProviderSerializationError, match="no channel specified in payload"):
            await provider.execute(action)
    assert not receiver.requests


def failing(error: str) -> Reply:
    return answer(body=f'{{"ok": false, "error": "{error}"}}'.encode())


@pytest.mark.parametrize(
    ("reply", "error", "text", "delivery"),
    [
        (failing("invalid_auth"), ExecutionFailedError, "execution failed: invalid_auth", "none"),
        (failing("not_in_channel"), ExecutionFailedError, "not_in_channel", "none"),
        (answer(body=b'{"ok": false}'), ExecutionFailedError, "unknown_error", "none"),
        (failing("ratelimited"), RateLimitedError, "rate limited", "none"),
        (failing("rate_limited"), RateLimitedError, "rate limited", "none"),
        (failing("service_unavailable"), ProviderConnectionError, "service_unavailable", "none"),
        (failing("internal_error"), ProviderConnectionError, "internal_error", "unknown"),
        (failing("fatal_error"), ProviderConnectionError, "fatal_error", "unknown"),
        (failing("request_timeout"), ProviderConnectionError, "request_timeout", "unknown"),
        (answer(body=b"<html>"), ExecutionFailedError, "none of Slack's", "unknown"),
        (answer(body=b"[1]"), ExecutionFailedError, "none of Slack's", "unknown"),
        (answer(body=b'{"ts": 1}'), ExecutionFailedError, "none of Slack's", "unknown"),
        (answer(404, b"no such\nthing"), ExecutionFailedError, "HTTP 404: no such thing", "none"),
        (answer(408), ProviderConnectionError, "Slack answered 408", "none"),
        (answer(503), ProviderConnectionError, "Slack answered 503", "none"),
        (answer(500), ProviderConnectionError, "Slack answered 500", "unknown"),
        (answer(502), ProviderConnectionError, "Slack answered 502", "unknown"),
        (reset(), ProviderConnectionError, "connection", "unknown"),
        (close(), ProviderConnectionError, "without an answer", "unknown"),
        (garbage(), ProviderConnectionError, "no HTTP", "unknown"),
        (endless(), ExecutionFailedError, "none of Slack's", "unknown"),
    ],
)
async def test_what_slack_answers_is_told(
    receiver: Receiver,
    action: Action,
    reply: Reply,
    error: type[ProviderError],
    text: str,
    delivery: str,
) -> None:
    receiver.script(reply)
    async with opened(receiver) as provider:
        with pytest.raises(error) as failure:
            await provider.execute(action)
    assert text in str(failure.value)
    assert failure.value.delivery == delivery
    assert TOKEN not in str(failure.value)
    assert len(receiver.requests) == 1


async def test_slack_says_how_long_to_leave_it_alone(receiver: Receiver, action: Action) -> None:
    receiver.script(answer(429, headers={"Retry-After": "30"}))
    async with opened(receiver) as provider:
        with pytest.raises(RateLimitedError) as failure:
            await provider.execute(action)
    assert failure.value.retry_after == timedelta(seconds=30)


async def test_an_answer_that_does_not_come_is_of_unknown_end(
    receiver: Receiver, action: Action
) -> None:
    receiver.script(answer(after=asyncio.Event()))
    async with opened(receiver, timeout_seconds=0.2) as provider:
        with pytest.raises(ProviderTimeoutError) as failure:
            await provider.execute(action)
    assert failure.value.delivery == "unknown"


async def test_special_addresses_need_leave(action: Action, slack: FakeSlack) -> None:
    config = slack.config(allow_networks=(), default_channel="#general")
    async with SlackPlugin.open("slack", config) as provider:
        with pytest.raises(ProviderConfigurationError, match="allow_networks"):
            await provider.execute(action)
    assert not slack.messages


async def test_many_messages_at_once(provider: Provider, slack: FakeSlack, action: Action) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(provider.execute(action))
    assert len(slack.messages) == 50


async def test_a_channel_takes_so_many(
    provider: Provider, slack: FakeSlack, action: Action
) -> None:
    slack.per_second = 1
    await provider.execute(action)
    with pytest.raises(RateLimitedError) as failure:
        await provider.execute(action)
    assert failure.value.retry_after == timedelta(seconds=1)


async def test_warnings_are_told(receiver: Receiver, action: Action) -> None:
    receiver.script(answer(body=b'{"ok": true, "ts": "1", "warning": "missing_charset"}'))
    async with opened(receiver) as provider:
        response = await provider.execute(action)
    assert response.body == {"ok": True, "channel": None, "ts": "1", "warning": "missing_charset"}


@pytest.mark.parametrize(
    ("reply", "error", "text"),
    [
        (
            failing("invalid_auth"),
            ProviderConfigurationError,
            "Slack auth.test failed: invalid_auth",
        ),
        (answer(429), RateLimitedError, "rate limited"),
        (answer(500), ProviderConnectionError, "Slack answered 500"),
        (answer(404, b"x"), ProviderConnectionError, "HTTP 404: x"),
        (answer(body=b"x"), ProviderConnectionError, "failed to parse auth.test response"),
    ],
)
async def test_how_it_is(
    receiver: Receiver, reply: Reply, error: type[ProviderError], text: str
) -> None:
    receiver.script(reply)
    async with opened(receiver) as provider:
        with pytest.raises(error) as failure:
            await provider.health_check()
    assert text in str(failure.value)
    assert receiver.requests[0].path == "/hook/auth.test"


async def test_a_webhook_takes_messages(
    webhook: Provider, slack: FakeSlack, action: Action
) -> None:
    response = await webhook.execute(saying(action, channel="#c", username="x", text="hello"))

    assert response.body == {"ok": True, "channel": None, "ts": None}
    assert slack.messages == [{"text": "hello"}]


@pytest.mark.parametrize(
    ("reply", "error", "text", "delivery"),
    [
        (answer(404, b"no_service"), ExecutionFailedError, "HTTP 404: no_service", "none"),
        (answer(400, b"invalid_payload"), ExecutionFailedError, "invalid_payload", "none"),
        (answer(429), RateLimitedError, "rate limited", "none"),
        (answer(500, b"rollup_error"), ProviderConnectionError, "Slack answered 500", "unknown"),
        (answer(200, b"hm"), ExecutionFailedError, "none of Slack's", "unknown"),
    ],
)
async def test_what_a_webhook_answers_is_told(
    receiver: Receiver,
    action: Action,
    reply: Reply,
    error: type[ProviderError],
    text: str,
    delivery: str,
) -> None:
    receiver.script(reply)
    config = SlackConfig(webhook_url=f"{receiver.url}/hush", allow_networks=HERE)
    async with SlackPlugin.open("slack", config) as provider:
        with pytest.raises(error) as failure:
            await provider.execute(action)
    assert text in str(failure.value)
    assert (failure.value.delivery, "hush" in str(failure.value)) == (delivery, False)


async def test_a_webhook_is_asked_without_a_message(
    webhook: Provider, slack: FakeSlack, receiver: Receiver
) -> None:
    await webhook.health_check()
    assert not slack.messages
    receiver.script(answer(503))
    config = SlackConfig(webhook_url=receiver.url, allow_networks=HERE)
    async with SlackPlugin.open("slack", config) as provider:
        with pytest.raises(ProviderConnectionError):
            await provider.health_check()


async def test_a_revoked_webhook_shows_with_a_message(
    webhook: Provider, slack: FakeSlack, action: Action
) -> None:
    slack.revoked = True
    with pytest.raises(ExecutionFailedError, match="HTTP 404: no_service"):
        await webhook.execute(action)
