"""The webhook provider: hands actions to an HTTP endpoint."""

from acteon.provider.webhook.auth import WebhookAuth
from acteon.provider.webhook.config import WebhookConfig
from acteon.provider.webhook.provider import WebhookPlugin, WebhookProvider
from acteon.provider.webhook.signing import delivery_key, signature

__all__ = [
    "WebhookAuth",
    "WebhookConfig",
    "WebhookPlugin",
    "WebhookProvider",
    "delivery_key",
    "signature",
]
