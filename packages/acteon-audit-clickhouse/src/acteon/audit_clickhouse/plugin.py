"""The backend `clickhouse`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar

from acteon.audit import AuditPlugin, AuditStore
from acteon.audit_clickhouse.config import ClickHouseAuditConfig
from acteon.audit_clickhouse.errors import opening
from acteon.audit_clickhouse.layout import Layout
from acteon.audit_clickhouse.opening import prepare
from acteon.audit_clickhouse.store import ClickHouseAuditStore
from acteon.state_clickhouse import Calls


class ClickHouseAuditPlugin(AuditPlugin):
    """Opens the store, making its table when it is missing."""

    Config: ClassVar[type[Any]] = ClickHouseAuditConfig
    kit = "1"

    @classmethod
    @asynccontextmanager
    async def open(cls, config: ClickHouseAuditConfig) -> AsyncGenerator[AuditStore]:
        config.check_files()
        async with Calls(config, what="audit store") as calls:
            with opening():
                version = await calls.version()
            layout = Layout.of(config, version)
            await prepare(calls, layout)
            yield ClickHouseAuditStore(
                calls,
                layout,
                limit=timedelta(seconds=config.command_timeout_seconds),
                patience=timedelta(seconds=config.clean_up_timeout_seconds),
            )
