"""What a simulation's audit trail has, and what a test may insist on.

Everything that was dispatched before is in the trail when it is asked: nothing has to be waited
for.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final

from attrs import define, evolve

from acteon.client import AuditQuery, AuditRecord
from acteon.core import Action
from acteon.simulation.nodes import Node

_PAGE: Final = 1000
_SHOWN: Final = ("outcome", "verdict", "matched_rule", "provider", "tenant", "action_type")


@define(eq=False)
class SimulationAudit:
    """The audit trail of all nodes of a simulation together.

    Attributes:
        nodes: Those that are asked: one if they share a store, otherwise all of them.
        flush: Returns when all that has been answered is written.
    """

    nodes: Callable[[], Sequence[Node]]
    flush: Callable[[], Awaitable[None]]

    async def records(self, query: AuditQuery | None = None, **filters: Any) -> list[AuditRecord]:
        """Return all records that fit `query` and `filters`, its members, the newest first."""
        await self.flush()
        wanted = evolve(query or AuditQuery(), **filters)
        found: list[AuditRecord] = []
        for node in self.nodes():
            found += await _records(node, wanted)
        found.sort(key=lambda record: record.dispatched_at, reverse=True)
        return found[: wanted.limit]

    async def of(self, action: Action | str) -> list[AuditRecord]:
        """Return the records of `action`, or of the action of that id, the oldest first."""
        action_id = action if isinstance(action, str) else action.id
        every = await self.records(tenant=None if isinstance(action, str) else action.tenant)
        return [record for record in reversed(every) if record.action_id == action_id]

    async def count(self, **filters: Any) -> int:
        """Return how many records fit `filters`."""
        return len(await self.records(**filters))

    async def assert_audited(self, action: Action | str, **expected: Any) -> AuditRecord:
        """Return the last record of `action`, which has `expected` as its members.

        Raises:
            AssertionError: It has none, or its last one has not; the text shows both.
        """
        found = await self.of(action)
        action_id = action if isinstance(action, str) else action.id
        if not found:
            raise AssertionError(f"no audit record of action {action_id!r}")
        # Some stores keep milliseconds: of records of one instant nobody knows which is the last.
        last = [each for each in found if each.dispatched_at == found[-1].dispatched_at]
        differing: dict[str, tuple[Any, Any]] = {}
        for record in reversed(last):
            differing = {
                name: (value, getattr(record, name))
                for name, value in expected.items()
                if getattr(record, name) != value
            }
            if not differing:
                return record
        raise AssertionError(_differing(action_id, differing))

    async def assert_not_audited(self, action: Action | str) -> None:
        """Raise an `AssertionError` if `action` has a record."""
        found = await self.of(action)
        if found:
            raise AssertionError(f"expected no audit record, got{_listed(found)}")

    async def assert_audit_count(self, count: int, **filters: Any) -> None:
        """Raise an `AssertionError` unless exactly `count` records fit `filters`."""
        found = await self.records(**filters)
        if len(found) != count:
            wanted = ", ".join(f"{name}={value!r}" for name, value in filters.items())
            raise AssertionError(
                f"expected {count} audit records{f' with {wanted}' if wanted else ''}, "
                f"got {len(found)}{_listed(found)}"
            )

    async def assert_all_outcomes_audited(self, outcomes: Collection[str]) -> None:
        """Raise an `AssertionError` unless each of `outcomes` is that of a record."""
        there = {record.outcome for record in await self.records()}
        missing = sorted(set(outcomes) - there)
        if missing:
            raise AssertionError(
                f"expected records with the outcomes {missing}, got only {sorted(there)}"
            )


async def _records(node: Node, query: AuditQuery) -> list[AuditRecord]:
    """Return all records of `node` that fit, by offset: nothing is written meanwhile."""
    found: list[AuditRecord] = []
    while query.limit is None or len(found) < query.limit:
        page = await node.query_audit(
            evolve(query, limit=_PAGE, offset=len(found) + (query.offset or 0))
        )
        found += page.records
        if len(page.records) < _PAGE:
            break
    return found


def _differing(action_id: str, differing: Mapping[str, tuple[Any, Any]]) -> str:
    lines = [f"the audit record of action {action_id!r} differs:"]
    lines += [
        f"  {name}: expected {expected!r}, got {got!r}"
        for name, (expected, got) in differing.items()
    ]
    return "\n".join(lines)


def _listed(records: Sequence[AuditRecord]) -> str:
    shown = [
        "\n  " + ", ".join(f"{name}={getattr(record, name)!r}" for name in _SHOWN)
        for record in records[:10]
    ]
    more = f"\n  and {len(records) - 10} more" if len(records) > 10 else ""
    return "".join([":" if shown else "", *shown, more])
