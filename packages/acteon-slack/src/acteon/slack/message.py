"""From the payload of an action to a message for Slack; nothing is sent here."""

from collections.abc import Mapping
from typing import Any, Final, cast

from acteon.provider import ProviderSerializationError

PASSED: Final = (
    "attachments",
    "blocks",
    "icon_emoji",
    "icon_url",
    "link_names",
    "metadata",
    "mrkdwn",
    "parse",
    "reply_broadcast",
    "text",
    "thread_ts",
    "unfurl_links",
    "unfurl_media",
    "username",
)
"""Members of a payload that are passed on as they are, besides `channel`; others are ignored."""

MAX_TEXT: Final = 40_000
"""Characters: Slack cuts what is longer."""
MAX_BLOCKS: Final = 50
MAX_ATTACHMENTS: Final = 100
_TEXTS: Final = ("channel", "icon_emoji", "icon_url", "parse", "text", "thread_ts", "username")
_SWITCHES: Final = ("link_names", "mrkdwn", "reply_broadcast", "unfurl_links", "unfurl_media")
_NOT_FOR_WEBHOOKS: Final = ("channel", "icon_emoji", "icon_url", "username", "metadata", "parse")


def read_message(payload: Any, default_channel: str | None) -> dict[str, Any]:
    """Return the message for `chat.postMessage` that `payload` describes.

    Args:
        payload: An action's.
        default_channel: Where it goes if it does not say.

    Raises:
        ProviderSerializationError: It is no message.
    """
    members = _members(payload)
    channel = members.get("channel") or default_channel
    if not channel:
        raise ProviderSerializationError(
            "no channel specified in payload and no default channel configured"
        )
    return {"channel": channel, **_content(members)}


def read_webhook_message(payload: Any) -> dict[str, Any]:
    """Return the message for an incoming webhook that `payload` describes.

    A channel, and what else the webhook decides, is left out.

    Raises:
        ProviderSerializationError: It is no message.
    """
    content = _content(_members(payload))
    return {name: value for name, value in content.items() if name not in _NOT_FOR_WEBHOOKS}


def _members(payload: Any) -> dict[str, Any]:
    if not isinstance(payload, Mapping):
        raise ProviderSerializationError("failed to parse payload: it must be an object")
    members = {
        str(name): value
        for name, value in cast("Mapping[str, Any]", payload).items()
        if value is not None
    }
    for name in _TEXTS:
        if name in members and not isinstance(members[name], str):
            raise _unparsed(name, "a text")
    for name in _SWITCHES:
        if name in members and not isinstance(members[name], bool):
            raise _unparsed(name, "true or false")
    # Blank is as good as absent.
    return {
        name: value
        for name, value in members.items()
        if not (isinstance(value, str) and not value.strip())
    }


def _content(members: dict[str, Any]) -> dict[str, Any]:
    if "text" not in members and not members.get("blocks") and not members.get("attachments"):
        raise ProviderSerializationError("payload must contain at least one of 'text' or 'blocks'")
    if len(members.get("text", "")) > MAX_TEXT:
        raise ProviderSerializationError(f"'text' is longer than {MAX_TEXT} characters")
    for name, limit in (("blocks", MAX_BLOCKS), ("attachments", MAX_ATTACHMENTS)):
        items: Any = members.get(name, [])
        if type(items) is not list:
            raise _unparsed(name, "a list")
        if len(members.get(name, [])) > limit:
            raise ProviderSerializationError(f"there are more than {limit} {name}")
    return {name: members[name] for name in PASSED if name in members}


def _unparsed(name: str, wanted: str) -> ProviderSerializationError:
    return ProviderSerializationError(f"failed to parse payload: {name!r} must be {wanted}")
