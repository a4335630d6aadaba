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
from acteon.provider.function import FunctionPlugin, FunctionProvider, plugin_of, provider
from acteon.provider.group import (
    GroupConfig,
    GroupPlugin,
    GroupProvider,
    MemberEnd,
    MembersFailedError,
    Settled,
)
from acteon.provider.health import ProviderHealth, check_health
from acteon.provider.limits import CallLimits, CircuitBreaker
from acteon.provider.log import LogConfig, LogPlugin, LogProvider
from acteon.provider.provider import Provider, ProviderPlugin
from acteon.provider.registry import MEMBERS, ProviderRegistry, RegisteredProvider, Uses, lacking
from acteon.provider.shaping import shaped

__all__ = [
    "MEMBERS",
    "AddressGuard",
    "CallLimits",
    "CircuitBreaker",
    "Delivery",
    "ExecutionFailedError",
    "FunctionPlugin",
    "FunctionProvider",
    "GroupConfig",
    "GroupPlugin",
    "GroupProvider",
    "LogConfig",
    "LogPlugin",
    "LogProvider",
    "MemberEnd",
    "MembersFailedError",
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
    "Settled",
    "Uses",
    "check_health",
    "lacking",
    "plugin_of",
    "provider",
    "shaped",
]
