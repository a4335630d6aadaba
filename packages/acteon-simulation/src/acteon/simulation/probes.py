"""Asking stores whether they answer, without writing anything.

The drivers are imported when they are needed: a simulation has those of the stores that it uses.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from math import ceil
from typing import Any, Final, cast

from acteon.audit import AuditPlugin
from acteon.core import AUDIT, STATE, load_plugin
from acteon.simulation.errors import BackendUnavailableError
from acteon.simulation.stores import audit_store, state_store
from acteon.state import StatePlugin

_AUDIT_ONLY: Final = frozenset({"elasticsearch"})


def probe(name: str, url: str) -> Callable[[], Awaitable[None]]:
    """Return what asks the store `name` at `url`, one that simulations take, whether it answers.

    The driver is imported here, which takes longer than an answer may. What asks raises an
    `ActeonError`, whose text says why there is no answer.

    Raises:
        ActeonError: It cannot be asked.
    """
    # No run has this name: nothing is written.
    if name in _AUDIT_ONLY:
        base: type[Any] = AuditPlugin
        group, plugin = AUDIT, audit_store(url, run="probe").plugin
    else:
        base = StatePlugin
        group, plugin = STATE, state_store(url, run="probe").plugin
    settings = cast("Mapping[str, Any]", plugin.settings)
    return partial(_PROBES[name], load_plugin(group, name, base).Config(**settings))


async def _redis(config: Any) -> None:
    from acteon.state_redis.clients import make_client
    from acteon.state_redis.errors import DRIVER_ERRORS, translated

    connection: Any = make_client(config)
    try:
        try:
            await connection.client.ping()
        finally:
            await connection.aclose()
    except DRIVER_ERRORS as error:
        raise translated(error, str(config.place)) from error


async def _postgres(config: Any) -> None:
    from psycopg import AsyncConnection, Error

    from acteon.state_postgres.errors import line

    try:
        connection = await AsyncConnection.connect(
            config.url, connect_timeout=ceil(config.connect_timeout_seconds)
        )
        async with connection:
            await connection.execute("SELECT 1")
    except Error as error:
        raise BackendUnavailableError(f"postgres: {line(error)}") from error


async def _dynamodb(config: Any) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    from acteon.state_dynamodb.calls import Calls
    from acteon.state_dynamodb.errors import translated

    try:
        async with Calls(config) as calls:
            await calls.call("list_tables", {"Limit": 1}, repeatable=True)
    except (ClientError, BotoCoreError, TimeoutError) as error:
        raise translated(error, config.where) from error


async def _clickhouse(config: Any) -> None:
    from acteon.state_clickhouse import Calls

    async with Calls(config) as calls:
        await calls.ask("SELECT 1")


async def _elasticsearch(config: Any) -> None:
    from acteon.audit_elasticsearch.calls import Calls

    async with Calls(config) as calls:
        await calls.run(lambda client: client.cluster.health())


_PROBES: Final[Mapping[str, Callable[[Any], Awaitable[None]]]] = {
    "redis": _redis,
    "postgres": _postgres,
    "dynamodb": _dynamodb,
    "clickhouse": _clickhouse,
    "elasticsearch": _elasticsearch,
}
