"""The audit trail in PostgreSQL."""

from acteon.audit_postgres.config import PostgresAuditConfig
from acteon.audit_postgres.layout import Layout
from acteon.audit_postgres.plugin import PostgresAuditPlugin
from acteon.audit_postgres.store import PostgresAuditStore

__all__ = ["Layout", "PostgresAuditConfig", "PostgresAuditPlugin", "PostgresAuditStore"]
