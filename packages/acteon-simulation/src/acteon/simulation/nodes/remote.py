"""What nodes that are reached over HTTP have in common."""

from collections.abc import Sequence
from typing import cast

from acteon.client import AsyncActeonClient, AuditPage, AuditQuery, UnknownOutcome
from acteon.core import ActeonError, Action, ActionOutcome
from acteon.simulation.errors import NodeDownError, SimulationError
from acteon.simulation.nodes.node import Node, Result


class RemoteNode(Node):
    """A node that is asked by a client, as programs would."""

    _client: AsyncActeonClient | None

    @property
    def client(self) -> AsyncActeonClient:
        """A client of it.

        Raises:
            NodeDownError: It does not run.
        """
        if self._client is None:
            raise NodeDownError(f"{self.id} does not run: restart it")
        return self._client

    @property
    def is_running(self) -> bool:
        return self._client is not None

    async def dispatch(self, action: Action) -> ActionOutcome:
        outcome = await self.client.dispatch(action)
        if isinstance(outcome, UnknownOutcome):
            raise SimulationError(f"{self.id}: unknown outcome {outcome.name!r}")
        return outcome

    async def dispatch_batch(self, actions: Sequence[Action]) -> list[Result]:
        results: list[Result] = []
        for result in await self.client.dispatch_batch(actions):
            if result.error is None:
                results.append(cast("ActionOutcome", result.outcome))
            else:
                results.append(ItemFailedError(result.error.message, result.error.code))
        return results

    async def _close_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def query_audit(self, query: AuditQuery) -> AuditPage:
        return await self.client.query_audit(query)


class ItemFailedError(ActeonError):
    """An action of a batch reached no outcome; the text and `code` are the server's."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code
