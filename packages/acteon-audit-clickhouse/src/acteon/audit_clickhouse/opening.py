"""Making the table when it is missing, and adding to it what it lacks."""

import asyncio
from typing import Final

from acteon.audit_clickhouse.errors import code_of, opening, said
from acteon.audit_clickhouse.layout import Layout
from acteon.core import ConfigError
from acteon.state import StateBackendError
from acteon.state_clickhouse import Engine

_OTHERS: Final = frozenset({15, 44, 57, 244, 517})
"""Codes of what somebody else has just made, or is about to make."""
_ATTEMPTS: Final = 20
_PAUSE: Final = 0.05


async def prepare(engine: Engine, layout: Layout) -> None:
    """See to it that the table is there, and complete; several may do so at once.

    Raises:
        ConfigError: It cannot be made, or is not ours.
        AuditStorageError: The server cannot be reached.
    """
    with opening():
        for attempt in range(1, _ATTEMPTS + 1):
            missing = await _missing(engine, layout)
            if not missing:
                return
            try:
                for statement in missing:
                    await engine.ask(statement)
            except StateBackendError as error:
                if code_of(error) not in _OTHERS or attempt == _ATTEMPTS:
                    raise ConfigError(
                        f"{said(error)}; the table {layout.table} cannot be made: let somebody "
                        f"who may do so run the output of 'python -m acteon.audit_clickhouse "
                        f"{layout.prefix}'"
                    ) from error
                await asyncio.sleep(_PAUSE)


async def _missing(engine: Engine, layout: Layout) -> list[str]:
    where = f"WHERE database = currentDatabase() AND {{}} = '{layout.table}'"
    # In this order: what is found here has its columns by then.
    tables = await engine.ask(
        f"SELECT engine_full, create_table_query FROM system.tables {where.format('name')}"
    )
    columns = await engine.ask(f"SELECT name, type FROM system.columns {where.format('table')}")
    if not (tables.rows and columns.rows):
        return [layout.definition()]
    try:
        return layout.additions(dict(columns.rows), " ".join(tables.rows[0]))
    except ValueError as error:
        raise ConfigError(
            f"clickhouse: the table {layout.table} is none of ours: {error}; set another 'prefix'"
        ) from None
