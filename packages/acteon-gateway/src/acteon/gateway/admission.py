"""Holding what a dispatch needs while it runs: its lock, its claim, room in its quotas."""

import asyncio
import logging
from datetime import timedelta
from itertools import count
from random import Random

from attrs import define, field

from acteon.core import Clock, new_id
from acteon.gateway.metrics import GatewayMetrics
from acteon.gateway.outage import Outage
from acteon.gateway.places import Place
from acteon.gateway.settings import GatewaySettings
from acteon.gateway.waiting import Queues, Running, wait_at_most
from acteon.state import (
    Began,
    Begin,
    Claimed,
    Ending,
    Quota,
    Settle,
    StateError,
    StateKey,
    StateTimeoutError,
    Trips,
)

log = logging.getLogger(__name__)

FIRST_PAUSE = timedelta(milliseconds=5)
LONGEST_PAUSE = timedelta(milliseconds=50)


@define(eq=False)
class Lease:
    """What one dispatch holds.

    Attributes:
        lock: The name of its lock.
        token: What it holds it under; no other lease of any process has the same.
        place: Where it stands among those of its batch, if it is one of a batch.
        claim: The claim that it holds, or may hold, if any.
        locked: Whether the lock is held in the store, or may be.
        lost: Whether something was taken over by another gateway meanwhile.
    """

    lock: str
    token: str
    place: Place | None = None
    claim: StateKey | None = None
    locked: bool = False
    lost: bool = False
    running: bool = False
    """Whether others of this process wait for the end of the claim."""


@define(eq=False)
class Admission:
    """Takes, renews and gives back what dispatches hold.

    Those of one process that want the same lock or claim wait for each other here; those of
    other processes are asked after again and again, at growing and random intervals.
    """

    trips: Trips
    settings: GatewaySettings
    metrics: GatewayMetrics
    clock: Clock
    random: Random
    outage: Outage
    _queues: Queues = field(factory=Queues, init=False)
    _claims: Running[StateKey] = field(factory=Running[StateKey], init=False)
    _leases: dict[str, Lease] = field(factory=dict[str, Lease], init=False)
    _name: str = field(factory=new_id, init=False)
    _numbers: "count[int]" = field(factory=count, init=False)

    @property
    def held(self) -> int:
        """How many locks are held, or waited for, by dispatches of this process."""
        return max(len(self._leases), len(self._queues))

    def try_enter(self, lock: str, place: Place | None = None) -> Lease | None:
        """Enter if no other dispatch of this process has `lock`; see `enter`."""
        return self._lease(lock, place) if self._queues.try_enter(lock) else None

    async def enter(self, lock: str, deadline: float, place: Place | None = None) -> Lease:
        """Wait until no other dispatch of this process has `lock`; `leave` must follow.

        Args:
            lock: The name of the lock.
            deadline: When, on the monotonic clock, patience ends.
            place: Where the dispatch stands among those of its batch.

        Raises:
            StateTimeoutError: Patience ended first.
        """
        if place is not None:
            place.pass_on()  # This may take long, and it is out of order anyway.
        left = timedelta(seconds=max(0.0, deadline - self.clock.monotonic()))
        if not await self._queues.enter(lock, left, self.clock):
            raise StateTimeoutError(self.settings.patience)
        return self._lease(lock, place)

    def _lease(self, lock: str, place: Place | None) -> Lease:
        return Lease(lock, f"{self._name}/{next(self._numbers)}", place)

    async def begin(
        self,
        lease: Lease,
        deadline: float,
        *,
        claim: StateKey | None = None,
        quotas: tuple[Quota, ...] = (),
        reads: tuple[StateKey, ...] = (),
    ) -> Began:
        """Take the lock, and what else is named; wait, until patience ends, while others hold it.

        What is returned as busy or pending was so when patience ended. For a claim of its own
        batch it waits as long as that runs.

        Raises:
            StateError: The store failed.
        """
        wanted = Begin(
            token=lease.token,
            lease=self.settings.lease,
            lock=lease.lock,
            claim=claim,
            quotas=quotas,
            reads=reads,
        )
        if lease.place is not None and not reads:
            await lease.place.come_up()
            lease.place.pass_on()  # The next line takes its place in the trip before it waits.
        pause = FIRST_PAUSE
        while True:
            try:
                began = self.trips.begin_now(wanted) or await self.trips.begin(wanted)
            except StateError as error:
                self.outage.failed(error)
                if not self.trips.is_local:
                    # Whether it holds something now is unknown; giving it back does no harm.
                    lease.locked = True
                    lease.claim = claim
                raise
            if self.outage.failing is not None:
                self.outage.worked(wrote=began.admitted)
            if began.admitted:
                lease.locked = True
                if claim is not None:
                    lease.claim = claim
                    lease.running = True
                    self._claims.start(claim, None if lease.place is None else lease.place.batch)
                self._leases[lease.token] = lease
                return began
            pending = began.claim is Claimed.PENDING
            if began.busy is None and not pending:
                return began
            woken = self._claims.wait(claim) if pending and claim is not None else None
            if woken is not None and self._runs_beside(lease, claim):
                await asyncio.wait((woken,))
                continue
            left = timedelta(seconds=deadline - self.clock.monotonic())
            if left <= timedelta(0):
                return began
            if woken is not None:
                await wait_at_most(woken, left, self.clock)
            else:
                await self.clock.sleep(min(left, pause * (0.5 + self.random.random())))
                pause = min(pause * 2, LONGEST_PAUSE)

    def _runs_beside(self, lease: Lease, claim: StateKey | None) -> bool:
        """Return whether an action of the same batch holds `claim`."""
        if lease.place is None or claim is None:
            return False
        return self._claims.is_run_by(claim, lease.place.batch)

    def leave(
        self,
        lease: Lease,
        ending: Ending = Ending.RELEASE,
        *,
        ttl: timedelta | None = None,
        instant: str = "",
    ) -> None:
        """Give back all that `lease` holds, the claim as `ending` says, and let the next one in."""
        self._leases.pop(lease.token, None)
        try:
            if lease.locked:
                self.trips.settle(
                    Settle(
                        token=lease.token,
                        lock=lease.lock,
                        claim=lease.claim,
                        ending=ending,
                        ttl=ttl,
                        instant=instant,
                    )
                )
        finally:
            if lease.claim is not None and lease.running:
                self._claims.end(lease.claim)
            if lease.place is not None:
                lease.place.pass_on()
            self._queues.leave(lease.lock)

    async def renew_forever(self) -> None:
        """Renew all leases, every third of their time."""
        while True:
            await self.clock.sleep(self.settings.lease / 3)
            try:
                async with asyncio.TaskGroup() as group:
                    for lease in tuple(self._leases.values()):
                        group.create_task(self._renew(lease))
            except Exception:
                # Whatever it was: without renewals every long delivery would lose its lease.
                log.exception("leases could not be renewed")

    async def _renew(self, lease: Lease) -> None:
        if lease.token not in self._leases:
            return  # It was given back before this task had its turn.
        wanted = Begin(
            token=lease.token, lease=self.settings.lease, lock=lease.lock, claim=lease.claim
        )
        try:
            began = await self.trips.begin(wanted)
        except StateError as error:
            if not self.outage.failed(error):
                log.warning("a lease could not be renewed", extra={"acteon.error": str(error)})
            return
        self.outage.worked(wrote=began.admitted)
        if not began.admitted and self._leases.pop(lease.token, None) is not None:
            lease.lost = True
            self.metrics.leases_lost += 1
            log.warning(
                "a lease was lost while its action was being delivered",
                extra={"acteon.lock": lease.lock},
            )
