"""What the server is asked."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from attrs import define, field

from acteon.audit import AuditQuery, Position
from acteon.audit.testing import NOON, make_record
from acteon.audit_clickhouse import ClickHouseAuditStore
from acteon.state_clickhouse import Answer, Engine

pytestmark = pytest.mark.server


@define(eq=False)
class Recording(Engine):
    """Passes on what it is told, and remembers it."""

    inner: Engine
    asked: list[str] = field(factory=list[str])

    async def ask(self, statement: str) -> Answer:
        self.asked.append(statement)
        return await self.inner.ask(statement)

    async def insert(self, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
        await self.inner.insert(table, columns, rows)


async def test_the_server_gives_up_every_search_in_time(store: ClickHouseAuditStore) -> None:
    engine = Recording(store.engine)
    store = ClickHouseAuditStore(engine, store.layout, limit=timedelta(seconds=10))
    old = make_record(expires_at=NOON, dispatched_at=NOON - timedelta(days=100))
    one = make_record(expires_at=NOON)
    await store.write([old, one])

    await store.get(one.id)
    await store.latest(one.action_id)
    await store.query(AuditQuery(offset=1, after=Position(NOON, "x")))
    await store.erase([one.id])
    assert await store.clean_up(NOON) == 2

    of_records = [
        statement
        for statement in engine.asked
        if statement.startswith("SELECT") and f"FROM {store.layout.table}" in statement
    ]
    # A page in each of three windows, its total, and so on.
    assert len(of_records) >= 10
    for statement in of_records:
        assert statement.endswith("SETTINGS max_execution_time = 9"), statement
