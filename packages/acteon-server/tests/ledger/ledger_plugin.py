"""Somebody else's audit store: a file that outlives the process, and may be made to fail."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from attrs import field, frozen

from acteon.audit import (
    AuditPage,
    AuditPlugin,
    AuditQuery,
    AuditRecord,
    AuditStorageError,
    AuditStore,
    Scope,
)
from acteon.audit.testing import PlainAuditStore
from acteon.core import parse_instant


@frozen
class LedgerConfig:
    """Where the file is.

    Attributes:
        fails_at: Which query of a process fails, counted from 1; 0: none.
        halts_at: Which query of a process never ends; 0: none.
        fails_to_write: Whether writes do.
    """

    path: Path
    fails_at: int = 0
    halts_at: int = 0
    fails_to_write: bool = False
    password: str = field(default="", repr=False)


class LedgerStore(PlainAuditStore):
    """Keeps all records in the file as JSON lines, and reads it anew each time."""

    def __init__(self, config: LedgerConfig) -> None:
        super().__init__()
        self.config = config
        self.queries = 0

    async def write(self, records: Sequence[AuditRecord]) -> None:
        if self.config.fails_to_write:
            raise AuditStorageError("the ledger is closed")
        self._load()
        await super().write(records)
        self._save()

    async def query(self, query: AuditQuery) -> AuditPage:
        self.queries += 1
        if self.queries == self.config.fails_at:
            raise AuditStorageError(f"the ledger is torn, says {self.config.password}")
        if self.queries == self.config.halts_at:
            self.config.path.with_name("halted").touch()
            await asyncio.Event().wait()
        self._load()
        return await super().query(query)

    async def latest(
        self, action_id: str, *, scopes: tuple[Scope, ...] | None = None
    ) -> AuditRecord | None:
        self._load()
        return await super().latest(action_id, scopes=scopes)

    async def clean_up(self, now: datetime) -> int:
        self._load()
        removed = await super().clean_up(now)
        self._save()
        return removed

    async def erase(self, record_ids: Sequence[str]) -> int:
        self._load()
        erased = await super().erase(record_ids)
        self._save()
        return erased

    def _load(self) -> None:
        self.records = {}
        if self.config.path.exists():
            for line in self.config.path.read_bytes().splitlines():
                record = _record(line)
                self.records[record.id] = record

    def _save(self) -> None:
        lines = (record.to_json() + b"\n" for record in self.records.values())
        self.config.path.write_bytes(b"".join(lines))


def _record(line: bytes) -> AuditRecord:
    members: dict[str, Any] = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    raw = ("action_payload", "verdict_details", "outcome_details", "metadata")
    for name, text in members.items():
        if name not in raw:
            members[name] = msgspec.json.decode(text)
        else:
            members[name] = None if bytes(text) == b"null" else bytes(text)
        if name in ("dispatched_at", "completed_at", "expires_at") and members[name]:
            members[name] = parse_instant(members[name])
    return AuditRecord(**members)


class LedgerPlugin(AuditPlugin):
    """Opens a ledger."""

    Config: ClassVar[type[Any]] = LedgerConfig

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Any) -> AsyncGenerator[AuditStore]:
        if not config.path.parent.is_dir():
            raise AuditStorageError(f"no ledger at {config.path} with {config.password}")
        yield LedgerStore(config)
