"""What a webhook sends."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import Action, ManualClock
from acteon.provider import ProviderError, ProviderSerializationError
from acteon.provider.testing import Receiver, answer, close
from acteon.provider.webhook import WebhookConfig, WebhookProvider, delivery_key

Open = Callable[..., Awaitable[WebhookProvider]]


async def test_the_body_is_the_whole_action_sorted_and_compact(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    await (await webhook()).execute(action)
    (received,) = receiver.requests
    assert received.method == "POST"
    assert received.path == "/hook"
    expected = {
        "action_type": "order_placed",
        "created_at": "2025-01-31T12:30:00Z",
        "dedup_key": None,
        "id": "action-1",
        "metadata": {"region": "eu"},
        "namespace": "shop",
        "payload": {"note": "Grüße", "order": 17},
        "provider": "hook",
        "tenant": "tenant-1",
    }
    assert received.body == json.dumps(expected, ensure_ascii=False, separators=(",", ":")).encode()


async def test_each_header_of_ours_is_sent_once(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    await (await webhook()).execute(action)
    (received,) = receiver.requests
    assert received.all("content-type") == ["application/json"]
    assert received.all("idempotency-key") == [delivery_key(action)]
    assert [text[:7] for text in received.all("user-agent")] == ["acteon/"]
    assert len({name for name, _ in received.raw_headers}) == len(received.raw_headers)


async def test_configured_headers_take_the_place_of_ours(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    headers = {"content-type": "application/vnd.x+json", "USER-AGENT": "me", "X-Team": "a"}
    await (await webhook(headers=headers)).execute(action)
    (received,) = receiver.requests
    assert received.all("content-type") == ["application/vnd.x+json"]
    assert received.all("user-agent") == ["me"]
    assert received.all("x-team") == ["a"]


async def test_the_key_is_the_same_for_every_attempt_and_every_payload(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    provider = await webhook()
    receiver.script(answer(503), answer(500))
    for attempt in (action, action, evolve(action, payload={"order": 18})):
        with contextlib.suppress(ProviderError):
            await provider.execute(attempt)
    keys = {text for received in receiver.requests for text in received.all("idempotency-key")}
    assert len(receiver.requests) == 3
    assert keys == {delivery_key(action)}


async def test_a_configured_key_ends_the_idempotence(webhook: Open) -> None:
    assert (await webhook()).idempotent
    assert not (await webhook(headers={"idempotency-key": "always-the-same"})).idempotent


@given(*[st.tuples(st.text(), st.text(), st.text())] * 2)
def test_keys_of_different_actions_differ(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    def key(names: tuple[str, str, str]) -> str:
        namespace, tenant, name = names
        return delivery_key(
            Action(
                namespace=namespace,
                tenant=tenant,
                provider="p",
                action_type="t",
                payload=None,
                id=name,
            )
        )

    assert (key(one) == key(other)) == (one == other)
    assert key(one).isascii()
    assert key(one).isalnum()


@pytest.mark.parametrize(
    ("secret", "raw"),
    [
        ("top secret, ü", "top secret, ü".encode()),
        ("whsec_" + base64.b64encode(b"\x00\x01\xff key").decode(), b"\x00\x01\xff key"),
        ("whsec_AAH/IGtleQ", b"\x00\x01\xff key"),
    ],
)
async def test_the_signature_is_that_of_standard_webhooks(
    webhook: Open,
    receiver: Receiver,
    clock: ManualClock,
    action: Action,
    secret: str,
    raw: bytes,
) -> None:
    clock.move(timedelta(seconds=1.9))
    await (await webhook(secret=secret)).execute(action)
    (received,) = receiver.requests
    stamp = received.headers["webhook-timestamp"]
    assert stamp == str(1735689601)
    name = received.headers["Webhook-Id"]
    assert name == received.headers["Idempotency-Key"]
    signed = f"{name}.{stamp}.".encode() + received.body
    expected = base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
    assert received.headers["webhook-signature"] == f"v1,{expected}"


async def test_without_a_secret_nothing_is_signed(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    await (await webhook()).execute(action)
    assert "webhook-signature" not in receiver.requests[0].headers


async def test_credentials_of_the_url_become_basic_authentication(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    url = f"http://user:pa%3Ass@127.0.0.1:{receiver.port}/hook?x=1"
    await (await webhook(url=url)).execute(action)
    (received,) = receiver.requests
    encoded = base64.b64encode(b"user:pa:ss").decode()
    assert received.all("authorization") == [f"Basic {encoded}"]
    assert received.path == "/hook?x=1"


async def test_connections_are_used_again(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    provider = await webhook()
    for _ in range(5):
        await provider.execute(action)
    assert receiver.connections == 1


async def test_no_more_connections_than_allowed_are_open(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    provider = await webhook(max_connections=2)
    go = asyncio.Event()
    receiver.default = answer(after=go)
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(provider.execute(action)) for _ in range(6)]
        await receiver.wait_for(2)
        assert len(receiver.requests) == 2
        go.set()
    assert len(calls) == len(receiver.requests) == 6
    assert receiver.connections == 2


async def test_cookies_are_not_kept(webhook: Open, receiver: Receiver, action: Action) -> None:
    provider = await webhook(url=receiver.url.replace("127.0.0.1", "localhost"))
    receiver.script(answer(headers={"Set-Cookie": "session=1"}))
    await provider.execute(action)
    await provider.execute(action)
    assert receiver.requests[1].all("cookie") == []


async def test_a_connection_that_died_in_the_pool_does_not_send_twice(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    provider = await webhook()
    await provider.execute(action)
    receiver.script(close())
    with pytest.raises(Exception, match="without an answer") as failure:
        await provider.execute(action)
    assert getattr(failure.value, "delivery", None) == "unknown"
    assert len(receiver.requests) == 2


async def test_an_action_that_is_no_json_is_refused_before_anything_is_sent(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    with pytest.raises(ProviderSerializationError) as failure:
        await (await webhook()).execute(evolve(action, payload="\ud800"))
    assert failure.value.delivery == "none"
    assert receiver.connections == 0


@pytest.mark.parametrize("status", [200, 204, 401, 404, 405, 429])
async def test_whoever_answers_is_healthy(webhook: Open, receiver: Receiver, status: int) -> None:
    receiver.default = answer(status)
    await (await webhook(headers={"X-Token": "t"})).health_check()
    (received,) = receiver.requests
    assert received.method == "HEAD"
    assert received.all("x-token") == ["t"]


async def test_whoever_answers_with_an_error_of_his_own_is_not(
    webhook: Open, receiver: Receiver
) -> None:
    receiver.default = answer(503)
    with pytest.raises(Exception, match="connection error: the receiver answered 503"):
        await (await webhook()).health_check()


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"url": "ftp://host/"}, "'url' must be"),
        ({"url": "host.example/hook"}, "'url' must be"),
        ({"url": "http:///hook"}, "'url' must be"),
        ({"url": ""}, "'url' must be"),
        ({"url": "http://host:99999/"}, "'url' must be"),
        ({"url": "http://host/a b\r\nX: y"}, "'url' must be"),
        ({"url": "http://[::1"}, "'url' must be"),
        ({"url": "http://a..b/"}, "'url' must be"),
        ({"url": "http://.example/"}, "'url' must be"),
        ({"url": f"http://{'x' * 64}.example/"}, "'url' must be"),
        ({"url": f"http://{'ü' * 63}.example/"}, "'url' must be"),
        ({"headers": {"a b": "x"}}, "no name of a header"),
        ({"headers": {"a": "x\r\ny: z"}}, "control characters"),
        ({"headers": {"A": "x", "a": "y"}}, "twice"),
        ({"headers": {"Content-Length": "5"}}, "must not set"),
        ({"headers": {"Host": "elsewhere"}}, "must not set"),
        ({"timeout_seconds": 0}, "'timeout_seconds' must be above 0"),
        ({"timeout_seconds": float("nan")}, "'timeout_seconds' must be above 0"),
        ({"timeout_seconds": 1e9}, "at most 86400"),
        ({"secret": ""}, "'secret' must be"),
        ({"secret": "whsec_?"}, "'secret' must be"),
        ({"max_response_bytes": -1}, "max_response_bytes"),
        ({"max_connections": 0}, "max_connections"),
        ({"allow_networks": ("10.0.0.1/8",)}, "for '10.0.0.1/8' write '10.0.0.0/8'"),
        ({"allow_networks": ("everything",)}, "'allow_networks'"),
        (
            {"url": "http://a:b@host/", "headers": {"authorization": "x"}},
            "'url' has credentials, too",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(keys: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        WebhookConfig(**{"url": "https://host.example/"} | keys)  # type: ignore[arg-type]


def test_a_configuration_does_not_show_its_secrets() -> None:
    config = WebhookConfig(
        url="https://me:hush1@h.example/?token=hush2", headers={"X": "hush3"}, secret="hush4"
    )
    provider = WebhookProvider(config)
    assert "hush" not in f"{config!r} {provider!r}"


def test_a_refused_url_is_not_shown() -> None:
    with pytest.raises(ValueError, match="url") as refusal:
        WebhookConfig(url="ftp://me:hush@host/?token=hush")
    assert "hush" not in str(refusal.value)
