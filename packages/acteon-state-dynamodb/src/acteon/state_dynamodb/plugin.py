"""The backend `dynamodb`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from acteon.core import SYSTEM_CLOCK, Clock
from acteon.state import StateBackend, StatePlugin
from acteon.state_dynamodb.calls import Calls
from acteon.state_dynamodb.config import DynamoDBStateConfig
from acteon.state_dynamodb.dispatch import DynamoDBDispatch
from acteon.state_dynamodb.items import Layout
from acteon.state_dynamodb.locks import DynamoDBLocks
from acteon.state_dynamodb.schema import prepare
from acteon.state_dynamodb.store import DynamoDBStateStore
from acteon.state_dynamodb.table import Table


class DynamoDBStatePlugin(StatePlugin):
    """Opens the backend, making its table if that is missing and the configuration says so."""

    Config = DynamoDBStateConfig
    kit = "1"

    @classmethod
    @asynccontextmanager
    async def open(cls, config: DynamoDBStateConfig) -> AsyncGenerator[StateBackend]:
        async with Calls(config) as calls:
            await prepare(calls)
            yield dynamodb_backend(calls)


def dynamodb_backend(calls: Calls, clock: Clock = SYSTEM_CLOCK) -> StateBackend:
    """Return the backend in the table of `calls`, which stay open meanwhile.

    Args:
        calls: How the table is reached.
        clock: Decides what has expired.
    """
    table = Table(calls, Layout(calls.config.prefix), clock)
    dispatch = DynamoDBDispatch(table) if calls.config.fused else None
    return StateBackend(DynamoDBStateStore(table), DynamoDBLocks(table), dispatch)
