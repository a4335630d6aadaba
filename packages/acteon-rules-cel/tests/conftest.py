"""What the tests share: both engines, and rules that they evaluate."""

from collections.abc import Callable
from typing import Any

import pytest

from acteon.core import Action
from acteon.rules import Deny, Effect, Rule
from acteon.rules.expression import Foreign
from acteon.rules_cel.engines import engine, read
from acteon.rules_cel.program import CelProgram


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["python", "native"])
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rule(engine_name: str) -> Callable[..., Rule]:
    """Return what makes a rule whose condition the engine evaluates."""

    def make(text: str, effect: Effect | None = None, *, name: str = "r", **parts: Any) -> Rule:
        condition = Foreign(CelProgram(read(text), engine(engine_name)))
        return Rule(name=name, condition=condition, effect=effect or Deny(), **parts)

    return make


@pytest.fixture
def action() -> Callable[..., Action]:
    """Return what makes an action with a payload."""

    def make(payload: Any = None, **parts: Any) -> Action:
        given: dict[str, Any] = {
            "namespace": "shop",
            "tenant": "acme",
            "provider": "email",
            "action_type": "order",
            "payload": {} if payload is None else payload,
            **parts,
        }
        return Action(**given)

    return make
