"""What the simulation itself raises; what gateways and servers raise passes through unchanged."""

from acteon.core import ActeonError


class SimulationError(ActeonError):
    """Something of the simulation is not there, or cannot be used as it was asked to."""

    code = "SIMULATION"


class NodeNotFoundError(SimulationError):
    """The cluster has no node of that number."""


class NodeDownError(SimulationError):
    """The node was killed and has not been started again."""


class ProviderMissingError(SimulationError):
    """The simulation has no provider of that name."""


class PortExhaustedError(SimulationError):
    """All ports of the range are taken."""


class BackendUnavailableError(SimulationError):
    """A backend is not installed, or its server cannot be reached; the text says which and why."""
