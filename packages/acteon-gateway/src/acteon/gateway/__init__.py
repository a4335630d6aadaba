"""The pipeline: actions through rules, locks and state to providers, and into the audit trail."""

from acteon.gateway.errors import (
    DrainingError,
    GatewayError,
    InProgressError,
    LockError,
    RouteNotFoundError,
    RuleFailedError,
    RuleNotFoundError,
    RulesNotLoadedError,
    StateFailedError,
    UnforeseenError,
)
from acteon.gateway.gateway import Gateway
from acteon.gateway.metrics import BUCKETS, GatewayMetrics, Histogram
from acteon.gateway.preview import Preview
from acteon.gateway.rulebook import Reloaded
from acteon.gateway.settings import GatewaySettings, OnStoreError, OnUnknown

__all__ = [
    "BUCKETS",
    "DrainingError",
    "Gateway",
    "GatewayError",
    "GatewayMetrics",
    "GatewaySettings",
    "Histogram",
    "InProgressError",
    "LockError",
    "OnStoreError",
    "OnUnknown",
    "Preview",
    "Reloaded",
    "RouteNotFoundError",
    "RuleFailedError",
    "RuleNotFoundError",
    "RulesNotLoadedError",
    "StateFailedError",
    "UnforeseenError",
]
