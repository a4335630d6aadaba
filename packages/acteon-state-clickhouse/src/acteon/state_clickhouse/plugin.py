"""The backend `clickhouse`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from acteon.core import ConfigError
from acteon.state import StateBackend, StatePlugin
from acteon.state_clickhouse.calls import Calls
from acteon.state_clickhouse.config import ClickHouseStateConfig
from acteon.state_clickhouse.dispatch import ClickHouseDispatch
from acteon.state_clickhouse.layout import Layout
from acteon.state_clickhouse.locks import ClickHouseLocks
from acteon.state_clickhouse.session import Session
from acteon.state_clickhouse.store import ClickHouseStateStore
from acteon.state_clickhouse.sweeper import keep_time, sweep_now_and_then

WEAK = (
    "clickhouse has no conditional writes, so its locks hold only while one server answers in "
    "time: use redis, postgres or dynamodb, or set allow_weak_locks = true in [state] for demos"
)


class ClickHouseStatePlugin(StatePlugin):
    """Opens the backend, making its tables when they are missing, if weak locks are allowed."""

    Config = ClickHouseStateConfig
    kit = "1"

    @classmethod
    @asynccontextmanager
    async def open(cls, config: ClickHouseStateConfig) -> AsyncGenerator[StateBackend]:
        if not config.allow_weak_locks:
            raise ConfigError(WEAK)
        config.check_files()
        async with Calls(config) as calls:
            layout = Layout(config.prefix, await calls.version())
            async with Session(calls, layout, config.patience) as session:
                session.start(sweep_now_and_then(session, config.sweep_interval))
                session.start(keep_time(session))
                yield clickhouse_backend(session)


def clickhouse_backend(session: Session) -> StateBackend:
    """Return the backend on the tables of `session`, which stays open meanwhile."""
    return StateBackend(
        ClickHouseStateStore(session), ClickHouseLocks(session), ClickHouseDispatch(session)
    )
