"""One call of a provider, which may do anything: in time, and with an end that is known."""

import asyncio
import logging
from datetime import timedelta
from traceback import format_tb

from acteon.core import Action, ProviderResponse, ResponseStatus, Unfinished, run_eagerly
from acteon.provider import (
    ExecutionFailedError,
    ProviderError,
    ProviderTimeoutError,
    RegisteredProvider,
)

log = logging.getLogger(__name__)


def begun(
    provider: RegisteredProvider, action: Action
) -> ProviderResponse | ProviderError | Unfinished[ProviderResponse]:
    """Hand `action` to `provider` once; return the end of that, if it came without any waiting."""
    try:
        result = run_eagerly(provider.provider.execute(action))
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - somebody else's provider may raise anything
        return _failed(provider, error)
    return result if isinstance(result, Unfinished) else _checked(result)


async def in_time(
    provider: RegisteredProvider,
    call: Unfinished[ProviderResponse],
    limit: timedelta,
    seconds: float,
) -> ProviderResponse | ProviderError:
    """Return how a call ends: what the provider answers, or how it fails.

    Whoever cancels this gets a `CancelledError`, whatever the provider makes of it; a cancellation
    or time-out that the provider brought about by itself is a failure of it.

    Args:
        provider: Who delivers.
        call: What has begun.
        limit: The time that it was given.
        seconds: What is left of that.
    """
    task = asyncio.current_task()
    assert task is not None
    cancellations = task.cancelling()
    scope = asyncio.timeout(seconds)
    result: ProviderResponse | ProviderError
    try:
        async with scope:
            result = await call
    except asyncio.CancelledError as error:
        if task.cancelling() > cancellations:
            raise
        result = _failed(provider, error)
    except Exception as error:  # noqa: BLE001 - as above
        result = _failed(provider, error, expired=scope.expired())
    if task.cancelling() > cancellations:
        # The provider turned the caller's cancellation into something of its own.
        raise asyncio.CancelledError
    if not isinstance(result, ProviderError):
        return _checked(result)
    if scope.expired():
        # However the provider took its being cancelled, the time was over.
        return ProviderTimeoutError(limit)
    return result


def _failed(
    provider: RegisteredProvider, error: BaseException, *, expired: bool = False
) -> ProviderError:
    """Return the provider's error that `error` stands for."""
    if isinstance(error, ProviderError):
        # Its traceback leads to a frame that holds it: a cycle for the collector.
        return error.with_traceback(None)
    if isinstance(error, asyncio.CancelledError):
        # Not for us: the provider awaited something that was cancelled elsewhere.
        return ExecutionFailedError("cancelled from within", delivery="unknown")
    if not expired:
        # Where, but not its text: that may quote the payload, and logs hold no secrets.
        log.error(
            "provider raised what is no ProviderError",
            extra={
                "acteon.provider": provider.name,
                "acteon.error": type(error).__name__,
                "acteon.traceback": "".join(format_tb(error.__traceback__)),
            },
        )
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    return ExecutionFailedError(text, delivery="unknown")


def _checked(result: object) -> ProviderResponse | ProviderError:
    if not isinstance(result, ProviderResponse):
        found = f"no ProviderResponse but {type(result).__name__}"
    elif type(result.status) is not ResponseStatus:
        found = f"a ProviderResponse whose status is {result.status!r}"
    else:
        return result
    return ExecutionFailedError(f"the provider returned {found}", delivery="unknown")
