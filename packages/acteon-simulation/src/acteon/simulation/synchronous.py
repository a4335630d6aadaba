"""The simulation for tests without an event loop: the same calls, without `await`.

Its loop runs in a thread of its own; the calls may come from several threads.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import ExitStack
from datetime import timedelta
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import define, field

from acteon.client import ActeonClient, AuditQuery, AuditRecord
from acteon.core import Action, ActionOutcome
from acteon.simulation.config import SimulationConfig
from acteon.simulation.errors import SimulationError
from acteon.simulation.harness import SimulationHarness
from acteon.simulation.nodes import Node, Result

P = ParamSpec("P")
T = TypeVar("T")


@define(eq=False)
class SyncSimulationHarness:
    """A simulation that runs while it is entered.

    ```python
    with SimulationHarness.sync(SimulationConfig(providers=["email"])) as harness:
        harness.dispatch(action).assert_executed()
    ```

    Attributes:
        config: What it consists of.
        audit: Its audit trail.
    """

    config: SimulationConfig = field(factory=SimulationConfig)
    audit: "SyncSimulationAudit" = field(init=False)
    _harness: SimulationHarness = field(init=False)
    _portal: BlockingPortal | None = field(default=None, init=False)
    _stack: ExitStack = field(factory=ExitStack, init=False)
    _clients: dict[int, ActeonClient] = field(factory=dict[int, ActeonClient], init=False)

    def __attrs_post_init__(self) -> None:
        self._harness = SimulationHarness(self.config)
        self.audit = SyncSimulationAudit(self)

    def __enter__(self) -> Self:
        if self._portal is not None:
            raise SimulationError("this simulation runs already")
        with ExitStack() as stack:
            self._portal = stack.enter_context(
                start_blocking_portal("asyncio", name="acteon-simulation")
            )
            stack.callback(self._forget)
            stack.enter_context(self._portal.wrap_async_context_manager(self._harness))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.teardown()

    def teardown(self) -> None:
        """End all nodes, and remove what was written to shared stores; may be called again."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        self._stack.close()

    def _forget(self) -> None:
        self._portal = None

    @property
    def node_count(self) -> int:
        """How many nodes there are."""
        return self._harness.node_count

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The gateways; their calls are to be awaited in the simulation's loop: see `run`."""
        return self._harness.nodes

    def node(self, number: int) -> Node:
        """Return a node, as `SimulationHarness.node` does."""
        return self._harness.node(number)

    def client(self, number: int = 0) -> ActeonClient:
        """Return a client of a node.

        Raises:
            SimulationError: It is not reached over HTTP.
        """
        url = self._harness.client(number).base_url
        client = self._clients.get(number)
        if client is None or client.base_url != url:
            client = self._clients[number] = ActeonClient(url)
        return client

    def provider(self, name: str) -> Any:
        """Return the provider of that name, as it was given."""
        return self._harness.provider(name)

    @property
    def providers(self) -> dict[str, Any]:
        """All providers by name, as they were given."""
        return self._harness.providers

    def reset_recordings(self) -> None:
        """Have all providers forget their calls."""
        self._harness.reset_recordings()

    def dispatch(self, action: Action) -> ActionOutcome:
        """Dispatch `action` to the first node, and return what became of it."""
        return self.run(self._harness.dispatch, action)

    def dispatch_to(self, number: int, action: Action) -> ActionOutcome:
        """Dispatch `action` to a node, and return what became of it."""
        return self.run(self._harness.dispatch_to, number, action)

    def dispatch_batch(self, actions: Sequence[Action]) -> list[Result]:
        """Dispatch `actions` to the first node, and return what became of each, in their order."""
        return self.run(self._harness.dispatch_batch, actions)

    def dispatch_batch_to(self, number: int, actions: Sequence[Action]) -> list[Result]:
        """Dispatch `actions` to a node, and return what became of each, in their order."""
        return self.run(self._harness.dispatch_batch_to, number, actions)

    def flush(self) -> None:
        """Return when the audit records of all that has been answered are written."""
        self.run(self._harness.flush)

    def advance(self, step: timedelta | float) -> None:
        """Move the clock on by `step`, a number of seconds or a `timedelta`."""
        self.run(self._harness.advance, step)

    def kill(self, number: int) -> None:
        """End a node at once, as a crash would."""
        self.run(self._harness.kill, number)

    def stop(self, number: int) -> None:
        """End a node in order."""
        self.run(self._harness.stop, number)

    def restart(self, number: int) -> None:
        """Start a node again; one that runs is ended in order before."""
        self.run(self._harness.restart, number)

    def run(self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `call` gives in the simulation's loop; for what has no method here.

        Raises:
            SimulationError: The simulation does not run.
        """
        if self._portal is None:
            raise SimulationError("this simulation does not run: enter it with `with`")

        async def awaited() -> T:
            return await call(*args, **kwargs)

        return self._portal.call(awaited)

    @property
    def asynchronous(self) -> SimulationHarness:
        """The simulation itself; what it offers is awaited in its own loop."""
        return self._harness


@define(eq=False)
class SyncSimulationAudit:
    """A simulation's audit trail, as `SimulationAudit`, without `await`."""

    _harness: SyncSimulationHarness

    def records(self, query: AuditQuery | None = None, **filters: Any) -> list[AuditRecord]:
        """Return all records that fit `query` and `filters`, its members, the newest first."""
        return self._harness.run(self._harness.asynchronous.audit.records, query, **filters)

    def of(self, action: Action | str) -> list[AuditRecord]:
        """Return the records of `action`, or of the action of that id, the oldest first."""
        return self._harness.run(self._harness.asynchronous.audit.of, action)

    def count(self, **filters: Any) -> int:
        """Return how many records fit `filters`."""
        return self._harness.run(self._harness.asynchronous.audit.count, **filters)

    def assert_audited(self, action: Action | str, **expected: Any) -> AuditRecord:
        """Return the last record of `action`, which has `expected` as its members."""
        return self._harness.run(
            self._harness.asynchronous.audit.assert_audited, action, **expected
        )

    def assert_not_audited(self, action: Action | str) -> None:
        """Raise an `AssertionError` if `action` has a record."""
        self._harness.run(self._harness.asynchronous.audit.assert_not_audited, action)

    def assert_audit_count(self, count: int, **filters: Any) -> None:
        """Raise an `AssertionError` unless exactly `count` records fit `filters`."""
        self._harness.run(self._harness.asynchronous.audit.assert_audit_count, count, **filters)

    def assert_all_outcomes_audited(self, outcomes: Collection[str]) -> None:
        """Raise an `AssertionError` unless each of `outcomes` is that of a record."""
        self._harness.run(self._harness.asynchronous.audit.assert_all_outcomes_audited, outcomes)
