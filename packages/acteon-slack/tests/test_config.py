"""What an operator may say about Slack."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from acteon.slack import SlackConfig
from acteon.slack.message import read_message

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, "'token' is missing: it, or a 'webhook_url', says who we are"),
        ({"token": "t", "webhook_url": "https://x.example/"}, "exclude each other"),
        ({"token": "two words"}, "'token' must be one word without blanks"),
        ({"webhook_url": "hooks.slack.com"}, "'webhook_url' must be an http://"),
        ({"webhook_url": "https://x.example/", "default_channel": "#c"}, "has one channel"),
        ({"token": "t", "api_base_url": "ftp://x"}, "'api_base_url' must be an http://"),
        ({"token": "t", "allow_networks": ("x",)}, "'allow_networks'"),
        ({"token": "t", "timeout_seconds": 0}, "'timeout_seconds' must be > 0"),
    ],
)
def test_what_cannot_be_used_is_told(members: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        SlackConfig(**members)


def test_secrets_are_not_shown() -> None:
    assert "xoxb-hush" not in repr(SlackConfig(token="xoxb-hush"))
    assert "hush" not in repr(SlackConfig(webhook_url="https://hooks.example/hush"))


def test_a_slash_behind_the_base_is_no_matter() -> None:
    config = SlackConfig(token="t", api_base_url="https://slack.example/api/")
    assert str(config.method("auth.test")) == "https://slack.example/api/auth.test"


def test_the_payload_of_the_readme_is_one() -> None:
    (text,) = re.findall(r"<!-- payload -->\n```json\n(.*?)```", README, re.DOTALL)
    message = read_message(json.loads(text), None)
    assert list(message) == ["channel", "blocks", "text"]


def test_the_configuration_of_the_readme_is_one() -> None:
    (text,) = re.findall(r"<!-- config -->\n```toml\n(.*?)```", README, re.DOTALL)
    text = text.replace("${SLACK_WEBHOOK_URL}", "https://hooks.slack.com/services/x")
    found = tomllib.loads(text.replace("${SLACK_BOT_TOKEN}", "xoxb-x"))["providers"]
    assert [each.pop("type") for each in found] == ["slack", "slack"]
    assert [each.pop("name") for each in found] == ["slack", "slack-releases"]
    for members in found:
        SlackConfig(**members)
