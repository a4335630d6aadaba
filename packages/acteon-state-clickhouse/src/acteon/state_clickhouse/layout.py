"""The tables, and everything that is said to them in SQL.

All of it is understood by ClickHouse 18.16 and by current servers alike.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from attrs import frozen

FOR_EVER: Final = 2**63 - 1
"""When an entry expires that does not."""
HOUR: Final = 3_600_000
"""Milliseconds; claims that are kept until some time in one of these are in one partition."""
LONGEST: Final = 1024
"""Bytes of a name."""
HASHED: Final = "sha256:"
MODERN: Final = (20, 8)
"""The first version whose clock tells milliseconds."""
KEY: Final = "k:"
LOCK: Final = "l:"
"""How the names of claims begin: keys and locks may have one text."""
OVER: Final = 0
LEASE: Final = 1
TURN: Final = 2
"""The kinds of claims."""
_VALUE: Final = 8
_TIME: Final = 9
"""What the other rows are that `Layout.read` gives."""

_STATE: Final = """\
CREATE TABLE IF NOT EXISTS {state} (
    key String,
    value String,
    version UInt64 DEFAULT toUInt64(now()) * 1000000,
    expires_at Int64 DEFAULT 9223372036854775807
) ENGINE = ReplacingMergeTree(version) ORDER BY key SETTINGS index_granularity = 256"""
_CLAIMS: Final = """\
CREATE TABLE IF NOT EXISTS {claims} (
    name String,
    owner String,
    kind UInt8,
    ticket UInt64,
    seq UInt64,
    expires_at Int64,
    kept_until Int64 DEFAULT expires_at
) ENGINE = MergeTree PARTITION BY intDiv(kept_until, 3600000) ORDER BY (name, owner)
SETTINGS index_granularity = 256, old_parts_lifetime = 10"""
# Each insert is a part, a folder of a dozen files that stays for eight minutes by default after it
# has been merged: that would be tens of thousands of folders at a hundred claims a second.
_READ: Final = """\
SELECT name, owner, last_kind, last_ticket, last_seq, last_expiry, last_kept, '' AS text
FROM (
    SELECT
        name,
        owner,
        argMax(kind, seq) AS last_kind,
        argMax(ticket, seq) AS last_ticket,
        max(seq) AS last_seq,
        argMax(expires_at, seq) AS last_expiry,
        max(kept_until) AS last_kept
    FROM {claims} WHERE name IN ({names}) GROUP BY name, owner
) WHERE last_kind != 0 AND last_expiry > {since}
UNION ALL
SELECT
    concat('k:', key), '', toUInt8(8), version, toUInt64(0), expires_at, toInt64(0), value
FROM (
    SELECT key, version, expires_at, value
    FROM {state} WHERE key IN ({keys}) ORDER BY version DESC LIMIT 1 BY key
)
UNION ALL
SELECT '', '', toUInt8(9), toUInt64(0), toUInt64(0), {now}, toInt64(0), ''"""
_PARTITIONS: Final = """\
SELECT DISTINCT partition FROM system.parts
WHERE database = currentDatabase() AND table = '{claims}' AND active"""
_DROP: Final = "ALTER TABLE {claims} DROP PARTITION {partition}"
_DELETING: Final = """\
SELECT count() FROM system.mutations
WHERE database = currentDatabase() AND table = '{state}' AND NOT is_done"""
_DEAD: Final = """\
SELECT count() FROM (
    SELECT key FROM {state} GROUP BY key HAVING argMax(expires_at, version) <= {before}
)"""
_DELETE: Final = """\
ALTER TABLE {state} DELETE WHERE key IN (
    SELECT key FROM {state} GROUP BY key HAVING argMax(expires_at, version) <= {before}
)"""


@frozen
class Layout:
    """The names of the tables, and the statements.

    Attributes:
        prefix: What the names of the tables begin with.
        version: The version of the server.
    """

    prefix: str
    version: tuple[int, int]

    @property
    def state(self) -> str:
        """The table of the entries."""
        return self._table("state")

    @property
    def claims(self) -> str:
        """The table of the claims."""
        return self._table("claims")

    @property
    def now(self) -> str:
        """What gives the server's time in milliseconds."""
        is_exact = self.step == 1
        return "toUnixTimestamp64Milli(now64(3))" if is_exact else "toInt64(now()) * 1000"

    @property
    def step(self) -> int:
        """How many milliseconds the server's time goes on at once."""
        return 1 if self.version >= MODERN else 1000

    def tables(self) -> tuple[str, str]:
        """Return what makes the tables if they are missing."""
        return self._filled(_STATE), self._filled(_CLAIMS)

    def read(self, names: Iterable[str], since: int) -> str:
        """Return what gives the claims and values of `names`, and the time."""
        names = list(names)
        keys = [name.removeprefix(KEY) for name in names if name.startswith(KEY)]
        return _READ.format(
            claims=self.claims,
            state=self.state,
            names=_literals(names),
            keys=_literals(keys),
            since=since,
            now=self.now,
        )

    def time(self) -> str:
        """Return what gives the time alone."""
        return f"SELECT {self.now}"

    def partitions(self) -> str:
        """Return what gives the partitions of the claims."""
        return self._filled(_PARTITIONS)

    def drop(self, partition: int) -> str:
        """Return what drops a partition of the claims."""
        return _DROP.format(claims=self.claims, partition=partition)

    def deleting(self) -> str:
        """Return what counts the deletions that are under way."""
        return self._filled(_DELETING)

    def dead(self, before: int) -> str:
        """Return what counts the entries that had expired `before` then."""
        return _DEAD.format(state=self.state, before=before)

    def delete(self, before: int) -> str:
        """Return what deletes the entries that had expired `before` then."""
        return _DELETE.format(state=self.state, before=before)

    def _table(self, name: str) -> str:
        return f"{self.prefix.removesuffix('_')}_{name}"

    def _filled(self, text: str) -> str:
        return text.format(state=self.state, claims=self.claims)


def is_value(kind: int) -> bool:
    """Return whether a row of that kind is a value: its ticket is the version."""
    return kind == _VALUE


def is_time(kind: int) -> bool:
    """Return whether a row of that kind is the server's time: in place of the expiry."""
    return kind == _TIME


def name_of(text: str) -> str:
    """Return the name under which the entry or lock `text` is kept; different texts' differ.

    It is the text itself, unless that is too long or cannot be kept; then it is a hash.
    """
    try:
        octets = text.encode()
    except UnicodeEncodeError:  # half of a pair
        octets = b""
    if 0 < len(octets) <= LONGEST and not text.startswith(HASHED):
        return text
    return HASHED + sha256(text.encode(errors="surrogatepass")).hexdigest()


def _literals(texts: Iterable[str]) -> str:
    # Never empty: there is no such list in SQL. An empty text is nobody's name.
    return ", ".join([literal(text) for text in texts]) or "''"


def literal(text: str) -> str:
    """Return `text` as it is written in SQL."""
    text = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{text}'"
