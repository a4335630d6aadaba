import pytest

from acteon.core import Action, ManualClock


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def action() -> Action:
    return Action(
        namespace="shop",
        tenant="tenant-1",
        provider="p",
        action_type="order_placed",
        payload={"secret": "hush"},
        id="action-1",
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
