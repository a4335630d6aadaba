"""How a server ends: in time, whatever those do that are closed."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta

import pytest

from acteon.audit import AuditRecord, AuditStorageError, AuditTrail
from acteon.audit.testing import make_record
from acteon.audit_memory import MemoryAuditStore
from acteon.server.http.running import Shutdown
from acteon.server.serve import close


class AwayStore(MemoryAuditStore):
    """A store that cannot be reached."""

    async def write(self, records: Sequence[AuditRecord]) -> None:
        raise AuditStorageError("nobody answers")


async def hang() -> None:
    """Wait for ever, and let nobody know of a cancellation."""
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


def ordered(left: float) -> Shutdown:
    shutdown = Shutdown(timedelta(seconds=left))
    shutdown.order()
    return shutdown


@pytest.mark.parametrize("left", [0.5, 0.0])
async def test_closing_ends_in_time_though_everything_hangs(
    left: float, caplog: pytest.LogCaptureFixture
) -> None:
    stack = AsyncExitStack()
    stack.push_async_callback(hang)
    trail = await stack.enter_async_context(AuditTrail(AwayStore()))
    await trail.record(make_record())
    stack.push_async_callback(hang)
    stack.push_async_callback(hang)

    async with asyncio.timeout(left + 1):
        await close(stack, ordered(left))

    assert trail.dropped == 1
    assert "audit records may be lost" in caplog.text


async def test_what_ends_in_time_is_not_disturbed(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryAuditStore()
    stack = AsyncExitStack()
    trail = await stack.enter_async_context(AuditTrail(store))
    await trail.record(make_record())
    await close(stack, ordered(30))
    assert (trail.written, trail.dropped) == (1, 0)
    assert "lost" not in caplog.text


async def test_what_closes_is_cancelled_by_others_as_well() -> None:
    stack = AsyncExitStack()
    closed = asyncio.Event()
    reached = asyncio.Event()
    stack.callback(closed.set)

    async def wait() -> None:
        reached.set()
        await asyncio.Event().wait()

    stack.push_async_callback(wait)
    async with asyncio.TaskGroup() as group:
        closing = group.create_task(close(stack, ordered(30)))
        await reached.wait()
        closing.cancel()
    assert closing.cancelled()
    assert closed.is_set()


async def test_an_error_in_closing_is_raised() -> None:
    stack = AsyncExitStack()

    def fail() -> None:
        raise OSError("cannot be closed")

    stack.callback(fail)
    with pytest.raises(OSError, match="cannot be closed"):
        await close(stack, ordered(30))
