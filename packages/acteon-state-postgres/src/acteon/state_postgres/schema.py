"""Tables and functions, made when they are missing, and everything checked that can be at once."""

from typing import Final

from psycopg import sql

from acteon.core import ConfigError
from acteon.state import StateBackendError, StateConnectionError
from acteon.state_postgres.connections import Connections
from acteon.state_postgres.layout import FUNCTIONS, PARTS, Layout

_TABLES: Final = ("state", "locks")
_LOCK: Final = 0x_AC7E_0001
"""The advisory lock under which things are made: two at once would fail one of them."""
_CHECK: Final = """
    SELECT
        current_setting('server_encoding'),
        current_setting('transaction_read_only') = 'on',
        current_user,
        to_regnamespace(%s) IS NOT NULL,
        ARRAY(SELECT to_regclass(name) IS NOT NULL FROM unnest(%s::text[]) AS name),
        ARRAY(
            SELECT EXISTS (
                SELECT FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
                WHERE n.nspname = %s AND p.proname = name
            )
            FROM unnest(%s::text[]) AS name
        )
"""
_HINTS: Final = {
    "authentication failed": "correct user and password in 'url'",
    'database "': "create it, or correct 'url'",
    'role "': "create it, or correct 'url'",
    "no pg_hba.conf entry": "allow it in pg_hba.conf, or correct 'url' (its 'sslmode', too)",
}


async def prepare(connections: Connections, layout: Layout) -> None:
    """Make what is missing; several processes may do so at once.

    Raises:
        ConfigError: The database cannot be used as it is; the text says what to change.
        StateError: It cannot be reached.
    """
    missing = await _missing(connections, layout)
    if not missing:
        return
    script = "\n".join(layout.definition(part) for part in missing)
    locked = f"SELECT pg_advisory_xact_lock({_LOCK});\n{script}"
    try:
        await connections.run(locked.encode())
    except StateBackendError as error:
        if await _missing(connections, layout):
            raise ConfigError(
                f"{error}; it is missing {_list(missing, layout)}: have them made by one who may, "
                "with `python -m acteon.state_postgres`, which prints the SQL"
            ) from error


async def _missing(connections: Connections, layout: Layout) -> list[str]:
    """Return which of `PARTS` there are not."""
    relations = [part for part in PARTS if part not in FUNCTIONS]
    has_relations, has_functions = await check(
        connections,
        layout.schema,
        [layout.name(part).as_string() for part in relations],
        [layout.plain_name(part) for part in FUNCTIONS],
    )
    there = dict(zip(relations, has_relations, strict=True))
    there |= dict(zip(FUNCTIONS, has_functions, strict=True))
    return [part for part in PARTS if not there[part]]


async def check(
    connections: Connections, schema: str, relations: list[str], functions: list[str]
) -> tuple[list[bool], list[bool]]:
    """Return which of these relations (full names) and functions of `schema` there are.

    Raises:
        ConfigError: The database cannot be used as it is; the text says what to change.
        StateError: It cannot be reached.
    """
    try:
        (
            (encoding, read_only, role, has_schema, has_relations, has_functions),
        ) = await connections.run(
            _CHECK.encode(),
            (sql.Identifier(schema).as_string(), relations, schema, functions),
        )
    except StateConnectionError as error:
        for text, hint in _HINTS.items():
            if text in str(error):
                raise ConfigError(f"{error}: {hint}") from error
        raise
    where = f"postgres at {connections.where}"
    if encoding != "UTF8":
        raise ConfigError(f"{where}: the database is in {encoding}; create one in UTF8")
    if not has_schema:
        raise ConfigError(
            f"{where}: there is no schema {schema}, or {role} may not use it: "
            f"CREATE SCHEMA {schema} AUTHORIZATION {role}"
        )
    if read_only:
        raise ConfigError(
            f"{where}: the server is read-only, a standby perhaps; correct 'url', or name all "
            "hosts there and add ?target_session_attrs=read-write"
        )
    return has_relations, has_functions


def _list(parts: list[str], layout: Layout) -> str:
    return ", ".join(layout.plain_name(part) for part in parts)
