"""The audit trail: what was dispatched, what came of it, and why."""

from acteon.audit.errors import AuditError, AuditSerializationError, AuditStorageError
from acteon.audit.query import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    AuditPage,
    AuditQuery,
    Position,
    Scope,
)
from acteon.audit.record import AuditRecord
from acteon.audit.redaction import PLACEHOLDER, Redaction
from acteon.audit.settings import AuditSettings
from acteon.audit.store import AuditPlugin, AuditStore
from acteon.audit.trail import UNENCODABLE, AuditTrail
from acteon.audit.writer import AuditWriter

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "PLACEHOLDER",
    "UNENCODABLE",
    "AuditError",
    "AuditPage",
    "AuditPlugin",
    "AuditQuery",
    "AuditRecord",
    "AuditSerializationError",
    "AuditSettings",
    "AuditStorageError",
    "AuditStore",
    "AuditTrail",
    "AuditWriter",
    "Position",
    "Redaction",
    "Scope",
]
