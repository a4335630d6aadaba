"""The stores of a simulation: each run has tables, indices or keys of its own, and removes them.

| form | what is there |
|---|---|
| `memory` | the memory of the process |
| `redis://…`, `rediss://…`, `unix://…`, `redis+sentinel://…`, `redis+cluster://…` | Redis |
| `postgres://…`, `postgresql://…` | PostgreSQL |
| `dynamodb+http://host:port`, `dynamodb://region` | DynamoDB |
| `clickhouse://…`, `clickhouses://…` | ClickHouse |
| `elasticsearch+http://…`, `elasticsearch+https://…` | Elasticsearch |
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final, cast
from urllib.parse import urlsplit

from attrs import frozen

from acteon.audit import AuditPlugin
from acteon.core import AUDIT, STATE, ConfigError, PluginNotFoundError, load_plugin
from acteon.gateway import Plugin
from acteon.simulation import cleaning
from acteon.simulation.errors import BackendUnavailableError
from acteon.state import StatePlugin

log = logging.getLogger(__name__)

Clean = Callable[[Any], Awaitable[None]]

_SCHEMES: Final[Mapping[str, str]] = {
    "redis": "redis",
    "rediss": "redis",
    "unix": "redis",
    "redis+sentinel": "redis",
    "rediss+sentinel": "redis",
    "redis+cluster": "redis",
    "rediss+cluster": "redis",
    "postgres": "postgres",
    "postgresql": "postgres",
    "dynamodb": "dynamodb",
    "dynamodb+http": "dynamodb",
    "dynamodb+https": "dynamodb",
    "clickhouse": "clickhouse",
    "clickhouses": "clickhouse",
    "elasticsearch+http": "elasticsearch",
    "elasticsearch+https": "elasticsearch",
}
_OWN: Final[Mapping[str, Callable[[str], Mapping[str, Any]]]] = {
    "redis": lambda run: {"prefix": f"acteon-sim-{run}"},
    "postgres": lambda run: {"prefix": f"acteon_sim_{run}_"},
    "dynamodb": lambda run: {"table_name": f"acteon-sim-{run}", "create_table": True},
    "clickhouse": lambda run: {"prefix": f"acteon_sim_{run}_"},
    "elasticsearch": lambda run: {"prefix": f"acteon_sim_{run}_"},
}
"""What makes the things of a run its own; none of them begins like those of another run."""
_STATE_MORE: Final[Mapping[str, Mapping[str, Any]]] = {"clickhouse": {"allow_weak_locks": True}}
_EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    STATE: ("redis", "postgres", "dynamodb", "clickhouse"),
    AUDIT: ("postgres", "clickhouse", "elasticsearch"),
}
"""Which of our stores are for what."""
_CLEANING: Final = timedelta(seconds=30)
_CLEANERS: Final[Mapping[str, Clean]] = {
    "redis": cleaning.redis,
    "postgres": cleaning.postgres,
    "dynamodb": cleaning.dynamodb,
    "clickhouse": cleaning.clickhouse,
    "elasticsearch": cleaning.elasticsearch,
}


@frozen
class Store:
    """Where a run keeps something.

    Attributes:
        plugin: What opens it.
        clean: Removes all that the run has written there.
    """

    plugin: Plugin
    clean: Callable[[], Awaitable[None]]


def state_store(given: str | Plugin, *, run: str) -> Store:
    """Return the state store `given` for the run of that name.

    Raises:
        BackendUnavailableError: Its package is not installed.
        ConfigError: There is no such store, or it cannot be set up so.
    """
    return _store(STATE, StatePlugin, given, run, _STATE_MORE, "state")


def audit_store(given: str | Plugin, *, run: str) -> Store:
    """Return the audit store `given` for the run of that name; raises as `state_store` does."""
    return _store(AUDIT, AuditPlugin, given, run, {}, "audit")


def _store(
    group: str,
    base: type[Any],
    given: str | Plugin,
    run: str,
    more: Mapping[str, Mapping[str, Any]],
    what: str,
) -> Store:
    plugin = Plugin(*_named(given, what)) if isinstance(given, str) else given
    name = plugin.plugin
    if not isinstance(name, str) or name not in _OWN:
        return Store(plugin, _nothing)
    mapping = plugin.settings
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{what}: give the settings of {name!r} as a mapping")
    given_settings = cast("Mapping[str, Any]", mapping)
    settings = {**more.get(name, {}), **_OWN[name](run), **given_settings}
    try:
        config = load_plugin(group, name, base).Config(**settings)
    except PluginNotFoundError as error:
        if name not in _EXTRAS[group]:
            raise ConfigError(
                f"{what}: {name!r} is not for that; there are {', '.join(_EXTRAS[group])}"
            ) from error
        raise _not_installed(what, name) from error
    except ConfigError as error:
        if isinstance(error.__cause__, ImportError):  # The driver, which the plugin needs.
            raise _not_installed(what, name) from error
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what}: {error}") from None
    if given_settings.keys() & _OWN[name](run).keys():
        return Store(Plugin(name, settings), _nothing)  # It may hold what others have written.

    async def clean() -> None:
        try:
            async with asyncio.timeout(_CLEANING.total_seconds()):
                await _CLEANERS[name](config)
        except Exception as error:  # noqa: BLE001 - of any driver; it must not hide why a test failed
            log.warning(
                "what a simulation wrote to a store could not be removed",
                extra={"acteon.store": name, "acteon.run": run, "acteon.error": repr(error)},
            )

    return Store(Plugin(name, settings), clean)


def _not_installed(what: str, name: str) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"{what}: {name!r} needs a package that is not installed: "
        f"pip install 'acteon-simulation[{name}]'"
    )


def _named(given: str, what: str) -> tuple[str, dict[str, Any]]:
    if "://" not in given:
        return given, {}
    scheme = urlsplit(given).scheme
    name = _SCHEMES.get(scheme)
    if name is None:
        raise ConfigError(f"{what}: no store is reached by {scheme}://; there are "
                          f"{', '.join(f'{each}://' for each in _SCHEMES)}")  # fmt: skip
    if scheme == "dynamodb":
        return name, {"region": urlsplit(given).netloc}
    return name, {"url": given.removeprefix(f"{name}+") if name != "redis" else given}


async def _nothing() -> None:
    pass
