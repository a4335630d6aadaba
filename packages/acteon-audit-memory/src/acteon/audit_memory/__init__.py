"""An audit trail in the memory of one process: bounded, and gone with it."""

from acteon.audit_memory.plugin import MemoryAuditConfig, MemoryAuditPlugin
from acteon.audit_memory.store import MAX_BYTES, MAX_RECORDS, MemoryAuditStore

__all__ = [
    "MAX_BYTES",
    "MAX_RECORDS",
    "MemoryAuditConfig",
    "MemoryAuditPlugin",
    "MemoryAuditStore",
]
