"""The pipeline: actions through rules, locks and state to providers, and into the audit trail."""

from acteon.gateway.delivering import Deliverer, Providers
from acteon.gateway.errors import (
    DrainingError,
    GatewayError,
    InProgressError,
    LockError,
    NotOpenError,
    ProviderUnknownError,
    RouteNotFoundError,
    RuleFailedError,
    RuleNotFoundError,
    RulesNotLoadedError,
    StateFailedError,
    UnforeseenError,
)
from acteon.gateway.explaining import Evaluation
from acteon.gateway.gateway import Gateway
from acteon.gateway.loading import LoadedRules, load_rules
from acteon.gateway.metrics import BUCKETS, GatewayMetrics, Histogram
from acteon.gateway.opening import Audit, Opening, Rules, State, parse_rules
from acteon.gateway.plugged import Plugin
from acteon.gateway.preview import Preview
from acteon.gateway.providing import ProviderControl, ProviderStatus
from acteon.gateway.replaying import (
    REPLAYED_FROM,
    NotReplayableError,
    PayloadMissingError,
    PayloadRedactedError,
    Replayed,
)
from acteon.gateway.rulebook import Reloaded
from acteon.gateway.settings import GatewaySettings, OnStoreError, OnUnknown
from acteon.gateway.synchronous import SyncAuditTrail, SyncGateway
from acteon.gateway.watching import watch

__all__ = [
    "BUCKETS",
    "REPLAYED_FROM",
    "Audit",
    "Deliverer",
    "DrainingError",
    "Evaluation",
    "Gateway",
    "GatewayError",
    "GatewayMetrics",
    "GatewaySettings",
    "Histogram",
    "InProgressError",
    "LoadedRules",
    "LockError",
    "NotOpenError",
    "NotReplayableError",
    "OnStoreError",
    "OnUnknown",
    "Opening",
    "PayloadMissingError",
    "PayloadRedactedError",
    "Plugin",
    "Preview",
    "ProviderControl",
    "ProviderStatus",
    "ProviderUnknownError",
    "Providers",
    "Reloaded",
    "Replayed",
    "RouteNotFoundError",
    "RuleFailedError",
    "RuleNotFoundError",
    "Rules",
    "RulesNotLoadedError",
    "State",
    "StateFailedError",
    "SyncAuditTrail",
    "SyncGateway",
    "UnforeseenError",
    "load_rules",
    "parse_rules",
    "watch",
]
