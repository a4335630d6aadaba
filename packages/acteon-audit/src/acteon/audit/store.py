"""The interfaces of the authors of audit backends: a store, and the plugin that opens it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, ClassVar

from acteon.audit.query import AuditPage, AuditQuery, Scope
from acteon.audit.record import AuditRecord


class AuditStore(ABC):
    """Keeps audit records. Every method is safe for concurrent use and may raise `AuditError`."""

    @abstractmethod
    async def write(self, records: Sequence[AuditRecord]) -> None:
        """Keep all of `records`; one whose id is kept already is left as it is.

        Raises:
            AuditStorageError: Any number of them may have been kept; writing again is harmless.
            AuditSerializationError: At least one of them can never be kept.
        """

    @abstractmethod
    async def get(self, record_id: str) -> AuditRecord | None:
        """Return the record of that id, or None."""

    @abstractmethod
    async def latest(
        self, action_id: str, *, scopes: tuple[Scope, ...] | None = None
    ) -> AuditRecord | None:
        """Return the newest record of that action that one of `scopes` covers (None: any)."""

    @abstractmethod
    async def query(self, query: AuditQuery) -> AuditPage:
        """Return the records that `query` asks for.

        Raises:
            AuditQueryError: It asks for more than the store can give at once.
        """

    @abstractmethod
    async def clean_up(self, now: datetime) -> int:
        """Remove the records whose `expires_at` is not after `now`; return how many there were.

        Until then they are found like others.
        """

    @abstractmethod
    async def erase(self, record_ids: Sequence[str]) -> int:
        """Remove the payloads of these records for good; return how many of them had one.

        What else they hold stays, and they are found as before, with `action_payload` None.
        Ids that are not there, and payloads that are gone already, do no harm. When this returns
        no answer of the store has these payloads any more.
        """

    async def refresh(self) -> None:
        """Have queries see all that any process has written; most stores show it at once."""
        return

    async def ping(self) -> None:
        """Return if the store answers; raise `AuditError` if it does not."""
        await self.query(AuditQuery(limit=1))


class AuditPlugin(ABC):
    """What a package registers in the entry-point group `acteon.audit`; its name is the backend's.

    Attributes:
        Config: An attrs class of the keys of `[audit]` that are the backend's own.
        kit: The version of the conformance kit (`AUDIT_KIT` of `acteon.audit.testing`) that the
            backend passed; None: it does not say.
    """

    Config: ClassVar[type[Any]]
    kit: ClassVar[str | None] = None

    @classmethod
    @abstractmethod
    def open(cls, config: Any) -> AbstractAsyncContextManager[AuditStore]:
        """Return what opens the store for `config`, an instance of `Config`, and closes it.

        Raises:
            ConfigError: On entering: the configuration cannot be used.
            AuditError: On entering: the store cannot be reached.
        """
