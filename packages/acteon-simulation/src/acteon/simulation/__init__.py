"""Proves rules before production: gateways in tests, providers that record and fail, faults."""

from acteon.core import Action, ManualClock
from acteon.gateway import GatewaySettings, Plugin
from acteon.simulation.audit import SimulationAudit
from acteon.simulation.config import Mode, SimulationConfig, SimulationConfigBuilder
from acteon.simulation.errors import (
    BackendUnavailableError,
    NodeDownError,
    NodeNotFoundError,
    PortExhaustedError,
    ProviderMissingError,
    SimulationError,
)
from acteon.simulation.harness import SimulationHarness
from acteon.simulation.nodes import Node, Result
from acteon.simulation.providers import (
    CapturedCall,
    FailingProvider,
    FailureMode,
    RecordingProvider,
)
from acteon.simulation.synchronous import SyncSimulationAudit, SyncSimulationHarness

__all__ = [
    "Action",
    "BackendUnavailableError",
    "CapturedCall",
    "FailingProvider",
    "FailureMode",
    "GatewaySettings",
    "ManualClock",
    "Mode",
    "Node",
    "NodeDownError",
    "NodeNotFoundError",
    "Plugin",
    "PortExhaustedError",
    "ProviderMissingError",
    "RecordingProvider",
    "Result",
    "SimulationAudit",
    "SimulationConfig",
    "SimulationConfigBuilder",
    "SimulationError",
    "SimulationHarness",
    "SyncSimulationAudit",
    "SyncSimulationHarness",
]
