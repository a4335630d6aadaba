"""Removing what a run has written to a store, and nothing else.

Each function takes the configuration of the backend, whose prefix or table is the run's own. The
drivers are imported when they are needed: a simulation has those of the backends that it uses.
"""

import re
from functools import partial
from math import ceil
from typing import Any, Final

_AT_ONCE: Final = 500
_TABLES: Final = """
    SELECT format('DROP TABLE IF EXISTS %%I.%%I CASCADE', schemaname, tablename)
    FROM pg_tables
    WHERE schemaname = %(schema)s AND starts_with(tablename, %(prefix)s) AND NOT EXISTS (
        SELECT FROM pg_inherits
        WHERE inhrelid = format('%%I.%%I', schemaname, tablename)::regclass
    )
"""
"""Without partitions, which go with their tables."""
_FUNCTIONS: Final = """
    SELECT format('DROP FUNCTION IF EXISTS %%s', p.oid::regprocedure)
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE nspname = %(schema)s AND starts_with(proname, %(prefix)s)
"""


async def redis(config: Any) -> None:
    """Remove all keys with the prefix of `config`, on all servers that it leads to."""
    from acteon.state_redis.clients import make_client

    connection: Any = make_client(config)
    try:
        client = connection.client
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", config.prefix)
        keys = [key async for key in client.scan_iter(match=f"{pattern}:*", count=_AT_ONCE)]
        for start in range(0, len(keys), _AT_ONCE):
            await client.unlink(*keys[start : start + _AT_ONCE])
    finally:
        await connection.aclose()


async def postgres(config: Any) -> None:
    """Drop all tables and functions with the prefix of `config`."""
    from psycopg import AsyncConnection

    names = {"schema": config.schema, "prefix": config.prefix}
    limit = ceil(config.connect_timeout_seconds)
    async with await AsyncConnection.connect(
        config.url, autocommit=True, connect_timeout=limit
    ) as connection:
        for found in (_TABLES, _FUNCTIONS):
            for (statement,) in await (await connection.execute(found, names)).fetchall():
                await connection.execute(statement)


async def dynamodb(config: Any) -> None:
    """Delete the table of `config`."""
    from botocore.exceptions import ClientError

    from acteon.state_dynamodb.calls import Calls

    async with Calls(config) as calls:
        try:
            await calls.call("delete_table", {"TableName": config.table_name}, repeatable=False)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
                raise


async def clickhouse(config: Any) -> None:
    """Drop all tables with the prefix of `config`."""
    from acteon.state_clickhouse import Calls

    async with Calls(config) as calls:
        # Both are of letters, digits and '_': the configuration says so.
        database = calls.address.database
        found = await calls.ask(
            f"SELECT name FROM system.tables WHERE database = '{database}' "
            f"AND startsWith(name, '{config.prefix}')"
        )
        for (table,) in found.rows:
            await calls.ask(f"DROP TABLE IF EXISTS `{database}`.`{table}`")


async def elasticsearch(config: Any) -> None:
    """Delete all indices with the prefix of `config`."""
    from acteon.audit_elasticsearch.calls import Calls

    async with Calls(config) as calls:
        found = await calls.run(lambda client: client.indices.get(index=f"{config.prefix}*"))
        for name in found:
            await calls.run(partial(_delete, name), writing=True)


def _delete(name: str, client: Any) -> Any:
    return client.indices.delete(index=name)
