"""Making what the backends of a configuration need where they keep it."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

from acteon.server.config import Config
from acteon.server.explained import explained
from acteon.server.opening import open_audit_store, open_state


async def prepare(config: Config) -> AsyncGenerator[str]:
    """Open the backends of `config`, which makes what is missing; tell of each when it is there.

    Raises:
        ConfigError: One of them cannot be opened, or does not answer.
    """
    name = config.state.backend
    async with AsyncExitStack() as stack:
        state = await open_state(stack, config)
        with explained(f"{name} state backend", config):
            await state.store.ping()
    yield f"state: {name} is ready"
    name = config.audit.backend
    if not config.audit.enabled:
        yield "audit: not enabled"
        return
    async with AsyncExitStack() as stack:
        store = await open_audit_store(stack, config)
        with explained(f"audit {name}", config):
            await store.ping()
    yield f"audit: {name} is ready"
