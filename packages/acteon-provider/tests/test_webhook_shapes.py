"""What a webhook sends when it is told how, and which answers count."""

import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from acteon.core import Action, ResponseStatus
from acteon.provider import ProviderConnectionError, ProviderSerializationError
from acteon.provider.testing import Receiver, answer, reset
from acteon.provider.webhook import WebhookAuth, WebhookConfig, WebhookProvider

ACTION = Action(
    namespace="n", tenant="t", provider="p", action_type="a", payload={"text": 'a "b" ü'}, id="1"
)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiving:
        yield receiving


async def sent(receiver: Receiver, **members: Any) -> Any:
    """Return the request of a webhook that is configured like that."""
    given: dict[str, Any] = {"url": receiver.url, "allow_networks": ("127.0.0.0/8",), **members}
    config = WebhookConfig(**given)
    async with WebhookProvider(config) as provider:
        await provider.execute(ACTION)
    return receiver.requests[-1]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_methods_with_a_body(receiver: Receiver, method: Any) -> None:
    request = await sent(receiver, method=method)
    assert (request.method, request.json["id"]) == (method, "1")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_methods_without_a_body(receiver: Receiver, method: Any) -> None:
    request = await sent(receiver, method=method)
    assert (request.method, request.body) == (method, b"")
    assert "Content-Type" not in request.headers
    assert "Idempotency-Key" in request.headers


async def test_the_payload_alone(receiver: Receiver) -> None:
    assert (await sent(receiver, sends="payload")).json == {"text": 'a "b" ü'}


async def test_a_body_made_of_values(receiver: Receiver) -> None:
    request = await sent(receiver, template={"message": "{{ payload.text }}", "n": 1})
    assert request.json == {"message": 'a "b" ü', "n": 1}
    assert request.headers["Content-Type"] == "application/json"


async def test_a_body_made_as_a_text(receiver: Receiver) -> None:
    request = await sent(receiver, body='{"m": {{ payload.text | tojson }}}')
    assert request.json == {"m": 'a "b" ü'}
    request = await sent(receiver, body="text={{ payload.text }}", content_type="text/plain")
    assert request.body.decode() == 'text=a "b" ü'
    assert request.headers["Content-Type"] == "text/plain"


async def test_what_is_no_json_is_not_sent_as_such(receiver: Receiver) -> None:
    with pytest.raises(
        ProviderSerializationError, match=r"is no JSON: .*; tojson writes values so"
    ):
        await sent(receiver, body='{"m": "{{ payload.text }}"}')
    with pytest.raises(ProviderSerializationError, match="cannot be filled in"):
        await sent(receiver, body="{{ payload.gone }}")
    assert not receiver.requests


@pytest.mark.parametrize(
    ("content_type", "refused"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/vnd.api+json", True),
        ("text/json", True),
        ("text/plain", False),
        ("application/jsonlines", False),
    ],
)
async def test_what_counts_as_json(receiver: Receiver, content_type: str, refused: bool) -> None:
    expected = pytest.raises(ProviderSerializationError) if refused else nullcontext()
    with expected:
        request = await sent(receiver, body="{", content_type=content_type)
        assert request.all("content-type") == [content_type]
    assert len(receiver.requests) == (not refused)


async def test_a_body_that_is_no_unicode_is_not_sent(receiver: Receiver) -> None:
    for members in (
        {"body": "{{ '\\ud800' }}", "content_type": "text/plain"},
        {"template": {"a": "{{ '\\ud800' }}"}},
    ):
        with pytest.raises(ProviderSerializationError):
            await sent(receiver, **members)
    assert receiver.connections == 0


def basic(username: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (
            {"type": "basic", "username": "ann", "password": "pässword"},
            "Authorization",
            basic("ann", "pässword"),
        ),
        (
            {"type": "basic", "username": "key", "password": ""},
            "Authorization",
            basic("key", ""),
        ),
        ({"type": "bearer", "token": "t-1"}, "Authorization", "Bearer t-1"),
        ({"type": "api_key", "value": "k"}, "X-API-Key", "k"),
        ({"type": "api_key", "value": "k", "header": "X-Other"}, "X-Other", "k"),
    ],
)
async def test_who_we_are(
    receiver: Receiver, auth: dict[str, Any], header: str, value: str
) -> None:
    request = await sent(receiver, auth=WebhookAuth(**auth))
    assert request.all(header) == [value]


async def test_a_key_in_the_url(receiver: Receiver) -> None:
    auth = WebhookAuth(type="api_key", value="k & l", query="key")
    assert (await sent(receiver, auth=auth)).path == "/hook?key=k+%26+l"
    request = await sent(receiver, auth=auth, url=f"{receiver.url}?a=%2Bb%20c")
    assert request.path == "/hook?a=%2Bb%20c&key=k+%26+l"


async def test_a_digest_of_the_body(receiver: Receiver) -> None:
    request = await sent(receiver, auth=WebhookAuth(type="hmac_sha256", secret="s"))
    expected = hmac.new(b"s", request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Hub-Signature-256"] == f"sha256={expected}"


NEW, OLD = (f"whsec_{base64.b64encode(text).decode()}" for text in (b"new" * 8, b"old" * 8))


@pytest.mark.parametrize("known", [NEW, OLD])
@pytest.mark.parametrize("shape", [{}, {"method": "DELETE"}, {"template": {"a": "ü"}}])
async def test_the_library_of_standard_webhooks_takes_it(
    receiver: Receiver, known: str, shape: dict[str, Any]
) -> None:
    request = await sent(receiver, secret=NEW, previous_secret=OLD, **shape)
    headers = {name.lower(): text for name, text in request.headers.items()}
    Webhook(known).verify(request.body, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(known).verify(request.body + b" ", headers, json_parse=False)


async def test_two_secrets_sign_while_they_change(receiver: Receiver) -> None:
    request = await sent(receiver, secret="new", previous_secret="old")
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
    digests = [
        base64.b64encode(hmac.new(key, signed + request.body, hashlib.sha256).digest()).decode()
        for key in (b"new", b"old")
    ]
    assert request.headers["webhook-signature"] == " ".join(f"v1,{each}" for each in digests)


@pytest.mark.parametrize(
    ("codes", "status", "result"),
    [
        (("200-299",), 204, ResponseStatus.SUCCESS),
        (("200-299",), 302, ResponseStatus.FAILURE),
        (("202",), 200, ResponseStatus.FAILURE),
        (("200-299", "409"), 409, ResponseStatus.SUCCESS),
        ((200, 302), 302, ResponseStatus.SUCCESS),
        (("200-299", "503"), 503, ResponseStatus.SUCCESS),
    ],
)
async def test_which_answers_count(
    receiver: Receiver, codes: tuple[int | str, ...], status: int, result: ResponseStatus
) -> None:
    receiver.script(answer(status))
    config = WebhookConfig(url=receiver.url, allow_networks=("127.0.0.0/8",), success_codes=codes)
    async with WebhookProvider(config) as provider:
        assert (await provider.execute(ACTION)).status is result


async def test_a_status_that_does_not_count_is_what_it_always_was(receiver: Receiver) -> None:
    receiver.script(answer(503))
    with pytest.raises(ProviderConnectionError):
        await sent(receiver, success_codes=("200",))


async def test_headers_that_are_asked_for_are_told(receiver: Receiver) -> None:
    receiver.script(answer(headers={"X-Receipt": "r-1", "X-Other": "no"}))
    config = WebhookConfig(
        url=receiver.url, allow_networks=("127.0.0.0/8",), response_headers=("X-Receipt",)
    )
    async with WebhookProvider(config) as provider:
        told = (await provider.execute(ACTION)).headers
    assert (told["x-receipt"], "x-other" in told) == ("r-1", False)


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"template": {}, "body": "x"}, "'template' and 'body' exclude each other"),
        ({"template": {}, "sends": "payload"}, "'template' and 'sends' exclude each other"),
        ({"body": "x", "sends": "payload"}, "'body' and 'sends' exclude each other"),
        ({"method": "GET", "body": "x"}, "'body' says what the body is, but a GET has none"),
        ({"method": "DELETE", "sends": "payload"}, "'sends' says what the body is, but a DELETE"),
        ({"body": "x", "headers": {"content-type": "y"}}, "with a 'body', 'content_type' does"),
        ({"content_type": "text/plain"}, "'content_type' is that of a 'body'"),
        ({"body": "x", "content_type": "text"}, "'content_type' must be a media type"),
        ({"body": "{{ x"}, "'body' is no template"),
        ({"template": {"a": "{{ x"}}, "'template' a: is no template"),
        ({"success_codes": ()}, "'success_codes' must be a list of statuses"),
        ({"success_codes": ("299-200",)}, "'success_codes' must be a list of statuses"),
        ({"success_codes": ("ok",)}, "'success_codes' must be a list of statuses"),
        ({"success_codes": (199,)}, "from 200 to 599"),
        ({"success_codes": ("200-600",)}, "from 200 to 599"),
        ({"previous_secret": "x"}, "'previous_secret' is of use with a 'secret' only"),
        ({"response_headers": ("a b",)}, "'response_headers': 'a b' is no name of a header"),
    ],
)
def test_what_cannot_be_used_is_told(members: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        WebhookConfig(url="https://x.example/", **members)


@pytest.mark.parametrize(
    ("auth", "told"),
    [
        ({"type": "basic", "username": "u"}, "type 'basic' needs 'password'"),
        ({"type": "bearer", "token": "t", "username": "u"}, "has no use for 'username'"),
        ({"type": "api_key", "value": "k", "header": "h", "query": "q"}, "exclude each other"),
        ({"type": "api_key", "value": "k", "header": "a b"}, "'header' is no name of a header"),
        ({"type": "bearer", "token": "a\nb"}, "'token' holds control characters"),
        ({"type": "basic", "username": "a:b", "password": "p"}, "must not have a colon"),
        ({"type": "basic", "username": "", "password": "p"}, "type 'basic' needs 'username'"),
        ({"type": "basic", "username": "u", "password": "\ud800"}, "'password' holds control"),
        ({"type": "hmac_sha256", "secret": "\ud800"}, "'secret' holds control characters"),
        ({"type": "hmac_sha256", "secret": ""}, "type 'hmac_sha256' needs 'secret'"),
        ({"type": "api_key", "value": "k", "query": ""}, "'query' must not be empty"),
        ({"type": "api_key", "value": "k", "header": "Host"}, "'header' must not be 'Host'"),
        (
            {"type": "hmac_sha256", "secret": "s", "header": "content-length"},
            "must not be 'content",
        ),
        ({"type": "api_key", "value": "k", "header": "Idempotency-Key"}, "must not be 'Idempot"),
    ],
)
def test_what_proves_nothing_is_told(auth: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        WebhookAuth(**auth)


def test_two_proofs_exclude_each_other() -> None:
    bearer = WebhookAuth(type="bearer", token="t")
    with pytest.raises(ValueError, match="'url' has credentials, and 'auth', too"):
        WebhookConfig(url="https://u:p@x.example/", auth=bearer)
    with pytest.raises(ValueError, match="'headers' sets 'Authorization', and so does 'auth'"):
        WebhookConfig(url="https://x.example/", auth=bearer, headers={"authorization": "x"})
    key = WebhookAuth(type="api_key", value="k", query="key")
    with pytest.raises(ValueError, match="'url' has the parameter 'key', and so does 'auth'"):
        WebhookConfig(url="https://x.example/?key=1", auth=key)


@pytest.mark.parametrize(
    "members",
    [
        {"auth": WebhookAuth(type="bearer", token="hush")},
        {"auth": WebhookAuth(type="basic", username="hush", password="hush")},
        {"auth": WebhookAuth(type="api_key", value="hush", query="key")},
        {"auth": WebhookAuth(type="hmac_sha256", secret="hush")},
        {"secret": "hush-new", "previous_secret": "hush-old"},
        {"template": {"token": "hush"}},
        {"body": "hush"},
    ],
)
async def test_no_secret_is_shown(receiver: Receiver, members: dict[str, Any]) -> None:
    given: dict[str, Any] = {"url": receiver.url, "allow_networks": ("127.0.0.0/8",), **members}
    if "body" in members:
        given["content_type"] = "text/plain"
    receiver.script(reset())
    async with WebhookProvider(WebhookConfig(**given)) as provider:
        with pytest.raises(ProviderConnectionError) as failure:
            await provider.execute(ACTION)
        assert "hush" not in f"{provider!r} {failure.value!r}"


async def test_health_is_asked_for_with_what_proves_who_we_are(receiver: Receiver) -> None:
    for auth in (
        WebhookAuth(type="bearer", token="t"),
        WebhookAuth(type="api_key", value="k", query="key"),
        WebhookAuth(type="hmac_sha256", secret="s"),
    ):
        config = WebhookConfig(url=receiver.url, allow_networks=("127.0.0.0/8",), auth=auth)
        async with WebhookProvider(config) as provider:
            await provider.health_check()
    bearer, key, digest = receiver.requests
    assert bearer.headers["Authorization"] == "Bearer t"
    assert key.path == "/hook?key=k"
    assert "X-Hub-Signature-256" not in digest.headers
