"""State and locks in ClickHouse, for demonstrations and low rates."""

from acteon.state_clickhouse.calls import Answer, Calls, Engine
from acteon.state_clickhouse.config import ClickHouseConfig, ClickHouseStateConfig
from acteon.state_clickhouse.dispatch import ClickHouseDispatch
from acteon.state_clickhouse.layout import Layout
from acteon.state_clickhouse.locks import ClickHouseLocks
from acteon.state_clickhouse.plugin import ClickHouseStatePlugin, clickhouse_backend
from acteon.state_clickhouse.session import Session
from acteon.state_clickhouse.store import ClickHouseStateStore

__all__ = [
    "Answer",
    "Calls",
    "ClickHouseConfig",
    "ClickHouseDispatch",
    "ClickHouseLocks",
    "ClickHouseStateConfig",
    "ClickHouseStatePlugin",
    "ClickHouseStateStore",
    "Engine",
    "Layout",
    "Session",
    "clickhouse_backend",
]
