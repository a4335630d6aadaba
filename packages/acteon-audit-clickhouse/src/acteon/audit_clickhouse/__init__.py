"""The audit trail in ClickHouse."""

from acteon.audit_clickhouse.config import ClickHouseAuditConfig
from acteon.audit_clickhouse.layout import Layout
from acteon.audit_clickhouse.opening import prepare
from acteon.audit_clickhouse.plugin import ClickHouseAuditPlugin
from acteon.audit_clickhouse.store import ClickHouseAuditStore

__all__ = [
    "ClickHouseAuditConfig",
    "ClickHouseAuditPlugin",
    "ClickHouseAuditStore",
    "Layout",
    "prepare",
]
