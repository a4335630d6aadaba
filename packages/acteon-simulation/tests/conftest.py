"""What the tests of simulations share: the places where one can run, and short actions."""

from collections.abc import Callable
from typing import Any

import pytest

from acteon.simulation import Action, SimulationConfig, SimulationHarness


@pytest.fixture(params=["embedded", "http"])
def mode(request: pytest.FixtureRequest) -> str:
    """Give each place in this process where the nodes of a simulation can be."""
    mode: str = request.param
    return mode


@pytest.fixture
def simulation(mode: str) -> Callable[..., SimulationHarness]:
    """Give what makes a simulation, to be entered, of members of its configuration."""

    def make(**members: Any) -> SimulationHarness:
        given: dict[str, Any] = {"mode": mode, **members}
        return SimulationHarness(SimulationConfig(**given))

    return make


@pytest.fixture
def action() -> Callable[..., Action]:
    """Give what makes an action of its provider, its type and other members."""

    def make(
        provider: str = "email", action_type: str = "welcome", payload: Any = None, **members: Any
    ) -> Action:
        return Action(
            "tests",
            "tenant-1",
            provider,
            action_type,
            {} if payload is None else payload,
            **members,
        )

    return make
