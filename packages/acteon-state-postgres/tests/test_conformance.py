"""PostgreSQL does what all backends do: directly, and behind a transaction pooler."""

from collections.abc import AsyncIterator, Sequence
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
from acteon.state_postgres import PostgresStateConfig, PostgresStatePlugin
from servers.process import Server

pytestmark = pytest.mark.server


class OnPostgres(BackendFixtures):
    @pytest.fixture
    def url(self, server: Server) -> str:
        return server.url

    @pytest.fixture
    async def backend(self, url: str) -> AsyncIterator[StateBackend]:
        async with PostgresStatePlugin.open(PostgresStateConfig(url=url)) as backend:
            yield backend


class OnPooler(OnPostgres):
    @pytest.fixture
    def url(self, pooler: Server) -> str:
        return pooler.url


run_of_model = DispatchStateModel.test_any_run_goes_as_the_model_says.hypothesis.inner_test  # type: ignore[attr-defined]


class FewRuns(DispatchStateModel):
    """The model with fewer runs than usual: here time passes by waiting."""

    @given(steps=st.lists(STEPS, max_size=30))
    @settings(
        max_examples=12,
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


class TestStore(OnPostgres, StateStoreConformance):
    pass


class TestWindows(OnPostgres, WindowConformance):
    pass


class TestLocks(OnPostgres, LocksConformance):
    pass


class TestDispatch(OnPostgres, DispatchStateConformance):
    pass


class TestDispatchModel(OnPostgres, FewRuns):
    pass


class TestStoreBehindPooler(OnPooler, StateStoreConformance):
    pass


class TestWindowsBehindPooler(OnPooler, WindowConformance):
    pass


class TestLocksBehindPooler(OnPooler, LocksConformance):
    pass


class TestDispatchBehindPooler(OnPooler, DispatchStateConformance):
    pass


class TestDispatchModelBehindPooler(OnPooler, FewRuns):
    pass
