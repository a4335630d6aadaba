"""An audit store in the memory of one process."""

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Final

from acteon.audit import AuditPage, AuditQuery, AuditRecord, AuditStore, Scope
from acteon.audit.query import EQUAL
from acteon.audit_memory.timeline import Entry, Timeline

log = logging.getLogger(__name__)

MAX_RECORDS: Final = 100_000
MAX_BYTES: Final = 256 * 1024 * 1024

_MEMBERS: Final = (  # the first two are the order of records
    "dispatched_at",
    "id",
    "action_id",
    "namespace",
    "tenant",
    "provider",
    "action_type",
    "verdict",
    "matched_rule",
    "outcome",
    "action_payload",
    "verdict_details",
    "outcome_details",
    "metadata",
    "completed_at",
    "duration_ms",
    "expires_at",
    "caller_id",
    "auth_method",
)
_SIZE: Final = len(_MEMBERS)
"""Behind its members an entry has the size of the record."""
_AT: Final = {name: index for index, name in enumerate(_MEMBERS)}
_ID: Final = _AT["id"]
_ACTION: Final = _AT["action_id"]
_NAMESPACE: Final = _AT["namespace"]
_TENANT: Final = _AT["tenant"]
_ACTION_TYPE: Final = _AT["action_type"]
_PAYLOAD: Final = _AT["action_payload"]
_EXPIRES: Final = _AT["expires_at"]
_SLICE: Final = 5000
"""So many entries are looked at before others get their turn; about a millisecond."""
_REMOVALS: Final = 500
"""The same for removals."""

_entry: Callable[[AuditRecord], Entry] = attrgetter(*_MEMBERS, "size")
_by_dispatch = itemgetter(0, _ID)
_by_expiry = itemgetter(_EXPIRES, _ID)


class MemoryAuditStore(AuditStore):
    """Keeps the newest records, up to a number and a size, as long as the process runs.

    Args:
        max_records: At most so many are kept; for more, the oldest are dropped.
        max_bytes: The same for the memory that they take, about. One that takes more by itself is
            dropped, and no other one for it.

    Attributes:
        dropped: How many records were dropped for want of room.
    """

    def __init__(self, max_records: int = MAX_RECORDS, max_bytes: int = MAX_BYTES) -> None:
        self.dropped = 0
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._bytes = 0
        self._by_id: dict[str, Entry] = {}
        # An action is seldom dispatched twice, and a list for each would be a lot of lists. The
        # ids of records will do: texts in a dict are nothing to the garbage collector.
        self._single: dict[str, str] = {}
        self._repeated: dict[str, Timeline] = {}
        self._in_order = Timeline(_by_dispatch)
        self._expiring = Timeline(_by_expiry)

    def __len__(self) -> int:
        return len(self._by_id)

    async def write(self, records: Sequence[AuditRecord]) -> None:
        for record in records:
            if record.id in self._by_id:
                continue
            entry = _entry(record)
            if entry[_SIZE] > self._max_bytes:  # All others would make room for nothing.
                self._drop()
                continue
            self._add(entry)
            while len(self._by_id) > self._max_records or self._bytes > self._max_bytes:
                self._remove(self._in_order.first)
                self._drop()

    def _drop(self) -> None:
        if not self.dropped:
            log.info(
                "the audit store in memory is full, the oldest records make room",
                extra={
                    "acteon.max_records": self._max_records,
                    "acteon.max_bytes": self._max_bytes,
                },
            )
        self.dropped += 1

    async def get(self, record_id: str) -> AuditRecord | None:
        entry = self._by_id.get(record_id)
        return None if entry is None else _record(entry)

    async def latest(
        self, action_id: str, *, scopes: tuple[Scope, ...] | None = None
    ) -> AuditRecord | None:
        for entry in self._of_action(action_id):
            if scopes is None or _covered(entry, scopes):
                return _record(entry)
        return None

    async def query(self, query: AuditQuery) -> AuditPage:
        candidates = self._in_order.between(query.since, query.until)
        wanted = [(_AT[name], text) for name in EQUAL if (text := getattr(query, name)) is not None]
        fitting: list[Entry] = [] if wanted or query.scopes is not None else candidates
        if fitting is not candidates:
            for start in range(0, len(candidates), _SLICE):
                part = candidates[start : start + _SLICE]
                for index, text in wanted:
                    part = [entry for entry in part if entry[index] == text]
                if query.scopes is not None:
                    part = [entry for entry in part if _covered(entry, query.scopes)]
                fitting += part
                await asyncio.sleep(0)
        end = len(fitting)
        if query.after is not None:
            # A tuple is smaller than a longer one that begins with it.
            end = bisect_left(fitting, (query.after.dispatched_at, query.after.id))
        end = max(end - query.offset, 0)
        page = fitting[max(end - query.limit, 0) : end]
        return AuditPage(
            records=tuple(_record(entry) for entry in reversed(page)),
            total=len(fitting),
            limit=query.limit,
            offset=query.offset,
        )

    async def clean_up(self, now: datetime) -> int:
        removed = 0
        while self._expiring and self._expiring.first[_EXPIRES] <= now:
            self._remove(self._expiring.first)
            removed += 1
            if removed % _REMOVALS == 0:
                await asyncio.sleep(0)
        return removed

    async def erase(self, record_ids: Sequence[str]) -> int:
        erased = 0
        for record_id in record_ids:
            entry = self._by_id.get(record_id)
            if entry is not None and entry[_PAYLOAD] is not None:
                self._remove(entry)
                self._add(_without_payload(entry))
                erased += 1
                if erased % _REMOVALS == 0:
                    await asyncio.sleep(0)
        return erased

    def _of_action(self, action_id: str) -> Iterable[Entry]:
        """Return the entries of that action, the newest first."""
        if (repeated := self._repeated.get(action_id)) is not None:
            return repeated.backwards()
        record_id = self._single.get(action_id)
        return () if record_id is None else (self._by_id[record_id],)

    def _add(self, entry: Entry) -> None:
        self._by_id[entry[_ID]] = entry
        self._bytes += entry[_SIZE]
        self._in_order.add(entry)
        if entry[_EXPIRES] is not None:
            self._expiring.add(entry)
        action_id = entry[_ACTION]
        if (repeated := self._repeated.get(action_id)) is not None:
            repeated.add(entry)
        elif (other := self._single.pop(action_id, None)) is not None:
            repeated = self._repeated[action_id] = Timeline(_by_dispatch)
            repeated.add(self._by_id[other])
            repeated.add(entry)
        else:
            self._single[action_id] = entry[_ID]

    def _remove(self, entry: Entry) -> None:
        del self._by_id[entry[_ID]]
        self._bytes -= entry[_SIZE]
        self._in_order.remove(entry)
        if entry[_EXPIRES] is not None:
            self._expiring.remove(entry)
        action_id = entry[_ACTION]
        if self._single.pop(action_id, None) is None:
            repeated = self._repeated[action_id]
            repeated.remove(entry)
            if not repeated:
                del self._repeated[action_id]


def _record(entry: Entry) -> AuditRecord:
    return AuditRecord(**dict(zip(_MEMBERS, entry[:_SIZE], strict=True)))


def _without_payload(entry: Entry) -> Entry:
    rest = entry[_PAYLOAD + 1 : _SIZE]
    return (*entry[:_PAYLOAD], None, *rest, entry[_SIZE] - len(entry[_PAYLOAD]))


def _covered(entry: Entry, scopes: tuple[Scope, ...]) -> bool:
    """Return what `Scope.covers` would, of any of `scopes`."""
    for scope in scopes:
        if (
            (scope.tenants is None or entry[_TENANT] in scope.tenants)
            and (scope.namespaces is None or entry[_NAMESPACE] in scope.namespaces)
            and (scope.action_types is None or entry[_ACTION_TYPE] in scope.action_types)
        ):
            return True
    return False
