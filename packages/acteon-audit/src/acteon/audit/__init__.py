"""The audit trail: what was dispatched, what came of it, and why."""

from acteon.audit.acts import Act, Done, is_administrative
from acteon.audit.erasing import Erased, given_filters
from acteon.audit.errors import (
    AuditError,
    AuditQueryError,
    AuditSerializationError,
    AuditStorageError,
)
from acteon.audit.naming import atoms
from acteon.audit.query import (
    DEFAULT_LIMIT,
    EQUAL,
    FILTERS,
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
from acteon.audit.walking import walk, walk_pages
from acteon.audit.writer import AuditWriter

__all__ = [
    "DEFAULT_LIMIT",
    "EQUAL",
    "FILTERS",
    "MAX_LIMIT",
    "PLACEHOLDER",
    "UNENCODABLE",
    "Act",
    "AuditError",
    "AuditPage",
    "AuditPlugin",
    "AuditQuery",
    "AuditQueryError",
    "AuditRecord",
    "AuditSerializationError",
    "AuditSettings",
    "AuditStorageError",
    "AuditStore",
    "AuditTrail",
    "AuditWriter",
    "Done",
    "Erased",
    "Position",
    "Redaction",
    "Scope",
    "atoms",
    "given_filters",
    "is_administrative",
    "walk",
    "walk_pages",
]
