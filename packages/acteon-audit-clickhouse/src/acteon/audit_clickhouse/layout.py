"""The table, and what makes it.

All of it is understood by ClickHouse 18.16 and by current servers alike, but for the indexes, which
only current servers have.
"""

import re
from typing import Final, Self

from attrs import frozen

from acteon.audit_clickhouse.config import ClickHouseAuditConfig

FOR_EVER: Final = 2**63 - 1
"""When a record expires that does not."""
ERASED: Final = 2**63
"""The least version of rows that stand for erased ones."""
MODERN: Final = (20, 8)
"""The first version with indexes beside the sort key, as far as we use them."""

TEXTS: Final = (
    "id",
    "action_id",
    "namespace",
    "tenant",
    "provider",
    "action_type",
    "verdict",
    "matched_rule",
    "outcome",
    "caller_id",
    "auth_method",
)
DOCUMENTS: Final = ("action_payload", "verdict_details", "outcome_details", "metadata")
INSTANTS: Final = ("dispatched_at", "completed_at", "expires_at")
_NULLABLE: Final = ("matched_rule", "action_payload")
COLUMNS: Final = {
    name: "Nullable(String)" if name in _NULLABLE else "String" for name in (*TEXTS, *DOCUMENTS)
} | dict.fromkeys((*INSTANTS, "duration_ms"), "Int64")
"""The members of a record, and the types of their columns."""
VERSION: Final = "version"
INDEXED: Final = tuple(name for name in TEXTS if name != "auth_method")
"""Columns with an index that tells where a text is not."""
MONTH: Final = (
    "toYYYYMM(toDateTime(intDiv(least(greatest(dispatched_at, toInt64(0)), "
    "toInt64(4294967295000)), 1000), 'UTC'))"
)
"""The month of a row, as far as `DateTime` knows months."""
_DEFAULTS: Final = {"expires_at": f"DEFAULT {FOR_EVER}"}
_ESSENTIAL: Final = ("id", "dispatched_at", VERSION)
"""Columns that cannot be added: the sort key, and what decides between rows."""
_SORT_KEY: Final = "(dispatched_at, id)"
_ORDER: Final = f"ORDER BY {_SORT_KEY}"
_ENGINE: Final = re.compile(rf"ReplacingMergeTree\((?:'[^']*', '[^']*', )?{VERSION}\)")
"""Replicas have a path and a name before that."""
_READABLE: Final = {f"{name}_utc": f"toDateTime(intDiv({name}, 1000), 'UTC')" for name in INSTANTS}


@frozen
class Layout:
    """What the table is called, and the statements that make it.

    Attributes:
        prefix: What the name begins with.
        version: The version of the server.
    """

    prefix: str = "acteon"
    version: tuple[int, int] = MODERN

    @classmethod
    def of(cls, config: ClickHouseAuditConfig, version: tuple[int, int]) -> Self:
        """Return the layout that `config` asks for."""
        return cls(config.prefix, version)

    @property
    def table(self) -> str:
        """The name of the table."""
        return f"{self.prefix.removesuffix('_')}_audit"

    @property
    def is_modern(self) -> bool:
        """Whether the server has indexes beside the sort key."""
        return self.version >= MODERN

    def definition(self) -> str:
        """Return what makes the table unless it is there."""
        lines = [
            *(f"{name} {_column(name)}" for name in COLUMNS),
            f"{VERSION} UInt64 DEFAULT {ERASED - 1}",
            *(f"{name} ALIAS {text}" for name, text in _READABLE.items()),
            *(_index(name) for name in INDEXED if self.is_modern),
        ]
        body = ",\n    ".join(lines)
        # Every write is a part, a folder of files that stays for eight minutes by default after
        # it has been merged: at twenty writes a second that would be too many.
        return (
            f"CREATE TABLE IF NOT EXISTS {self.table} (\n    {body}\n)\n"
            f"ENGINE = ReplacingMergeTree({VERSION})\n"
            f"PARTITION BY {MONTH}\n"
            f"{_ORDER}\n"
            "SETTINGS index_granularity = 1024, old_parts_lifetime = 60"
        )

    def additions(self, columns: dict[str, str], definition: str) -> list[str]:
        """Return what adds to the table what it lacks.

        Args:
            columns: The types of those that it has.
            definition: The statement that made it, according to the server.

        Raises:
            ValueError: It is no table of ours; the text says why.
        """
        wanted = {**COLUMNS, VERSION: "UInt64"}
        for name, kind in wanted.items():
            if name not in columns and name in _ESSENTIAL:
                raise ValueError(f"it has no column {name}")
            if columns.get(name, kind) != kind:
                raise ValueError(f"its column {name} is {columns[name]}, not {kind}")
        if not _ENGINE.search(definition):
            raise ValueError(f"its engine is no ReplacingMergeTree({VERSION})")
        if _ORDER not in definition:
            raise ValueError(f"it is not sorted by {_SORT_KEY}")
        alter = f"ALTER TABLE {self.table} ADD"
        found = [
            f"{alter} COLUMN {name} {_column(name)}" for name in COLUMNS if name not in columns
        ]
        found += [
            f"{alter} COLUMN {name} ALIAS {text}"
            for name, text in _READABLE.items()
            if name not in columns
        ]
        if self.is_modern:
            # Rows that are there already get theirs when they are merged.
            found += [
                f"{alter} {_index(name)}"
                for name in INDEXED
                if f"INDEX {_index_name(name)} " not in definition
            ]
        return found


def _column(name: str) -> str:
    return f"{COLUMNS[name]} {_DEFAULTS.get(name, '')}".strip()


def _index_name(name: str) -> str:
    return f"by_{name}"


def _index(name: str) -> str:
    return f"INDEX {_index_name(name)} {name} TYPE bloom_filter GRANULARITY 1"
