"""The pytest plugin: fixtures for simulations, and a switch for where they run.

Every run of pytest in an environment loads it, so nothing else is imported until a fixture is used.
"""

import os
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from acteon.client import ActeonClient
    from acteon.core import ManualClock
    from acteon.simulation.backends import AvailableBackends
    from acteon.simulation.config import SimulationConfig
    from acteon.simulation.synchronous import SyncSimulationAudit, SyncSimulationHarness

MODES: Final = ("embedded", "http", "process")
_MARKERS: Final = (
    "acteon(**config): what the simulation of the fixture `acteon_harness` consists of: members of "
    "`acteon.simulation.SimulationConfig`, such as `rules`, `providers`, `nodes`, `state`",
    "requires_backend(*names): the stores that a test needs; without one of them it is skipped, or "
    "fails if `--acteon-require-backends` or ACTEON_TEST_REQUIRE says so",
)
_SWITCHES: Final = ("mode", "state", "audit")


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
        help="where simulations record what do not say it themselves (default: memory)",
    )
    group.addoption(
        "--acteon-require-backends",
        metavar="NAMES",
        help="stores without which tests fail instead of being skipped: redis,postgres or all",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose stores are not there."""
    names = [name for marker in item.iter_markers("requires_backend") for name in marker.args]
    if names:
        backends = _backends(item.config)
        for name in names:
            backends.require(name)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Return how two outcomes, or two audit records, differ, member by member."""
    if op != "==" or "acteon.core.outcome" not in sys.modules:
        return None
    from acteon.core import AnyOutcome

    client = sys.modules.get("acteon.client.models")
    kinds = (AnyOutcome,) if client is None else (AnyOutcome, client.AuditRecord)
    if not (isinstance(left, kinds) and isinstance(right, kinds)):
        return None
    if type(left) is not type(right):
        return [f"{left!r} is no {type(right).__name__}", f"expected {right!r}"]
    return _members_that_differ(left, right)


def _members_that_differ(left: Any, right: Any) -> list[str]:
    lines = [f"two of {type(left).__name__} that differ:"]
    for each in left.__attrs_attrs__:
        one, other = getattr(left, each.name), getattr(right, each.name)
        if one != other:
            lines.append(f"  {each.name}: {one!r} != {other!r}")
    return lines


def _given(config: pytest.Config) -> dict[str, Any]:
    """Return what the command line, or the environment, says of all simulations."""
    given: dict[str, Any] = {}
    for member in _SWITCHES:
        variable = f"ACTEON_TEST_{member.upper()}"
        value = config.getoption(f"--acteon-{member}") or os.environ.get(variable)
        if value:
            given[member] = value
    return given


_BACKENDS = pytest.StashKey["AvailableBackends"]()


def _backends(config: pytest.Config) -> "AvailableBackends":
    """Return the stores that answer; each is asked once in a run."""
    if _BACKENDS not in config.stash:
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        from acteon.simulation.backends import REQUIRE, AvailableBackends

        required = config.getoption("--acteon-require-backends")
        environ = {**os.environ, **({REQUIRE: required} if required else {})}

        def ask() -> "AvailableBackends":
            return asyncio.run(AvailableBackends.from_connections(environ=environ))

        with ThreadPoolExecutor(1) as thread:  # In this one a loop may run.
            config.stash[_BACKENDS] = thread.submit(ask).result()
    return config.stash[_BACKENDS]


@pytest.fixture
def acteon_backends(request: pytest.FixtureRequest) -> "AvailableBackends":
    """Give the stores that the environment names and that answer."""
    return _backends(request.config)


@pytest.fixture
def acteon_clock() -> "ManualClock":
    """Give a clock that stands still; a simulation of a test that has it goes by it."""
    from acteon.core import ManualClock

    return ManualClock()


@pytest.fixture
def acteon_config(request: pytest.FixtureRequest) -> "SimulationConfig":
    """Give the configuration that the marker `acteon` and the command line describe."""
    return _config(request, {})


def _config(request: pytest.FixtureRequest, members: dict[str, Any]) -> "SimulationConfig":
    from acteon.simulation.config import SimulationConfig

    found = _given(request.config)
    for marker in reversed(list(request.node.iter_markers("acteon"))):
        if marker.args:
            pytest.fail("@pytest.mark.acteon takes members of SimulationConfig by name", False)
        found.update(marker.kwargs)
    found.update(members)
    if "acteon_clock" in request.fixturenames:
        found["clock"] = request.getfixturevalue("acteon_clock")
    return SimulationConfig(**found)


@pytest.fixture
def acteon_simulation(
    request: pytest.FixtureRequest,
) -> "Generator[Callable[..., SyncSimulationHarness]]":
    """Give what makes a running simulation of its arguments: members of a `SimulationConfig`.

    All of them end with the test.
    """
    from acteon.simulation.synchronous import SyncSimulationHarness

    with ExitStack() as stack:

        def start(**members: Any) -> "SyncSimulationHarness":
            return stack.enter_context(SyncSimulationHarness(_config(request, members)))

        yield start


@pytest.fixture
def acteon_harness(acteon_config: "SimulationConfig") -> "Generator[SyncSimulationHarness]":
    """Give the running simulation that the marker `acteon` describes."""
    from acteon.simulation.synchronous import SyncSimulationHarness

    with SyncSimulationHarness(acteon_config) as harness:
        yield harness


@pytest.fixture
def acteon_audit(acteon_harness: "SyncSimulationHarness") -> "SyncSimulationAudit":
    """Give the audit trail of `acteon_harness`."""
    return acteon_harness.audit


@pytest.fixture
def acteon_server(request: pytest.FixtureRequest) -> str:
    """Give the URL of a server with what the marker `acteon` describes; of its first node."""
    harness = request.getfixturevalue("acteon_harness")
    if harness.config.mode == "embedded":
        # The marker does not say where: a server is wanted.
        harness = request.getfixturevalue("acteon_simulation")(mode="http")
    return str(harness.client().base_url)


@pytest.fixture
def acteon_client(acteon_server: str) -> "Generator[ActeonClient]":
    """Give a client of `acteon_server`."""
    from acteon.client import ActeonClient

    with ActeonClient(acteon_server) as client:
        yield client
