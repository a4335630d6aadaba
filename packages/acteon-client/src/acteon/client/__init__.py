"""Programs talk to Acteon with this: a sync and an async client of its HTTP API.

`AsyncActeonClient` brings aiohttp with it when it is first asked for, and not before.
"""

from typing import TYPE_CHECKING, Any

from acteon.client.actions import create_webhook_action
from acteon.client.errors import (
    ActeonConnectionError,
    ActeonTimeoutError,
    ApiError,
    AuditDisabledError,
    AuthenticationError,
    ClientError,
    ConfigurationError,
    DeserializationError,
    HttpError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
)
from acteon.client.models import (
    AuditPage,
    AuditRecord,
    CallStatistics,
    Circuit,
    DeadLetter,
    DeadLetterStats,
    EraseResult,
    Health,
    Login,
    Metrics,
    ProviderHealth,
    ProviderInfo,
    ProviderLimits,
    ProvidersReloaded,
    Ready,
    ReloadResult,
    ReplayItem,
    ReplayResult,
    RuleInfo,
    RuleState,
)
from acteon.client.operations import AnyAction
from acteon.client.options import Exchange
from acteon.client.outcomes import (
    BatchResult,
    DryRun,
    ItemError,
    Outcome,
    PreviewResult,
    UnknownOutcome,
    read_outcome,
)
from acteon.client.queries import AuditQuery
from acteon.client.retries import RetryPolicy
from acteon.client.synchronous import ActeonClient
from acteon.core import (
    ActeonError,
    Action,
    ActionOutcome,
    Deduplicated,
    Executed,
    Failed,
    ProviderResponse,
    Rerouted,
    ResponseStatus,
    Suppressed,
    Throttled,
)

if TYPE_CHECKING:
    from acteon.client.asynchronous import AsyncActeonClient

__all__ = [
    "ActeonClient",
    "ActeonConnectionError",
    "ActeonError",
    "ActeonTimeoutError",
    "Action",
    "ActionOutcome",
    "AnyAction",
    "ApiError",
    "AsyncActeonClient",
    "AuditDisabledError",
    "AuditPage",
    "AuditQuery",
    "AuditRecord",
    "AuthenticationError",
    "BatchResult",
    "CallStatistics",
    "Circuit",
    "ClientError",
    "ConfigurationError",
    "DeadLetter",
    "DeadLetterStats",
    "Deduplicated",
    "DeserializationError",
    "DryRun",
    "EraseResult",
    "Exchange",
    "Executed",
    "Failed",
    "Health",
    "HttpError",
    "InvalidRequestError",
    "ItemError",
    "Login",
    "Metrics",
    "NotFoundError",
    "Outcome",
    "PermissionDeniedError",
    "PreviewResult",
    "ProviderHealth",
    "ProviderInfo",
    "ProviderLimits",
    "ProviderResponse",
    "ProvidersReloaded",
    "RateLimitedError",
    "Ready",
    "ReloadResult",
    "ReplayItem",
    "ReplayResult",
    "Rerouted",
    "ResponseStatus",
    "RetryPolicy",
    "RuleInfo",
    "RuleState",
    "Suppressed",
    "Throttled",
    "UnknownOutcome",
    "create_webhook_action",
    "read_outcome",
]


def __getattr__(name: str) -> Any:
    if name == "AsyncActeonClient":
        from acteon.client.asynchronous import AsyncActeonClient

        return AsyncActeonClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
