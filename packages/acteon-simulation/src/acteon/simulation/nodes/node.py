"""One gateway of a simulation, wherever it is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from acteon.client import AuditPage, AuditQuery
from acteon.core import ActeonError, Action, ActionOutcome
from acteon.simulation.errors import SimulationError

Result = ActionOutcome | ActeonError
"""What became of an action of a batch: its outcome, or why it reached none."""


class Node(ABC):
    """One gateway of a simulation.

    Attributes:
        id: `node-0`, `node-1`, ….
        url: Where it is reached over HTTP; None if it is not.
    """

    id: str
    url: str | None = None

    @property
    @abstractmethod
    def is_running(self) -> bool:
        """Whether it takes actions."""

    @abstractmethod
    async def start(self) -> None:
        """Start it; what it kept in memory is gone if it was started before."""

    @abstractmethod
    async def stop(self) -> None:
        """End it in order: what is under way is finished, and the audit trail written."""

    async def kill(self) -> None:
        """End it at once, as a crash would.

        Raises:
            SimulationError: It shares its process with the test.
        """
        raise SimulationError(
            f"{self.id} shares the process of the test: kill needs mode='process'"
        )

    @abstractmethod
    async def dispatch(self, action: Action) -> ActionOutcome:
        """Return what became of `action`.

        Raises:
            ActeonError: It reached no outcome.
        """

    @abstractmethod
    async def dispatch_batch(self, actions: Sequence[Action]) -> list[Result]:
        """Return what became of each of `actions`, in their order; never raises for one of them."""

    @abstractmethod
    async def query_audit(self, query: AuditQuery) -> AuditPage:
        """Return a page of the audit records that this node sees."""

    @abstractmethod
    async def flush(self) -> None:
        """Return when the audit records of what has been answered are written."""
