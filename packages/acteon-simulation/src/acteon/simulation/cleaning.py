"""Removing what a run has written to a store, and nothing else.

Each function takes the configuration of the backend, whose prefix or table is the run's own. The
drivers are imported when they are needed: a simulation has those of the backends that it uses.
"""

# ClickHouse's driver has no types.
# pyright: reportMissingTypeStubs=false

import asyncio
from functools import partial
from typing import Any


async def redis(config: Any) -> None:
    """Remove all keys with the prefix of `config`, on all servers that it leads to."""
    from acteon.state_redis.clients import make_client

    connection: Any = make_client(config)
    try:
        client = connection.client
        async for key in client.scan_iter(match=f"{config.prefix}:*", count=1000):
            await client.unlink(key)
    finally:
        await connection.aclose()


async def postgres(config: Any) -> None:
    """Drop all tables with the prefix of `config`, and what hangs on them."""
    from psycopg import AsyncConnection
    from psycopg.sql import SQL, Identifier

    found = (
        "SELECT tablename FROM pg_tables WHERE schemaname = %s AND starts_with(tablename, %s) "
        "AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = "
        "(quote_ident(schemaname) || '.' || quote_ident(tablename))::regclass)"
    )
    async with await AsyncConnection.connect(config.url, autocommit=True) as connection:
        rows = await connection.execute(found, (config.schema, config.prefix))
        for (table,) in await rows.fetchall():
            name = Identifier(config.schema, table)
            await connection.execute(SQL("DROP TABLE IF EXISTS {} CASCADE").format(name))


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
    await asyncio.to_thread(_drop_tables, config)


def _drop_tables(config: Any) -> None:
    from clickhouse_driver import Client

    address = config.address
    client: Any = Client(
        address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        database=address.database,
        secure=address.secure,
    )
    try:
        found = client.execute(
            "SELECT name FROM system.tables WHERE database = %(database)s "
            "AND startsWith(name, %(prefix)s)",
            {"database": address.database, "prefix": config.prefix},
        )
        for (table,) in found:
            client.execute(f"DROP TABLE IF EXISTS `{address.database}`.`{table}`")
    finally:
        client.disconnect()


async def elasticsearch(config: Any) -> None:
    """Delete all indices with the prefix of `config`."""
    from acteon.audit_elasticsearch.calls import Calls

    async with Calls(config) as calls:
        found = await calls.run(lambda client: client.indices.get(index=f"{config.prefix}*"))
        for name in found:
            await calls.run(partial(_delete, name), writing=True)


def _delete(name: str, client: Any) -> Any:
    return client.indices.delete(index=name)
