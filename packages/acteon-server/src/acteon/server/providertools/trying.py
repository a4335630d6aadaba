"""Providers of a configuration, tried without a server."""

import difflib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from attrs import evolve, frozen

from acteon.core import Action, ConfigError, ProviderResponse, ResponseStatus
from acteon.executor import Execution, Executor
from acteon.provider import GroupConfig, ProviderHealth, check_health
from acteon.server.config import Config, ProviderSection
from acteon.server.opening import executor_settings
from acteon.server.providing import ConfiguredProviders


@frozen
class Tried:
    """What came of one real action.

    Attributes:
        execution: What the provider made of it.
        seconds: How long that took.
    """

    execution: Execution
    seconds: float

    @property
    def delivered(self) -> bool:
        """Whether it was delivered, in whole or in part."""
        result = self.execution.result
        return isinstance(result, ProviderResponse) and result.status is not ResponseStatus.FAILURE

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        execution = self.execution
        result = execution.result
        told: dict[str, Any] = {
            "provider": execution.provider,
            "delivered": self.delivered,
            "delivery": execution.certainty.value,
            "attempts": execution.attempts,
            "seconds": round(self.seconds, 3),
        }
        if isinstance(result, ProviderResponse):
            return {**told, "response": result.as_json()}
        failed: dict[str, Any] = result.as_json()["Failed"]
        return {**told, "error": failed}


async def try_provider(config: Config, name: str, action: Action) -> Tried:
    """Hand `action` to the provider `name`, as a server does after its rules.

    Raises:
        ConfigError: There is no such provider, or it cannot be opened.
    """
    async with ConfiguredProviders(_needed(config, name)) as configured:
        executor = Executor(executor_settings(config), providers=configured.registry)
        started = executor.clock.monotonic()
        execution = await executor.execute(configured.registry[name], action)
        return Tried(execution, executor.clock.monotonic() - started)


async def checked(config: Config, limit: timedelta) -> tuple[ProviderHealth, ...]:
    """Return how each provider is, in the order of their names.

    Args:
        config: Names them.
        limit: How long each may take.

    Raises:
        ConfigError: One of them cannot be opened.
    """
    async with ConfiguredProviders(config) as configured:
        return await check_health(configured.registry, timeout=limit)


def _needed(config: Config, name: str) -> Config:
    """Return `config` with no providers but `name` and those that it names.

    Raises:
        ConfigError: There is no such provider.
    """
    named = {section.name: section for section in config.providers}
    if name not in named:
        close = difflib.get_close_matches(name, named, n=1)
        there = f"there are {', '.join(named)}" if named else "there are none"
        hint = f"did you mean {close[0]!r}?" if close else there
        raise ConfigError(f"there is no provider {name!r} in [[providers]]; {hint}")
    wanted: dict[str, ProviderSection] = {}
    _collect(named[name], named, wanted)
    return evolve(config, providers=tuple(wanted.values()))


def _collect(
    section: ProviderSection,
    named: Mapping[str, ProviderSection],
    wanted: dict[str, ProviderSection],
) -> None:
    if section.name in wanted:
        return
    wanted[section.name] = section
    others = section.settings.members if isinstance(section.settings, GroupConfig) else ()
    breaker = section.circuit_breaker
    fallback = () if breaker is None or breaker.fallback is None else (breaker.fallback,)
    for other in (*others, *fallback):
        _collect(named[other], named, wanted)
