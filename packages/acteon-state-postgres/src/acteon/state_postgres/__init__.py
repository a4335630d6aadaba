"""State and locks in PostgreSQL."""

from acteon.state_postgres.config import PostgresStateConfig
from acteon.state_postgres.connections import Connections
from acteon.state_postgres.dispatch import PostgresDispatch
from acteon.state_postgres.layout import Layout
from acteon.state_postgres.locks import PostgresLocks
from acteon.state_postgres.plugin import PostgresStatePlugin
from acteon.state_postgres.store import PostgresStateStore

__all__ = [
    "Connections",
    "Layout",
    "PostgresDispatch",
    "PostgresLocks",
    "PostgresStateConfig",
    "PostgresStatePlugin",
    "PostgresStateStore",
]
