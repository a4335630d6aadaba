"""Any sequence of begins, endings, crashes and passing time, against a model of thirty lines."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from attrs import define, field, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acteon.state.dispatch import Begin, Claimed, DispatchState, Ending, Quota, Settle
from acteon.state.keys import StateKey
from acteon.state.testing.fixtures import HOUR, BackendFixtures, PassTime, on_time

LIMIT = 3
TOKENS = st.sampled_from(["soon 1", "soon 2", "late"])
# A begin that is refused may have renewed what its token held before, or not. Where each token
# has leases of one length only, that makes no difference.
LOCKS = st.none() | st.integers(0, 1)
CLAIMS = st.none() | st.integers(0, 1)


@frozen(kw_only=True)
class Starts:
    """Somebody begins, under a lease that ends soon or late; peeking changes nothing."""

    token: str
    lock: int | None
    claim: int | None
    counted: bool
    peek: bool

    @property
    def soon(self) -> bool:
        """Whether the lease ends soon."""
        return self.token.startswith("soon")


@frozen(kw_only=True)
class Ends:
    """Somebody settles; who never does has crashed."""

    token: str
    lock: int | None
    claim: int | None
    ending: Ending
    soon: bool


@frozen
class Passes:
    """As much time passes as ends all that ends soon."""


Step = Starts | Ends | Passes

STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(
        Starts,
        token=TOKENS,
        lock=LOCKS,
        claim=CLAIMS,
        counted=st.booleans(),
        peek=st.sampled_from([False, False, False, True]),
    ),
    st.builds(
        Ends,
        token=TOKENS,
        lock=LOCKS,
        claim=CLAIMS,
        ending=st.sampled_from(Ending),
        soon=st.booleans(),
    ),
    st.just(Passes()),
)


@define(eq=False)
class Model:
    """How things must stand: each value, and whether it ends soon."""

    locks: dict[int, tuple[str, bool]] = field(factory=dict[int, tuple[str, bool]])
    claims: dict[int, tuple[Claimed, str, bool]] = field(
        factory=dict[int, tuple[Claimed, str, bool]]
    )
    counted: int = 0

    def start(self, step: Starts) -> tuple[bool, Claimed, bool]:
        """Return whether the lock is busy, how the claim stands, whether the quota refuses."""
        if step.lock is not None and not step.peek:
            holder, _ = self.locks.get(step.lock, (step.token, False))
            if holder != step.token:
                return True, Claimed.NONE, False
        claim = Claimed.NONE
        if step.claim is not None:
            claim, holder, _ = self.claims.get(step.claim, (Claimed.PENDING, step.token, False))
            if claim is not Claimed.PENDING or holder != step.token:
                return False, claim, False
            claim = Claimed.OURS
        if step.counted and self.counted >= LIMIT:
            return False, Claimed.NONE, True
        if not step.peek:
            self.counted += step.counted
            if step.lock is not None:
                self.locks[step.lock] = (step.token, step.soon)
            if step.claim is not None:
                self.claims[step.claim] = (Claimed.PENDING, step.token, step.soon)
        return False, claim, False

    def end(self, step: Ends) -> bool:
        """Return whether all that is named was held."""
        held = True
        if step.claim is not None:
            claim, holder, _ = self.claims.get(step.claim, (Claimed.NONE, "", False))
            if claim is not Claimed.PENDING or holder != step.token:
                held = False
            elif step.ending is Ending.RELEASE:
                del self.claims[step.claim]
            else:
                ended = Claimed.DONE if step.ending is Ending.DONE else Claimed.UNKNOWN
                self.claims[step.claim] = (ended, "", step.soon)
        if step.lock is not None:
            if self.locks.get(step.lock, ("", False))[0] == step.token:
                del self.locks[step.lock]
            else:
                held = False
        return held

    def passes(self) -> None:
        """End what ends soon."""
        self.locks = {name: one for name, one in self.locks.items() if not one[-1]}
        self.claims = {key: one for key, one in self.claims.items() if not one[-1]}


@define(eq=False)
class System:
    """The backend under test, seen as the model sees things."""

    dispatch: DispatchState
    pass_time: PassTime
    moment: timedelta
    run: str = field(factory=lambda: uuid4().hex)

    async def start(self, step: Starts) -> tuple[bool, Claimed, bool]:
        """Return what `Model.start` does."""
        quota = Quota(StateKey("model", self.run, "rate_limit", "quota"), LIMIT, HOUR)
        (began,) = await self.dispatch.begin(
            [
                Begin(
                    token=step.token,
                    lease=self._time(step.soon),
                    lock=self._lock(step.lock),
                    claim=self._claim(step.claim),
                    quotas=(quota,) if step.counted else (),
                    peek=step.peek,
                )
            ]
        )
        assert began.error is None
        assert began.quota_error is None
        return began.busy is not None, began.claim, began.refused is not None

    async def end(self, step: Ends) -> bool:
        """Return what `Model.end` does."""
        (settled,) = await self.dispatch.settle(
            [
                Settle(
                    token=step.token,
                    lock=self._lock(step.lock),
                    claim=self._claim(step.claim),
                    ending=step.ending,
                    ttl=self._time(step.soon),
                    instant="2025-01-01T00:00:00Z",
                )
            ]
        )
        return settled is True

    async def passes(self) -> None:
        """Let what ends soon end."""
        await self.pass_time(self.moment)

    def _time(self, soon: bool) -> timedelta:
        return self.moment if soon else HOUR

    def _lock(self, number: int | None) -> str | None:
        return None if number is None else f"model:{self.run}:{number}"

    def _claim(self, number: int | None) -> StateKey | None:
        return None if number is None else StateKey("model", self.run, "dedup", str(number))


@on_time  # Every try has keys and locks of its own.
async def _any_run_goes_as_the_model_says(
    self: "DispatchStateModel",
    dispatch: DispatchState,
    pass_time: PassTime,
    moment: timedelta,
    steps: Sequence[Step],
) -> None:
    model, system = Model(), System(dispatch, pass_time, moment)
    for step in steps:
        match step:
            case Starts():
                assert await system.start(step) == model.start(step)
            case Ends():
                assert await system.end(step) == model.end(step)
            case Passes():
                await system.passes()
                model.passes()


@pytest.mark.anyio
class DispatchStateModel(BackendFixtures):
    """Any run of steps goes as the model says.

    Attributes:
        runs: How many runs are tried; None: as many as the Hypothesis profile says. Few will do
            where time passes by waiting.
    """

    runs: ClassVar[int | None] = None
    test_any_run_goes_as_the_model_says: ClassVar[Callable[..., None]]

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        limits: dict[str, Any] = {} if cls.runs is None else {"max_examples": cls.runs}
        cls.test_any_run_goes_as_the_model_says = settings(
            deadline=None,
            suppress_health_check=[
                HealthCheck.function_scoped_fixture,
                HealthCheck.differing_executors,
                HealthCheck.too_slow,
            ],
            **limits,
        )(given(steps=st.lists(STEPS, max_size=30))(_any_run_goes_as_the_model_says))
