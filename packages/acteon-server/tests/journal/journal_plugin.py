"""Somebody else's audit store: a file with a line for each record, which outlives the process."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from attrs import frozen

from acteon.audit import AuditPage, AuditPlugin, AuditQuery, AuditRecord, AuditStore, Scope


@frozen
class JournalConfig:
    """Where the file is."""

    path: Path


@frozen
class JournalStore(AuditStore):
    """Writes records and never reads them."""

    path: Path

    async def write(self, records: Sequence[AuditRecord]) -> None:
        with self.path.open("ab") as file:
            file.writelines(record.to_json() + b"\n" for record in records)

    async def get(self, record_id: str) -> AuditRecord | None:
        return None

    async def latest(
        self, action_id: str, *, scopes: tuple[Scope, ...] | None = None
    ) -> AuditRecord | None:
        return None

    async def query(self, query: AuditQuery) -> AuditPage:
        return AuditPage(records=(), total=0, limit=query.limit, offset=query.offset)

    async def clean_up(self, now: object) -> int:
        return 0

    async def erase(self, record_ids: Sequence[str]) -> int:
        return 0


class JournalPlugin(AuditPlugin):
    """Opens a journal."""

    Config: ClassVar[type[Any]] = JournalConfig

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Any) -> AsyncGenerator[AuditStore]:
        yield JournalStore(config.path)
