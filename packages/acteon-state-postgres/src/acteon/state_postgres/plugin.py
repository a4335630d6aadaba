"""The backend `postgres`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from acteon.state import StateBackend, StatePlugin
from acteon.state_postgres.config import PostgresStateConfig
from acteon.state_postgres.connections import Connections
from acteon.state_postgres.dispatch import PostgresDispatch
from acteon.state_postgres.layout import Layout
from acteon.state_postgres.locks import PostgresLocks
from acteon.state_postgres.schema import prepare
from acteon.state_postgres.store import PostgresStateStore
from acteon.state_postgres.sweeper import sweep_now_and_then


class PostgresStatePlugin(StatePlugin):
    """Opens the backend, making its tables when they are missing."""

    Config = PostgresStateConfig
    kit = "1"

    @classmethod
    @asynccontextmanager
    async def open(cls, config: PostgresStateConfig) -> AsyncGenerator[StateBackend]:
        layout = Layout.of(config)
        async with Connections(config) as connections:
            await prepare(connections, layout)
            connections.start(sweep_now_and_then(connections, layout, config.sweep_interval))
            yield StateBackend(
                PostgresStateStore(connections, layout),
                PostgresLocks(connections, layout),
                PostgresDispatch(connections, layout),
            )
