"""The names of the table, its indexes and partitions, and the SQL that makes them."""

import re
from datetime import UTC, datetime
from importlib.resources import files
from typing import Final, Self

from attrs import frozen
from psycopg import sql

from acteon.state_postgres.config import PostgresConfig

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
NUMBER: Final = "duration_ms"
MEMBERS: Final = (*TEXTS, *DOCUMENTS, *INSTANTS, NUMBER)
"""The members of a record: each has its column."""
WHOLE: Final = "whole_texts"
"""Where the texts are whole that are too long for an index: an object of them; mostly NULL."""
# `json`, and not `jsonb`, which would write documents anew.
COLUMNS: Final = {
    **dict.fromkeys(TEXTS, "text"),
    **dict.fromkeys(DOCUMENTS, "json"),
    **dict.fromkeys(INSTANTS, "timestamptz"),
    NUMBER: "bigint",
    WHOLE: "json",
}
"""The type of each column."""
KEY: Final = ("id", "dispatched_at")
"""What a record is known by; no table can be given these later."""
_MAY_BE_NULL: Final = ("matched_rule", "action_payload", "expires_at", WHOLE)
_DEFAULTS: Final = {"text": "''", "json": "'{}'", "timestamptz": "'epoch'", "bigint": "0"}
"""What a column that is added later has in the rows that are there."""

TABLE: Final = "audit"
DEFAULT: Final = "audit_default"
# None has the id, which orders records of the same instant: they are few, and sorted when they are
# read. What no rule decided, most dispatches perhaps, is looked for by no filter.
INDEXES: Final = {
    "audit_time": "(dispatched_at)",
    "audit_action": "(action_id, dispatched_at)",
    "audit_namespace": "(namespace, dispatched_at)",
    "audit_tenant": "(tenant, dispatched_at)",
    "audit_provider": "(provider, dispatched_at)",
    "audit_action_type": "(action_type, dispatched_at)",
    "audit_outcome": "(outcome, dispatched_at)",
    "audit_verdict": "(verdict, dispatched_at)",
    "audit_rule": "(matched_rule, dispatched_at) WHERE matched_rule IS NOT NULL",
    "audit_caller": "(caller_id, dispatched_at)",
    "audit_expiry": "(expires_at)",
}
"""What each is made on."""
PARTS: Final = (TABLE, DEFAULT, *INDEXES)
"""What there is to make, in this order."""

_INDEX: Final = "CREATE INDEX IF NOT EXISTS {{{name}}} ON {{audit}} {columns};\n"
_MONTH: Final = """
    CREATE TABLE IF NOT EXISTS {name} PARTITION OF {{audit}}
    FOR VALUES FROM ('{first}') TO ('{end}')
    WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
"""


@frozen(order=True)
class Month:
    """A month of the calendar, in UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, instant: datetime) -> Self:
        """Return the month that `instant` is in."""
        utc = instant.astimezone(UTC)
        return cls(utc.year, utc.month)

    @property
    def next(self) -> "Month":
        """The month after this one."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def start(self) -> str:
        """Its first instant, as SQL has it."""
        return f"{self.year:04}-{self.month:02}-01 00:00:00+00"


@frozen
class Layout:
    """Where everything is.

    Attributes:
        schema: The schema of it all.
        prefix: What the names begin with.
    """

    schema: str = "public"
    prefix: str = "acteon_"

    @classmethod
    def of(cls, config: PostgresConfig) -> Self:
        """Return the layout that `config` asks for."""
        prefix = config.prefix if config.prefix.endswith("_") else f"{config.prefix}_"
        return cls(config.schema, prefix)

    def name(self, part: str) -> str:
        """Return the full name of `part`, one of `PARTS` or that of a partition, quoted."""
        return sql.Identifier(self.schema, self.plain_name(part)).as_string()

    def plain_name(self, part: str) -> str:
        """Return the name of `part` within the schema."""
        return f"{self.prefix}{part}"

    def partition(self, month: Month) -> str:
        """Return the full name of the partition of `month`, quoted."""
        return self.name(f"{TABLE}_{month.year:04}_{month.month:02}")

    def month(self, name: str) -> Month | None:
        """Return the month of the partition `name` (a plain name); None if it is no month's."""
        found = re.fullmatch(rf"{re.escape(self.plain_name(TABLE))}_(\d{{4}})_(\d\d)", name)
        return Month(int(found[1]), int(found[2])) if found else None

    def statement(self, template: str) -> bytes:
        """Return the SQL `template` with our names in it."""
        quoted = {part: self.name(part) for part in PARTS}
        # CREATE INDEX takes no schema: an index is in its table's.
        quoted |= {part: sql.Identifier(self.plain_name(part)).as_string() for part in INDEXES}
        return template.format(**quoted).encode()

    def addition(self, column: str) -> str:
        """Return the SQL that adds `column`, one of `COLUMNS` but the `KEY`, to our table."""
        default = "" if column in _MAY_BE_NULL else f" DEFAULT {_DEFAULTS[COLUMNS[column]]}"
        return f"ALTER TABLE {self.name(TABLE)} ADD COLUMN {_column(column)}{default}"

    def conversion(self, column: str) -> str:
        """Return the SQL that gives `column`, one of `COLUMNS` but the `KEY`, its type."""
        kind = COLUMNS[column]
        return (
            f"ALTER TABLE {self.name(TABLE)} ALTER COLUMN {column} TYPE {kind} "
            f"USING {column}::{kind}"
        )

    def definition(self, part: str) -> str:
        """Return the SQL that makes `part`, one of `PARTS`, unless it is there."""
        if part in INDEXES:
            template = _INDEX.format(name=part, columns=INDEXES[part])
        else:
            template = (files("acteon.audit_postgres") / "sql" / f"{part}.sql").read_text()
            template = template.replace("{columns}", ",\n    ".join(map(_column, COLUMNS)))
        return self.statement(template).decode()

    def month_definition(self, month: Month) -> str:
        """Return the SQL that makes the partition of `month`, unless it is there."""
        template = _MONTH.format(
            name=self.partition(month), first=month.start, end=month.next.start
        )
        return self.statement(template).decode()

    def script(self) -> str:
        """Return the SQL that makes everything, for those who make it by hand."""
        return "".join(self.definition(part) for part in PARTS)


def _column(name: str) -> str:
    """Return the definition of the column `name`."""
    kind = COLUMNS[name]
    collated = f'{kind} COLLATE "C"' if kind == "text" else kind
    return f"{name} {collated}{'' if name in _MAY_BE_NULL else ' NOT NULL'}"
