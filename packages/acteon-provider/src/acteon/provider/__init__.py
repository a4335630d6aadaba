"""Who delivers actions: the interface, its errors, and the log and function providers.

What speaks HTTP is apart, since it takes a while to import: `acteon.provider.webhook`, and
`acteon.provider.guarded` for other providers that do.
"""

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
from acteon.provider.health import ProviderHealth, check_health
from acteon.provider.log import LogConfig, LogPlugin, LogProvider
from acteon.provider.provider import Provider, ProviderPlugin
from acteon.provider.registry import ProviderRegistry, RegisteredProvider

__all__ = [
    "AddressGuard",
    "Delivery",
    "ExecutionFailedError",
    "FunctionProvider",
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
    "check_health",
]
