"""What `backend = "memory"` in `[audit]` opens."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from attrs import field, frozen
from attrs.validators import ge

from acteon.audit import AuditPlugin, AuditStore
from acteon.audit_memory.store import MAX_BYTES, MAX_RECORDS, MemoryAuditStore


@frozen(kw_only=True)
class MemoryAuditConfig:
    """The keys of `[audit]` that are this backend's.

    Attributes:
        max_records: At most so many records are kept; the oldest go first.
        max_bytes: About the most memory that they take; the oldest go first.
    """

    max_records: int = field(default=MAX_RECORDS, validator=ge(1))
    max_bytes: int = field(default=MAX_BYTES, validator=ge(1024 * 1024))


class MemoryAuditPlugin(AuditPlugin):
    """The backend `memory`."""

    Config: ClassVar[type[Any]] = MemoryAuditConfig
    kit = "1"

    @classmethod
    @asynccontextmanager
    async def open(cls, config: MemoryAuditConfig) -> AsyncGenerator[AuditStore]:
        yield MemoryAuditStore(config.max_records, config.max_bytes)
