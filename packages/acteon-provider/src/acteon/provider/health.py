"""Asking all providers how they are."""

import asyncio
from datetime import timedelta

from attrs import frozen

from acteon.core import duration_text
from acteon.provider.errors import ProviderError
from acteon.provider.registry import ProviderRegistry, RegisteredProvider


@frozen
class ProviderHealth:
    """How one provider is.

    Attributes:
        provider: Its name.
        healthy: Whether a delivery would have a chance.
        error: Why not; None when healthy.
    """

    provider: str
    healthy: bool
    error: str | None = None

    def as_json(self) -> dict[str, str | bool | None]:
        return {"error": self.error, "healthy": self.healthy, "provider": self.provider}


async def check_health(
    registry: ProviderRegistry,
    *,
    timeout: timedelta,  # noqa: ASYNC109 - it is for each of them, not for the call
) -> tuple[ProviderHealth, ...]:
    """Return how each provider is, in the order of their names.

    All are asked at once; whatever one of them does, the others are not affected.

    Args:
        registry: Whom to ask.
        timeout: How long each may take.
    """
    async with asyncio.TaskGroup() as group:
        checks = [group.create_task(_check(provider, timeout)) for provider in registry.values()]
    return tuple(check.result() for check in checks)


async def _check(registered: RegisteredProvider, limit: timedelta) -> ProviderHealth:
    scope = asyncio.timeout(limit.total_seconds())
    try:
        async with scope:
            await registered.provider.health_check()
    except ProviderError as error:
        return ProviderHealth(registered.name, healthy=False, error=str(error))
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        problem = "the check was cancelled from within"  # As by a future that somebody cancelled.
    except Exception as error:  # noqa: BLE001 - somebody else's provider may raise anything
        problem = type(error).__name__
        if scope.expired():
            problem = f"no answer within {duration_text(limit)}"
    else:
        return ProviderHealth(registered.name, healthy=True)
    return ProviderHealth(registered.name, healthy=False, error=problem)
