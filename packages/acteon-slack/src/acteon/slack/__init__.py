"""The Slack provider: hands actions to Slack's Web API, or to an incoming webhook."""

from acteon.slack.config import SlackConfig
from acteon.slack.provider import SlackPlugin, SlackProvider

__all__ = ["SlackConfig", "SlackPlugin", "SlackProvider"]
