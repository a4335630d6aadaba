"""What `docs/webhook.md` shows can be used."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from acteon.core import Action, ProviderResponse, ResponseStatus
from acteon.provider.testing import Receiver, answer
from acteon.provider.webhook import WebhookConfig, WebhookProvider
from acteon.server.config import Config, parse_config
from acteon.server.pagetests import blocks

PAGE = (Path(__file__).parents[3] / "docs" / "webhook.md").read_text(encoding="utf-8")
BLOCKS = blocks(PAGE)
ACTION = Action(
    namespace="shop",
    tenant="acme",
    provider="tickets",
    action_type="a",
    payload={"subject": "Help", "lines": [1, 2], "to": "a b", "text": "1 & 2"},
)


def configured(receiver: Receiver) -> Config:
    """Return what the page configures, with all receivers at `receiver`."""
    text = "\n".join(block for language, block in BLOCKS if language == "toml")
    text = re.sub(r'url = "[^"]*"', f'url = "{receiver.url}"', text)
    here = 'type = "webhook"\nallow_networks = ["127.0.0.0/8"]'
    text = text.replace('type = "webhook"', here)
    return parse_config(text, environ={"BILLING_SECRET": "a-secret", "TICKETS_TOKEN": "t-1"})


async def delivered(receiver: Receiver, name: str) -> ProviderResponse:
    (config,) = (each.settings for each in configured(receiver).providers if each.name == name)
    assert isinstance(config, WebhookConfig)
    async with WebhookProvider(config) as provider:
        return await provider.execute(ACTION)


async def test_a_body_of_values() -> None:
    async with Receiver() as receiver:
        receiver.script(answer(409, headers={"Location": "/issues/7"}))
        response = await delivered(receiver, "tickets")
        (request,) = receiver.requests
    assert response.status is ResponseStatus.SUCCESS
    assert response.headers["location"] == "/issues/7"
    assert request.json == {"title": "Help", "labels": ["shop", "acme"], "lines": [1, 2]}
    assert (request.method, request.headers["Authorization"]) == ("PUT", "Bearer t-1")


async def test_a_body_of_text() -> None:
    async with Receiver() as receiver:
        await delivered(receiver, "legacy")
        (request,) = receiver.requests
    assert request.body == b"to=a%20b&text=1%20%26%202"


async def test_the_payload_alone() -> None:
    async with Receiver() as receiver:
        await delivered(receiver, "events")
        (request,) = receiver.requests
    assert request.json == ACTION.payload


@pytest.mark.parametrize(("secret", "fits"), [("a-secret", True), ("another", False)])
async def test_a_signature_is_verified_as_the_page_says(secret: str, fits: bool) -> None:
    (program,) = re.findall(r"<!-- verify -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Callable[..., bool]] = {}
    exec(program, names)
    async with Receiver() as receiver:
        await delivered(receiver, "billing")
        (request,) = receiver.requests
    headers = {name: request.headers[name] for name in request.headers}
    assert names["verify"](secret, headers, request.body) is fits


def test_every_kind_of_auth_is_one() -> None:
    found = re.findall(r"^\| `(\{ type = .*?\})` \|", PAGE, re.MULTILINE)
    assert len(found) == 4
    for auth in found:
        config = parse_config(
            '[[providers]]\nname = "x"\ntype = "webhook"\nurl = "https://x.example/"\n'
            f"auth = {auth}\n"
        )
        assert len(config.providers) == 1
