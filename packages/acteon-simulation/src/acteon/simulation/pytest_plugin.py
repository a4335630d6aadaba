"""The pytest plugin: fixtures for simulations, and a switch for where they run.

Every run of pytest in an environment loads it, so nothing else is imported until a fixture is used.
"""

import os
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from acteon.simulation.config import SimulationConfig
    from acteon.simulation.synchronous import SyncSimulationHarness

MODES: Final = ("embedded", "http", "process")
_MARKERS: Final = (
    "acteon(**config): what the simulation of the fixture `acteon_harness` consists of: members of "
    "`acteon.simulation.SimulationConfig`, such as `rules`, `providers`, `nodes`, `state`",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say where simulations run."""
    group = parser.getgroup("acteon", "simulations of Acteon")
    group.addoption(
        "--acteon-mode",
        choices=MODES,
        help="where simulations run that do not say it themselves (default: embedded)",
    )
    group.addoption(
        "--acteon-state",
        metavar="URL",
        help="where simulations keep state that do not say it themselves (default: memory)",
    )
    group.addoption(
        "--acteon-audit",
        metavar="URL",
        help="where simulations keep their audit trail that do not say it themselves",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


def _given(config: pytest.Config) -> dict[str, Any]:
    """Return what the command line, or the environment, says of all simulations."""
    given: dict[str, Any] = {}
    for member in ("mode", "state", "audit"):
        value = config.getoption(f"--acteon-{member}") or os.environ.get(
            f"ACTEON_TEST_{member.upper()}"
        )
        if value:
            given[member] = value
    return given


@pytest.fixture
def acteon_config(request: pytest.FixtureRequest) -> "SimulationConfig":
    """Give the configuration that the marker `acteon` and the command line describe."""
    from acteon.simulation.config import SimulationConfig

    members = _given(request.config)
    for marker in reversed(list(request.node.iter_markers("acteon"))):
        if marker.args:
            pytest.fail("@pytest.mark.acteon takes members of SimulationConfig by name", False)
        members.update(marker.kwargs)
    return SimulationConfig(**members)


@pytest.fixture
def acteon_simulation(
    request: pytest.FixtureRequest,
) -> "Generator[Callable[..., SyncSimulationHarness]]":
    """Give what makes a running simulation of its arguments: members of a `SimulationConfig`.

    All of them end with the test.
    """
    from acteon.simulation.config import SimulationConfig
    from acteon.simulation.synchronous import SyncSimulationHarness

    with ExitStack() as stack:

        def start(**members: Any) -> "SyncSimulationHarness":
            config = SimulationConfig(**{**_given(request.config), **members})
            return stack.enter_context(SyncSimulationHarness(config))

        yield start


@pytest.fixture
def acteon_harness(acteon_config: "SimulationConfig") -> "Generator[SyncSimulationHarness]":
    """Give the running simulation that the marker `acteon` describes."""
    from acteon.simulation.synchronous import SyncSimulationHarness

    with SyncSimulationHarness(acteon_config) as harness:
        yield harness
