"""The backend `elasticsearch`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from acteon.audit import AuditPlugin, AuditStore
from acteon.audit_elasticsearch.calls import Calls
from acteon.audit_elasticsearch.config import ElasticsearchAuditConfig
from acteon.audit_elasticsearch.errors import RefusedError
from acteon.audit_elasticsearch.layout import Layout
from acteon.audit_elasticsearch.store import ElasticsearchAuditStore
from acteon.core import ConfigError


class ElasticsearchAuditPlugin(AuditPlugin):
    """Opens the store, making its index when it is missing."""

    Config: ClassVar[type[Any]] = ElasticsearchAuditConfig
    kit = "1"

    @classmethod
    @asynccontextmanager
    async def open(cls, config: ElasticsearchAuditConfig) -> AsyncGenerator[AuditStore]:
        layout = Layout.of(config.prefix)
        async with Calls(config) as calls:
            try:
                await layout.prepare(calls)
            except RefusedError as error:
                raise ConfigError(str(error)) from None
            yield ElasticsearchAuditStore(calls, layout)
