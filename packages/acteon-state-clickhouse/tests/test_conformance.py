"""ClickHouse does what all backends do."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acteon.state import DispatchState, StateBackend
from acteon.state.testing import (
    BackendFixtures,
    DispatchStateConformance,
    DispatchStateModel,
    LocksConformance,
    PassTime,
    StateStoreConformance,
    WindowConformance,
)
from acteon.state.testing.model import STEPS, Step

pytestmark = pytest.mark.server


class OnClickHouse(BackendFixtures):
    @pytest.fixture
    def backend(self, shared: StateBackend) -> StateBackend:
        return shared

    @pytest.fixture
    def moment(self) -> timedelta:
        return timedelta(seconds=1)

    @pytest.fixture
    def pass_time(self) -> PassTime:
        async def wait(step: timedelta) -> None:
            # Its clock tells whole seconds; between them we know it to some hundredths.
            await asyncio.sleep(step.total_seconds() + 0.05)

        return wait


run_of_model = DispatchStateModel.test_any_run_goes_as_the_model_says.hypothesis.inner_test  # type: ignore[attr-defined]


class TestStore(OnClickHouse, StateStoreConformance):
    pass


class TestWindows(OnClickHouse, WindowConformance):
    pass


class TestLocks(OnClickHouse, LocksConformance):
    pass


class TestDispatch(OnClickHouse, DispatchStateConformance):
    pass


class TestModel(OnClickHouse, DispatchStateModel):
    """The model with few runs: here time passes by waiting."""

    @given(steps=st.lists(STEPS, max_size=30))
    @settings(
        max_examples=6,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
            HealthCheck.too_slow,
        ],
    )
    async def test_any_run_goes_as_the_model_says(
        self,
        dispatch: DispatchState,
        pass_time: PassTime,
        moment: timedelta,
        steps: Sequence[Step],
    ) -> None:
        await run_of_model(self, dispatch, pass_time, moment, steps)
