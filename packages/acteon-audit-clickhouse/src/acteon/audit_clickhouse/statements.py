"""What is asked of the table.

Of the rows with one instant and id the one with the highest version counts. The engine drops the
others when it merges; until then `FINAL` or `LIMIT 1 BY` leaves them out.
"""

from collections.abc import Iterable
from typing import Final

from attrs import frozen

from acteon.audit import AuditQuery, Scope
from acteon.audit_clickhouse.filters import Conditions, texts
from acteon.audit_clickhouse.layout import COLUMNS, ERASED, MONTH, VERSION
from acteon.audit_clickhouse.rows import NAMES

_ORDER: Final = "ORDER BY dispatched_at DESC, id DESC"
_KEY: Final = "dispatched_at, id"
_CANDIDATES: Final = 100
"""So many of an action's newest rows are looked at for its latest one."""
_PAYLOAD: Final = "action_payload"
_OF_EXPIRED: Final = "position(command, 'expires_at') > 0"
_OF_ERASED: Final = f"position(command, '{_PAYLOAD}') > 0"


@frozen
class Statements:
    """The statements on one table.

    Attributes:
        table: Its name.
        limit: Seconds after which the server gives up a query.
        is_modern: Whether the server tells why a deletion fails, and can end it.
    """

    table: str
    limit: int
    is_modern: bool = True

    def page(self, query: AuditQuery, earliest: int | None) -> str:
        """Return what gives the page of `query`, not looking at what is before `earliest`."""
        here = Conditions.of(query)
        if query.after is not None:
            here.add_position(query.after)
        if earliest is not None:
            here.add_since(earliest)
        keys = (
            f"SELECT {_KEY} FROM {self.table} FINAL WHERE {here} "
            f"{_ORDER} LIMIT {query.offset}, {query.limit}"
        )
        return f"{self._rows(NAMES, f'({_KEY}) IN ({keys})')} {self._limited}"

    def count(self, query: AuditQuery) -> str:
        """Return what counts what fits `query`."""
        return (
            f"SELECT count() FROM {self.table} FINAL WHERE {Conditions.of(query)} {self._limited}"
        )

    def get(self, record_id: str) -> str:
        """Return what gives the record of that id."""
        return (
            f"SELECT {NAMES} FROM {self.table} PREWHERE id = {texts([record_id])} "
            f"ORDER BY {VERSION} DESC LIMIT 1 {self._limited}"
        )

    def latest(self, action_id: str, scopes: tuple[Scope, ...] | None) -> str:
        """Return what gives the newest record of an action."""
        fits = Conditions()
        fits.add_equal("action_id", action_id)
        fits.add_scopes(scopes)
        keys = (
            f"SELECT {_KEY} FROM {self.table} WHERE {fits} "
            f"{_ORDER} LIMIT 1 BY {_KEY} LIMIT {_CANDIDATES}"
        )
        # Rows that do not count may fit where the one that counts does not.
        return (
            f"SELECT {NAMES} FROM ({self._rows(NAMES, f'({_KEY}) IN ({keys})')}) WHERE {fits} "
            f"{_ORDER} LIMIT 1 {self._limited}"
        )

    def full(self, record_ids: Iterable[str]) -> str:
        """Return what counts which of these have a payload."""
        return (
            f"SELECT uniqExact(id) FROM ({self._of(record_ids)}) "
            f"WHERE {_PAYLOAD} IS NOT NULL {self._limited}"
        )

    def erase(self, record_ids: Iterable[str], version: int) -> str:
        """Return what puts rows without a payload in the place of those that have one."""
        # Without a name of its own: that would stand for the column in the condition as well.
        values = ", ".join("NULL" if name == _PAYLOAD else name for name in COLUMNS)
        return (
            f"INSERT INTO {self.table} ({NAMES}, {VERSION}) SELECT {values}, toUInt64({version}) "
            f"FROM ({self._of(record_ids)}) WHERE {_PAYLOAD} IS NOT NULL"
        )

    def expired_months(self, now: int) -> str:
        """Return what gives the months all of whose rows have expired, with the last instant."""
        return (
            f"SELECT {MONTH} AS month, max(dispatched_at) FROM {self.table} "
            f"GROUP BY month HAVING max(expires_at) <= {now} ORDER BY month {self._limited}"
        )

    def count_month(self, month: int) -> str:
        """Return what counts the records of a month."""
        return f"SELECT count() FROM {self.table} FINAL WHERE {MONTH} = {month} {self._limited}"

    def drop_month(self, month: int) -> str:
        """Return what drops all rows of a month."""
        return f"ALTER TABLE {self.table} DROP PARTITION {month}"

    def expired(self, now: int) -> str:
        """Return what counts the rows that have expired."""
        return f"SELECT count() FROM {self.table} WHERE expires_at <= {now} {self._limited}"

    def expired_records(self, now: int) -> str:
        """Return what counts the records that have expired: it needs memory for each of them."""
        return (
            f"SELECT uniqExact({_KEY}) FROM {self.table} WHERE expires_at <= {now} {self._limited}"
        )

    def leftovers(self) -> str:
        """Return what counts the rows that still hold a payload which has been erased."""
        return f"SELECT count() FROM {self.table} WHERE {self._left} {self._limited}"

    def delete_expired(self, now: int) -> str:
        """Return what begins to delete what has expired, and leftovers."""
        return f"ALTER TABLE {self.table} DELETE WHERE expires_at <= {now} OR ({self._left})"

    def delete_leftovers(self) -> str:
        """Return what begins to delete the rows that hold payloads which have been erased."""
        return f"ALTER TABLE {self.table} DELETE WHERE {self._left}"

    def deleting(self) -> str:
        """Return what counts the deletions under way."""
        return f"SELECT count() {self._under_way}"

    def cleaning_up(self) -> str:
        """Return what gives the deletions of expired records under way, the oldest first.

        Of each the name, the age in seconds, and why it did not get on, if the server knows.
        """
        reason = "latest_fail_reason" if self.is_modern else "''"
        return (
            f"SELECT mutation_id, toInt64(now() - create_time), {reason} {self._under_way} "
            f"AND {_OF_EXPIRED} ORDER BY create_time"
        )

    def end_failing(self) -> str:
        """Return what ends the deletions of ours that do not get on."""
        return (
            f"KILL MUTATION WHERE database = currentDatabase() AND table = '{self.table}' "
            f"AND NOT is_done AND latest_fail_reason != '' AND ({_OF_EXPIRED} OR {_OF_ERASED})"
        )

    def ping(self) -> str:
        """Return what fails if there is no table."""
        return f"SELECT id FROM {self.table} LIMIT 0"

    @property
    def _under_way(self) -> str:
        return (
            "FROM system.mutations "
            f"WHERE database = currentDatabase() AND table = '{self.table}' AND NOT is_done"
        )

    @property
    def _limited(self) -> str:
        return f"SETTINGS max_execution_time = {self.limit}"

    @property
    def _left(self) -> str:
        keys = f"SELECT {_KEY} FROM {self.table} WHERE {VERSION} >= {ERASED}"
        return f"{VERSION} < {ERASED} AND {_PAYLOAD} IS NOT NULL AND ({_KEY}) IN ({keys})"

    def _of(self, record_ids: Iterable[str]) -> str:
        return self._rows(NAMES, f"id IN ({texts(record_ids)})")

    def _rows(self, names: str, which: str) -> str:
        return (
            f"SELECT {names} FROM {self.table} PREWHERE {which} "
            f"{_ORDER}, {VERSION} DESC LIMIT 1 BY {_KEY}"
        )
