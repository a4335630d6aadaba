"""What `docs/webhook.md` shows can be used."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from acteon.core import SYSTEM_CLOCK, Action, ProviderResponse, ResponseStatus
from acteon.provider.templates import PayloadTemplate
from acteon.provider.testing import Receiver, answer
from acteon.provider.webhook import WebhookConfig, WebhookProvider, signature
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


async def test_a_secret_of_base64_signs_with_its_bytes() -> None:
    (program,) = re.findall(r"<!-- verify -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    said = re.search(r"`(base64\S+)` would have to in place of `(secret\S+)` above", PAGE)
    assert said is not None
    assert said[2] in program
    names: dict[str, Callable[..., bool]] = {}
    exec(program.replace(said[2], said[1]), names)
    secret = "whsec_AAH/"
    signed = signature(secret, "m", SYSTEM_CLOCK.now(), b"{}")
    assert names["verify"](secret, signed, b"{}")
    assert not names["verify"](secret, signed, b"{ }")


MADE = re.findall(r'^\| `(".*")` \| `(.*?)`(?:: .*)? \|$', PAGE, re.MULTILINE)


@pytest.mark.parametrize(("template", "made"), MADE)
def test_templates_make_what_is_shown(template: str, made: str) -> None:
    payload = {"subject": "Help", "lines": [1, 2], "size": 3}
    source = json.loads(template.replace("\\|", "|"))
    assert PayloadTemplate.of(source).render(evolve(ACTION, payload=payload)) == json.loads(made)


def test_all_templates_are_tried() -> None:
    assert len(MADE) == PAGE[PAGE.index("| template |") :].split("\n\n")[0].count("\n") - 1


def test_every_kind_of_auth_is_one() -> None:
    found = re.findall(r"^\| `(\{ type = .*?\})` \|", PAGE, re.MULTILINE)
    assert len(found) == 4
    for auth in found:
        config = parse_config(
            '[[providers]]\nname = "x"\ntype = "webhook"\nurl = "https://x.example/"\n'
            f"auth = {auth}\n"
        )
        assert len(config.providers) == 1
