"""The names of the tables and functions, and the SQL that makes them."""

from importlib.resources import files
from typing import Final, Self

from attrs import frozen
from psycopg import sql

from acteon.state_postgres.config import PostgresStateConfig

VERSION: Final = "v1"
"""Of the functions. Gateways of two versions may share the tables while one replaces the other,
so a function that is changed gets a new name."""
INDEX: Final = "state_expiry"
FUNCTIONS: Final = ("begin", "settle")
PARTS: Final = ("state", INDEX, "locks", *FUNCTIONS)
"""What there is to make, in this order."""


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
    def of(cls, config: PostgresStateConfig) -> Self:
        """Return the layout that `config` asks for."""
        prefix = config.prefix if config.prefix.endswith("_") else f"{config.prefix}_"
        return cls(config.schema, prefix)

    def name(self, part: str) -> sql.Identifier:
        """Return the full name of `part`, one of `PARTS`."""
        return sql.Identifier(self.schema, self.plain_name(part))

    def plain_name(self, part: str) -> str:
        """Return the name of `part` within the schema."""
        return f"{self.prefix}{part}" + (f"_{VERSION}" if part in FUNCTIONS else "")

    def statement(self, template: str) -> bytes:
        """Return the SQL `template` with our names in it."""
        names = {part: self.name(part) for part in PARTS}
        # CREATE INDEX takes no schema: an index is in its table's.
        names[INDEX] = sql.Identifier(self.plain_name(INDEX))
        quoted = {part: name.as_string() for part, name in names.items()}
        return template.format(**quoted).encode()

    def definition(self, part: str) -> str:
        """Return the SQL that makes `part`, one of `PARTS`, unless it is there."""
        template = (files("acteon.state_postgres") / "sql" / f"{part}.sql").read_text()
        return self.statement(template).decode()

    def script(self) -> str:
        """Return the SQL that makes everything, for those who make it by hand."""
        return "\n".join(self.definition(part) for part in PARTS)
