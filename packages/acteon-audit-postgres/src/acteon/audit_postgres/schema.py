"""The table, made when it is missing, and everything checked that can be at once."""

from typing import Final

from acteon.audit_postgres.layout import DEFAULT, PARTS, TABLE, Layout
from acteon.audit_postgres.partitions import TURN
from acteon.core import ConfigError
from acteon.state import StateBackendError
from acteon.state_postgres import Connections
from acteon.state_postgres.schema import check

_KIND: Final = """
    SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('{audit}')
"""


async def prepare(connections: Connections, layout: Layout) -> None:
    """Make what is missing; several processes may do so at once.

    Raises:
        ConfigError: The database cannot be used as it is; the text says what to change.
        StateError: It cannot be reached.
    """
    missing = await _missing(connections, layout)
    if TABLE not in missing:
        ((is_partitioned,),) = await connections.run(layout.statement(_KIND))
        if not is_partitioned:
            raise ConfigError(
                f"postgres at {connections.where}: {layout.plain_name(TABLE)} is there, but is no "
                "partitioned table: give another 'prefix', or rename it"
            )
    if not missing:
        return
    script = "".join(layout.definition(part) for part in missing)
    lock = f"SELECT pg_advisory_xact_lock({TURN}, hashtext('{layout.name(TABLE)}'));\n"
    try:
        await connections.run((lock + script).encode())
    except StateBackendError as error:
        if await _missing(connections, layout):
            names = ", ".join(layout.plain_name(part) for part in missing)
            raise ConfigError(
                f"{error}; it is missing {names}: have them made by one who may, with "
                "`python -m acteon.audit_postgres`, which prints the SQL"
            ) from error


async def _missing(connections: Connections, layout: Layout) -> list[str]:
    """Return which of `PARTS` there are not."""
    there, _ = await check(connections, layout.schema, [layout.name(part) for part in PARTS], [])
    found = dict(zip(PARTS, there, strict=True))
    # Whoever has a table may have given it another default partition, or none.
    return [part for part in PARTS if not found[part] and (part != DEFAULT or not found[TABLE])]
