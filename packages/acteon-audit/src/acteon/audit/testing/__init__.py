"""For the tests of audit stores and of what uses them: a conformance suite, records, stores."""

from acteon.audit.testing.conformance import AUDIT_KIT, AuditStoreConformance
from acteon.audit.testing.records import NOON, make_record, queries, records
from acteon.audit.testing.stores import PlainAuditStore, UnreliableAuditStore

__all__ = [
    "AUDIT_KIT",
    "NOON",
    "AuditStoreConformance",
    "PlainAuditStore",
    "UnreliableAuditStore",
    "make_record",
    "queries",
    "records",
]
