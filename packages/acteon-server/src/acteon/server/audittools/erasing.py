"""Payloads removed from the audit store of a configuration."""

import asyncio
import getpass
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

from acteon.audit import AuditQuery, AuditStorageError, AuditTrail, Erased
from acteon.core import Caller
from acteon.server.audittools.stores import check_shared
from acteon.server.config import Config
from acteon.server.explained import explained
from acteon.server.opening import open_audit

_LIMIT: Final = 3.0
"""Seconds for the record of what was done to be written."""
_CLOSING: Final = 3.0
"""Seconds to write that it was cut off, and to close: with a store that is away it would take
minutes."""
_PAUSE: Final = 0.05


async def count(config: Config, query: AuditQuery, path: str | None, value: Any) -> int:
    """Return how many payloads `erase` would remove; raises as that does."""
    async with _trail(config) as trail:
        return (await trail.erase(query, path=path, value=value, dry_run=True)).matched


async def erase(config: Config, query: AuditQuery, path: str | None, value: Any) -> Erased:
    """Remove the payloads that fit, as `AuditTrail.erase` does, and see that this is recorded.

    Raises:
        ConfigError: The store cannot be opened, or fails.
    """
    async with _trail(config) as trail:
        erased = await trail.erase(query, path=path, value=value, caller=_caller())
        with suppress(TimeoutError):
            async with asyncio.timeout(_LIMIT):
                await trail.flush()
                while trail.queued:  # noqa: ASYNC110 - it failed, and is tried again
                    await asyncio.sleep(_PAUSE)
        if trail.queued or trail.dropped:
            raise AuditStorageError(
                f"{erased.erased} payloads were erased, but the record of that cannot be written"
            )
        return erased


@asynccontextmanager
async def _trail(config: Config) -> AsyncGenerator[AuditTrail]:
    check_shared(config)
    stack = AsyncExitStack()
    try:
        trail = await open_audit(stack, config)
        assert trail is not None, "it is enabled"
        with explained(f"audit {config.audit.backend}", config):
            yield trail
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING):
                await stack.aclose()


def _caller() -> Caller:
    """Return who runs this command, as far as the system knows."""
    try:
        return Caller(getpass.getuser(), "cli")
    except (OSError, KeyError):  # A container's user that has no name; KeyError before 3.13.
        return Caller("", "cli")
