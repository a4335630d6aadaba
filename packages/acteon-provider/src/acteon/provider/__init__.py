"""Who delivers actions: the interface, its errors, and the webhook, log and function providers."""

from acteon.provider.addresses import AddressGuard
from acteon.provider.errors import (
    Delivery,
    ExecutionFailedError,
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderError,
    ProviderNotFoundError,
    ProviderSerializationError,
    ProviderTimeoutError,
    RateLimitedError,
)
from acteon.provider.function import FunctionProvider
from acteon.provider.guarded import (
    GuardedResolver,
    guarded_connector,
    host_refusal,
    with_plain_host,
)
from acteon.provider.health import ProviderHealth, check_health
from acteon.provider.log import LogConfig, LogPlugin, LogProvider
from acteon.provider.provider import Provider, ProviderPlugin
from acteon.provider.registry import ProviderRegistry, RegisteredProvider
from acteon.provider.webhook import (
    WebhookConfig,
    WebhookPlugin,
    WebhookProvider,
    delivery_key,
    signature,
)

__all__ = [
    "AddressGuard",
    "Delivery",
    "ExecutionFailedError",
    "FunctionProvider",
    "GuardedResolver",
    "LogConfig",
    "LogPlugin",
    "LogProvider",
    "Provider",
    "ProviderConfigurationError",
    "ProviderConnectionError",
    "ProviderError",
    "ProviderHealth",
    "ProviderNotFoundError",
    "ProviderPlugin",
    "ProviderRegistry",
    "ProviderSerializationError",
    "ProviderTimeoutError",
    "RateLimitedError",
    "RegisteredProvider",
    "WebhookConfig",
    "WebhookPlugin",
    "WebhookProvider",
    "check_health",
    "delivery_key",
    "guarded_connector",
    "host_refusal",
    "signature",
    "with_plain_host",
]
