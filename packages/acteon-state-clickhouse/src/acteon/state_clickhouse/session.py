"""What store, locks and dispatch of one backend share."""

from collections.abc import Coroutine
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from attrs import define, field

from acteon.core import SYSTEM_CLOCK, Clock, Tasks
from acteon.state_clickhouse.calls import Engine
from acteon.state_clickhouse.clock import ServerClock
from acteon.state_clickhouse.layout import Layout
from acteon.state_clickhouse.leases import Leases
from acteon.state_clickhouse.ledger import Ledger
from acteon.state_clickhouse.queues import Queues
from acteon.state_clickhouse.turns import Turns

T = TypeVar("T")

LONG_ENOUGH: Final = timedelta(seconds=1.2)
"""For seeing an old server's clock tick: it has whole seconds."""
BETWEEN: Final = timedelta(milliseconds=3)
"""Between two questions for the time."""


@define(eq=False)
class Session:
    """One process's part in the tables. Enter it before use.

    Attributes:
        engine: What carries out the statements; it stays its owner's.
        layout: The statements.
        patience: How long a statement may take, with all that it waits for.
        clock: Measures pauses and trips.
    """

    engine: Engine
    layout: Layout
    patience: timedelta = timedelta(seconds=5)
    clock: Clock = SYSTEM_CLOCK
    ledger: Ledger = field(init=False)
    turns: Turns = field(init=False)
    leases: Leases = field(init=False)
    queues: Queues = field(factory=Queues, init=False)
    _tasks: Tasks = field(factory=Tasks, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.ledger = Ledger(
            self.engine,
            self.layout,
            ServerClock(self.layout.step),
            self.patience,
            self.clock.monotonic,
        )
        self.turns = Turns(self.ledger, self.clock)
        self.leases = Leases(self.ledger, self.turns, self.clock)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        try:
            for table in self.layout.tables():
                await self.engine.ask(table)
            await self.learn_time()
        except BaseException:
            await self._tasks.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._tasks.__aexit__(kind, error, traceback)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run endless `work` beside the operations until this is left."""
        self._tasks.start(work, endless=True)

    async def run(self, operation: Coroutine[Any, Any, T]) -> T:
        """Return what `operation` gives.

        It goes on to its end if the caller is cancelled: what it has claimed by then would be in
        everybody's way otherwise.
        """
        return await self._tasks.complete(operation)

    async def learn_time(self) -> None:
        """Ask for the server's time until it is known well, or for somewhat more than a second."""
        await self.ledger.learn_time()
        enough = self.clock.monotonic() + LONG_ENOUGH.total_seconds()
        while (now := self.clock.monotonic()) < enough:
            pause = self.ledger.clock.pause(now)
            if pause is None:
                break
            await self.clock.sleep(max(pause, BETWEEN))
            await self.ledger.learn_time()
