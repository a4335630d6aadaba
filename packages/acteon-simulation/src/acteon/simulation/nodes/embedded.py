"""A node that is a gateway in this process."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from attrs import define, field

from acteon.audit import AuditQuery as StoreQuery
from acteon.audit import AuditRecord as StoredRecord
from acteon.client import AuditPage, AuditQuery, AuditRecord
from acteon.core import Action, ActionOutcome
from acteon.gateway import Gateway, Opening
from acteon.simulation.errors import NodeDownError, SimulationError
from acteon.simulation.nodes.node import Node, Result
from acteon.simulation.owning import Owner

_LIMIT: Final = 50
"""Records on a page, as servers have it."""


@define(eq=False)
class EmbeddedNode(Node):
    """A gateway in this process, called directly.

    Attributes:
        id: As with all nodes.
        opening: Returns what opens the gateway, each time anew.
        url: None.
    """

    id: str
    opening: Callable[[], Opening[Gateway]]
    url: str | None = field(default=None, init=False)
    _gateway: Gateway | None = field(default=None, init=False)
    _owner: Owner[Gateway] | None = field(default=None, init=False)

    @property
    def gateway(self) -> Gateway:
        """The gateway itself.

        Raises:
            NodeDownError: It is not open.
        """
        if self._gateway is None:
            raise NodeDownError(f"{self.id} is stopped: start it, or restart it")
        return self._gateway

    @property
    def is_running(self) -> bool:
        return self._gateway is not None

    async def start(self) -> None:
        self._owner = Owner(self.opening())
        self._gateway = await self._owner.start()

    async def stop(self) -> None:
        owner, self._owner, self._gateway = self._owner, None, None
        if owner is not None:
            await owner.stop()

    async def dispatch(self, action: Action) -> ActionOutcome:
        return await self.gateway.dispatch(action)

    async def dispatch_batch(self, actions: Sequence[Action]) -> list[Result]:
        return list(await self.gateway.dispatch_batch(actions))

    async def query_audit(self, query: AuditQuery) -> AuditPage:
        if self.gateway.audit is None:
            raise SimulationError("there is no audit trail: the simulation has audit=None")
        page = await self.gateway.audit.query(_store_query(query))
        return AuditPage(
            records=tuple(client_record(record) for record in page.records),
            total=page.total,
            limit=page.limit,
            offset=page.offset,
        )

    async def flush(self) -> None:
        if self.gateway.audit is not None:
            await self.gateway.audit.flush()


def _store_query(query: AuditQuery) -> StoreQuery:
    if query.cursor is not None:
        raise SimulationError("cursor: embedded gateways have none: use offset, or mode='http'")
    return StoreQuery(
        namespace=query.namespace,
        tenant=query.tenant,
        provider=query.provider,
        action_type=query.action_type,
        outcome=query.outcome,
        verdict=query.verdict,
        matched_rule=query.matched_rule,
        caller_id=query.caller_id,
        since=query.since,
        until=query.until,
        limit=_LIMIT if query.limit is None else query.limit,
        offset=query.offset or 0,
    )


def client_record(record: StoredRecord) -> AuditRecord:
    """Return `record` as a client has it."""
    return AuditRecord(
        id=record.id,
        action_id=record.action_id,
        namespace=record.namespace,
        tenant=record.tenant,
        provider=record.provider,
        action_type=record.action_type,
        verdict=record.verdict,
        matched_rule=record.matched_rule,
        outcome=record.outcome,
        action_payload=_decoded(record.action_payload),
        verdict_details=_decoded(record.verdict_details),
        outcome_details=_decoded(record.outcome_details),
        metadata=_decoded(record.metadata),
        dispatched_at=record.dispatched_at,
        completed_at=record.completed_at,
        duration_ms=record.duration_ms,
        expires_at=record.expires_at,
        caller_id=record.caller_id,
        auth_method=record.auth_method,
    )


def _decoded(text: bytes | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
