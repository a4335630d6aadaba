"""How PostgreSQL finds what is asked for."""

from datetime import timedelta

import psycopg
import pytest
from attrs import evolve

from acteon.audit import AuditQuery, AuditStore, Position, Scope
from acteon.audit.testing import NOON, make_record
from acteon.audit_postgres import Layout, PostgresAuditConfig
from acteon.audit_postgres.paging import page_statement
from servers.process import Server

pytestmark = pytest.mark.server

INDEXES = [
    (AuditQuery(), "dispatched_at_idx"),
    (AuditQuery(since=NOON - timedelta(days=1)), "dispatched_at_idx"),
    (AuditQuery(namespace="x"), "namespace_dispatched_at_idx"),
    (AuditQuery(tenant="x"), "tenant_dispatched_at_idx"),
    (AuditQuery(scopes=(Scope(tenants=frozenset("x")),)), "tenant_dispatched_at_idx"),
    (AuditQuery(provider="x"), "provider_dispatched_at_idx"),
    (AuditQuery(action_type="x"), "action_type_dispatched_at_idx"),
    (AuditQuery(outcome="x"), "outcome_dispatched_at_idx"),
    (AuditQuery(verdict="x"), "verdict_dispatched_at_idx"),
    (AuditQuery(matched_rule="x"), "matched_rule_dispatched_at_idx"),
    (AuditQuery(caller_id="x"), "caller_id_dispatched_at_idx"),
]


@pytest.mark.parametrize(("query", "index"), INDEXES)
@pytest.mark.parametrize("after", [None, Position(NOON, "x")])
async def test_an_index_gives_the_rows_of_a_page_in_their_order(
    server: Server,
    store: AuditStore,
    config: PostgresAuditConfig,
    query: AuditQuery,
    index: str,
    after: Position | None,
) -> None:
    await store.write([make_record()])
    query = evolve(query, after=after)
    statement, parameters = page_statement(query, count=False)
    with psycopg.connect(server.url) as connection:
        # Of a table with so few rows PostgreSQL would read all.
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET enable_bitmapscan = off")
        explained = connection.execute(
            b"EXPLAIN " + Layout.of(config).statement(statement), parameters
        )
        plan = "\n".join(line for (line,) in explained)
    assert f"{config.prefix}_audit_2025_01_{index} on" in plan
    page = plan[plan.index("CTE page") :]
    # What is equal is sorted, and nothing else.
    assert "Presorted Key: audit.dispatched_at" in page, plan
