"""Proves rules before production: gateways in tests, providers that record and fail, faults.

What is named here is imported when it is first asked for: the pytest plugin of this package is
loaded by every run of pytest in an environment, and must not cost those that do not use it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from acteon.core import Action, ManualClock
    from acteon.gateway import GatewaySettings, Plugin
    from acteon.simulation.audit import SimulationAudit
    from acteon.simulation.backends import AvailableBackends, skip_without
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
    from acteon.simulation.ports import PortAllocator
    from acteon.simulation.providers import (
        CapturedCall,
        FailingProvider,
        FailureMode,
        RecordingProvider,
    )
    from acteon.simulation.proxy import FaultProxy
    from acteon.simulation.synchronous import SyncSimulationAudit, SyncSimulationHarness

__all__ = [
    "Action",
    "AvailableBackends",
    "BackendUnavailableError",
    "CapturedCall",
    "FailingProvider",
    "FailureMode",
    "FaultProxy",
    "GatewaySettings",
    "ManualClock",
    "Mode",
    "Node",
    "NodeDownError",
    "NodeNotFoundError",
    "Plugin",
    "PortAllocator",
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
    "skip_without",
]

_MODULES: Final = (
    "acteon.simulation.errors",
    "acteon.simulation.providers",
    "acteon.simulation.config",
    "acteon.simulation.nodes",
    "acteon.simulation.audit",
    "acteon.simulation.harness",
    "acteon.simulation.synchronous",
    "acteon.simulation.backends",
    "acteon.simulation.ports",
    "acteon.simulation.proxy",
    "acteon.core",
    "acteon.gateway",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in map(import_module, _MODULES):
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
