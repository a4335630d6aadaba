"""The audit trail as a gateway uses it: what to keep of a dispatch, and where it goes."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from acteon.audit.acts import Act, Done
from acteon.audit.erasing import Erased, Erasure
from acteon.audit.errors import AuditError, AuditStorageError
from acteon.audit.hiding import Hide, hiding
from acteon.audit.query import AuditPage, AuditQuery, Scope, consistent
from acteon.audit.record import AuditRecord
from acteon.audit.redaction import PLACEHOLDER
from acteon.audit.settings import AuditSettings
from acteon.audit.store import AuditStore
from acteon.audit.walking import whole_page
from acteon.audit.writer import AuditWriter
from acteon.core import (
    NOBODY,
    SYSTEM_CLOCK,
    Caller,
    Clock,
    InvalidError,
    encode_json,
    encode_told,
)

log = logging.getLogger(__name__)

FIRST_CLEAN_UP: Final = timedelta(minutes=1)
"""After the start; unless the interval is shorter."""
UNENCODABLE: Final = b'"[UNENCODABLE]"'
"""Kept in place of a payload that JSON has no form for, or that is nested too deep."""


class Kept(NamedTuple):
    """What is kept of a part of an action.

    Attributes:
        json: It, encoded; None: nothing is.
        redacted: Whether something in it is blotted out.
    """

    json: bytes | None
    redacted: bool = False


NO_LABELS: Final = Kept(b"{}")


class AuditTrail:
    """Records dispatches and answers questions about them.

    Entering the trail starts its writer and the regular removal of expired records; leaving it
    writes what is queued, so leave it under a time limit. The store is its opener's to close.

    Args:
        store: Where the records are kept.
        settings: What is kept, and how it gets there.
        clock: Measures the pauses.
        chance: Gives numbers from 0 to 1 that keep the nodes of a fleet from cleaning up at
            the same moment.
    """

    def __init__(
        self,
        store: AuditStore,
        settings: AuditSettings | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._settings = settings or AuditSettings()
        self._clock = clock
        self._chance = chance
        self._writer = AuditWriter(store, self._settings, clock=clock)
        self._open = AsyncExitStack()
        self._erasing = asyncio.Semaphore(1)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._writer)
            group = await stack.enter_async_context(asyncio.TaskGroup())
            cleaner = group.create_task(self._clean_up(), name="acteon-audit-clean-up")
            stack.callback(cleaner.cancel)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Not told of the error, which a task group would wrap into a group of its own.
        await self._open.aclose()

    @property
    def queued(self) -> int:
        """How many records are on their way into the store."""
        return self._writer.queued

    @property
    def written(self) -> int:
        """How many records the store has taken."""
        return self._writer.written

    @property
    def dropped(self) -> int:
        """How many records were given up."""
        return self._writer.dropped

    @property
    def failed_writes(self) -> int:
        """How many writes have failed, those that later succeeded included."""
        return self._writer.failed_writes

    def payload(self, value: Any) -> Kept:
        """Return what is kept of the payload `value`: redacted, as JSON; None if nothing is.

        Never raises: `UNENCODABLE` stands for what cannot be encoded.
        """
        if not self._settings.store_payload:
            return Kept(None)
        redaction = self._settings.redaction
        told = value if redaction is None else redaction.apply(value)
        try:
            return Kept(encode_json(told), told is not value)
        except InvalidError:
            return Kept(UNENCODABLE)

    def labels(self, metadata: Mapping[str, str]) -> Kept:
        """Return what is kept of the labels of an action; never raises."""
        if not metadata:
            return NO_LABELS
        redaction = self._settings.redaction
        labels = metadata if isinstance(metadata, dict) else dict(metadata)
        told = labels
        if redaction is not None and redaction.metadata:
            told = redaction.apply(labels)
        return Kept(encode_told(told), told is not labels)

    def hiding(self, payloads: Callable[[], Iterable[Any]], metadata: Mapping[str, str]) -> Hide:
        """Return what takes out of texts the secrets of an action, as far as that is asked for.

        Args:
            payloads: Gives the payload, and others that were made of it.
            metadata: The action's labels.
        """
        redaction = self._settings.redaction
        if redaction is None or not redaction.texts:
            return _as_it_is
        return hiding(redaction, payloads(), metadata)

    @property
    def placeholders(self) -> frozenset[str]:
        """The texts that stand in records in place of what is not told."""
        redaction = self._settings.redaction
        return frozenset({PLACEHOLDER, PLACEHOLDER if redaction is None else redaction.placeholder})

    def expiry(self, dispatched_at: datetime) -> datetime | None:
        """Return when the record of a dispatch expires; None: never, or after the year 9999."""
        ttl = self._settings.ttl
        try:
            return None if ttl is None else dispatched_at + ttl
        except OverflowError:
            return None

    def take(self, record: AuditRecord) -> bool:
        """Keep `record` if that needs no waiting, as `AuditWriter.take` does."""
        return self._writer.take(record)

    async def record(self, record: AuditRecord) -> None:
        """See to it that `record` is kept, as `AuditWriter.record` does."""
        await self._writer.record(record)

    @asynccontextmanager
    async def telling(
        self, act: Act, caller: Caller, *, namespace: str = "", tenant: str = ""
    ) -> AsyncGenerator[dict[str, Any]]:
        """Record that the block does `act` on behalf of `caller`, even if it fails.

        What it puts into the dictionary that it is given is told, too: no secrets.

        Args:
            act: What it does.
            caller: Who wants it.
            namespace: The one that it is confined to, if to any.
            tenant: Likewise.
        """
        at, started = self._clock.now(), self._clock.monotonic()
        details: dict[str, Any] = {}

        async def tell(error: str | None) -> None:
            done = Done(
                act=act,
                caller=caller,
                at=at,
                took=timedelta(seconds=self._clock.monotonic() - started),
                details=details,
                namespace=namespace,
                tenant=tenant,
                error=error,
            )
            await self.record(done.record(self.expiry(at)))

        try:
            yield details
        except BaseException as error:
            await tell(str(error) if isinstance(error, AuditError) else type(error).__name__)
            raise
        await tell(None)

    async def get(self, record_id: str) -> AuditRecord | None:
        """Return the record of that id, or None, what was recorded before included."""
        await self._catch_up()
        return await self._store.get(record_id)

    async def latest(
        self, action_id: str, *, scopes: tuple[Scope, ...] | None = None
    ) -> AuditRecord | None:
        """Return the newest record of that action that one of `scopes` covers (None: any)."""
        await self._catch_up()
        return await self._store.latest(action_id, scopes=scopes)

    async def query(self, query: AuditQuery) -> AuditPage:
        """Return the records that `query` asks for, what was recorded before included.

        Raises:
            AuditError: The store failed.
            AuditQueryError: The page would be too large for the memory, or the store.
        """
        await self._catch_up()
        return consistent(await whole_page(self._store, query), query)

    async def erase(
        self,
        query: AuditQuery,
        *,
        path: str | None = None,
        value: Any = None,
        dry_run: bool = False,
        caller: Caller = NOBODY,
        tenant: str | None = None,
    ) -> Erased:
        """Remove the payloads of all records that fit, for good; what else they tell stays.

        The erasure is recorded itself, without the value. There is one at a time in a process. If
        it fails, or its caller is cancelled, some are removed; doing it again is harmless. It does
        not see what is still in the queues of other processes.

        Args:
            query: The filters; `after`, `limit` and `offset` mean nothing here.
            path: Of the payloads, only those with `value` in a member that this means: a name or
                a dotted path, as redaction has them.
            value: What that member is, or has in a list: anything that JSON can say.
            dry_run: Whether to count only, and record nothing.
            caller: Who wants it.
            tenant: The tenant whose people may see that it was done; None: that of the query.

        Raises:
            AuditError: The store failed.
            ValueError: There is no filter and no path.
        """
        erasure = Erasure(query, path, value)
        async with self._erasing, AsyncExitStack() as stack:
            if not dry_run:
                telling = self.telling(
                    Act.ERASE,
                    caller,
                    namespace=query.namespace or "",
                    tenant=(query.tenant if tenant is None else tenant) or "",
                )
                details = await stack.enter_async_context(telling)
                stack.callback(lambda: details.update(erasure.told()))
            await self._flush_all()
            await erasure.run(self._store, dry_run=dry_run)
        return Erased(erasure.matched, erasure.erased)

    async def _flush_all(self) -> None:
        """Write what is queued; raise if that cannot be done: it would be overlooked."""
        limit = self._settings.write_limit.total_seconds()
        try:
            async with asyncio.timeout(limit):
                written = await self._writer.flush()
        except TimeoutError:
            written = False
        if not written:
            raise AuditStorageError(
                f"{self.queued} records still wait to be written; nothing was erased, try again"
            )

    @property
    def failing(self) -> bool:
        """Whether the last write has failed, and is tried again."""
        return self._writer.failing

    async def flush(self) -> None:
        """Return when all that was recorded before is written or dropped, or the store fails."""
        await self._writer.flush()

    async def ping(self) -> None:
        """Return if the store answers; raise `AuditError` if it does not."""
        await self._store.ping()

    async def _catch_up(self) -> None:
        """Write what is queued, for a reader; a slow store does not keep them from reading."""
        try:
            async with asyncio.timeout(self._settings.flush_limit.total_seconds()):
                await self._writer.flush()
        except TimeoutError:
            log.warning(
                "audit query may lack the newest records", extra={"acteon.queued": self.queued}
            )

    async def _clean_up(self) -> None:
        """Remove expired records, for ever; the first time soon, however short we may live."""
        interval = self._settings.cleanup_interval
        pause = min(interval, FIRST_CLEAN_UP)
        while True:
            await self._clock.sleep(pause * (0.9 + 0.2 * self._chance()))
            pause = interval
            try:
                async with asyncio.timeout(interval.total_seconds()):
                    removed = await self._store.clean_up(self._clock.now())
            except Exception as error:  # It is tried again after the next interval.
                known = isinstance(error, AuditError | TimeoutError)
                log.warning(
                    "audit clean-up failed",
                    extra={"acteon.error": f"{type(error).__name__}: {error}"},
                    exc_info=None if known else error,
                )
            else:
                if removed:
                    log.info(
                        "audit clean-up removed expired records",
                        extra={"acteon.removed": removed},
                    )


def _as_it_is(text: str) -> str:
    return text
