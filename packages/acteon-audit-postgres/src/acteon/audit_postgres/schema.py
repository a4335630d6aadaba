"""The table, made when it is missing, and everything checked that can be at once."""

from typing import Final

from acteon.audit_postgres.layout import COLUMNS, DEFAULT, KEY, PARTS, TABLE, Layout
from acteon.audit_postgres.partitions import TURN
from acteon.core import ConfigError
from acteon.state import StateBackendError
from acteon.state_postgres import Connections
from acteon.state_postgres.schema import check
from acteon.state_postgres.texts import text_array

_KIND: Final = """
    SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('{audit}')
"""
_AMISS: Final = """
    SELECT wanted.name, format_type(found.atttypid, found.atttypmod)
    FROM unnest(%s::text[], %s::text[]) AS wanted (name, kind)
    LEFT JOIN pg_attribute AS found
        ON found.attrelid = to_regclass('{audit}') AND found.attname = wanted.name
    WHERE found.atttypid IS DISTINCT FROM to_regtype(wanted.kind)
"""


async def prepare(connections: Connections, layout: Layout) -> None:
    """Make what is missing; several processes may do so at once.

    Raises:
        ConfigError: The database cannot be used as it is; the text says what to change.
        StateError: It cannot be reached.
    """
    missing = await _missing(connections, layout)
    if TABLE not in missing:
        await _check_table(connections, layout)
    if missing:
        await _make(connections, layout, missing)


async def columns_amiss(connections: Connections, layout: Layout) -> str | None:
    """Return what is wrong with the columns of the table, and how to mend it; None if nothing is.

    Raises:
        StateError: It could not be found out.
    """
    wanted = (text_array(COLUMNS), text_array(COLUMNS.values()))
    found = await connections.run(layout.statement(_AMISS), wanted)
    if not found:
        return None
    table = layout.plain_name(TABLE)
    faults: list[str] = []
    cures: list[str] = []
    for name, kind in found:
        if kind is None:
            faults.append(f"{table} has no column {name}")
            cures.append(layout.addition(name))
        else:
            faults.append(f"the column {name} of {table} is {kind}, and not {COLUMNS[name]}")
            cures.append(layout.conversion(name))
    mend = f"have the owner say {'; '.join(cures)}"
    if any(name in KEY for name, _ in found):
        mend = "rename it"
    where = f"postgres at {connections.where}"
    return f"{where}: {', '.join(faults)}: {mend}, or give another 'prefix'"


async def _check_table(connections: Connections, layout: Layout) -> None:
    """Raise `ConfigError` if the table that is there is none of ours."""
    ((is_partitioned,),) = await connections.run(layout.statement(_KIND))
    if not is_partitioned:
        raise ConfigError(
            f"postgres at {connections.where}: {layout.plain_name(TABLE)} is there, but is no "
            "partitioned table: give another 'prefix', or rename it"
        )
    if amiss := await columns_amiss(connections, layout):
        raise ConfigError(amiss)


async def _make(connections: Connections, layout: Layout, missing: list[str]) -> None:
    script = "".join(layout.definition(part) for part in missing)
    # Two that make the same at once would fail one of them.
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
