"""The backend `postgres`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from acteon.audit import AuditPlugin, AuditStore
from acteon.audit_postgres.config import PostgresAuditConfig
from acteon.audit_postgres.errors import translating
from acteon.audit_postgres.layout import Layout
from acteon.audit_postgres.schema import prepare
from acteon.audit_postgres.store import PostgresAuditStore
from acteon.state_postgres import Connections


class PostgresAuditPlugin(AuditPlugin):
    """Opens the store, making its table when it is missing."""

    Config: ClassVar[type[Any]] = PostgresAuditConfig
    kit = "1"

    @classmethod
    @asynccontextmanager
    async def open(cls, config: PostgresAuditConfig) -> AsyncGenerator[AuditStore]:
        layout = Layout.of(config)
        async with Connections(config, what="audit store") as connections:
            with translating():
                await prepare(connections, layout)
            store = PostgresAuditStore(connections, layout)
            await store.make_ahead()
            yield store
