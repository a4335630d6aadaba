"""The backend `redis`."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from acteon.state import DispatchState, StateBackend, StatePlugin
from acteon.state_redis.calls import Calls
from acteon.state_redis.clients import Client, make_client
from acteon.state_redis.config import RedisStateConfig
from acteon.state_redis.dispatch import RedisDispatch
from acteon.state_redis.errors import DRIVER_ERRORS
from acteon.state_redis.eviction import warn_of_eviction
from acteon.state_redis.names import Names
from acteon.state_redis.slots import ClusterDispatch
from acteon.state_redis.spread import SpreadDispatch
from acteon.state_redis.store import RedisLocks, RedisStateStore
from acteon.state_redis.urls import Mode


class RedisStatePlugin(StatePlugin):
    """Opens a backend whose entries are in Redis, which must be reachable and take writes."""

    Config = RedisStateConfig
    kit = "1"

    @classmethod
    @asynccontextmanager
    async def open(cls, config: RedisStateConfig) -> AsyncGenerator[StateBackend]:
        place = config.place
        async with AsyncExitStack() as stack:
            client = make_client(config)
            stack.push_async_callback(_close, client)
            calls = await stack.enter_async_context(
                Calls(
                    client,
                    place=str(place),
                    connections=config.connections,
                    patience=config.connect_timeout + config.command_timeout,
                )
            )
            names = Names(config.prefix, tagged=place.mode is Mode.CLUSTER)
            store, locks = RedisStateStore(calls, names), RedisLocks(calls, names)
            dispatch: DispatchState = RedisDispatch(calls, names)
            if place.mode is Mode.CLUSTER:
                together = RedisDispatch(calls, names)
                dispatch = ClusterDispatch(together, SpreadDispatch(together, store, locks))
            await store.ping()
            await warn_of_eviction(calls, names.lock(""))
            yield StateBackend(store, locks, dispatch)


async def _close(client: Client) -> None:
    # A server that does not answer any more cannot keep us from leaving.
    with suppress(*DRIVER_ERRORS):
        await client.aclose()
