"""The configuration file of a node that is a process."""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final, cast

from attrs import fields

from acteon.core import ConfigError
from acteon.gateway import Plugin
from acteon.provider import CallLimits, CircuitBreaker, RegisteredProvider
from acteon.simulation.config import SimulationConfig

_SIMULATED: Final = "simulated"
_NO_TIME: Final = timedelta(0)


def server_config(
    config: SimulationConfig,
    *,
    state: Plugin,
    audit: Plugin | None,
    rules: Path,
    providers: Iterable[RegisteredProvider],
    bridge: str,
) -> str:
    """Return the TOML text that makes an `acteon-server` a node of `config`.

    Args:
        config: What the simulation consists of.
        state: Where state is kept.
        audit: Where dispatches are recorded; None: nowhere.
        rules: The directory of the rule files.
        providers: Who delivers, in the test.
        bridge: Where the test serves them.

    Raises:
        ConfigError: Something has no form in a file.
    """
    settings, executor, trail = config.settings, config.executor, config.audit_settings
    sections: dict[str, dict[str, Any]] = {
        "state": _backend(state, "state"),
        "audit": {"enabled": False} if audit is None else {
            "enabled": True,
            **_backend(audit, "audit"),
            "ttl_seconds": trail.ttl or _NO_TIME,
            "store_payload": trail.store_payload,
            "mode": trail.mode,
            "flush_delay_seconds": trail.flush_delay,
        },
        "rules": {
            "directory": rules,
            "on_error": settings.on_rule_error,
            "on_store_error": settings.on_store_error,
        },
        "rules.environment": dict(config.environment),
        "executor": {
            "max_retries": executor.max_retries,
            "timeout_seconds": executor.timeout,
            "max_concurrent": executor.max_concurrent,
            "dlq_enabled": config.dead_letters,
            "lock_wait_seconds": settings.patience,
            "lock_lease_seconds": settings.lease,
            "on_unknown": settings.on_unknown,
        },
    }  # fmt: skip
    lines: list[str] = []
    for name, members in sections.items():
        lines += [f"[{name}]", *_members(members), ""]
    for provider in providers:
        lines += _provider(provider, bridge)
    return "\n".join(lines)


def _provider(provider: RegisteredProvider, bridge: str) -> list[str]:
    members = {
        "name": provider.name,
        "type": _SIMULATED,
        "url": bridge,
        "idempotent": provider.provider.idempotent,
    }
    lines = ["[[providers]]", *_members(members), ""]
    for key, part in (("limits", provider.limits), ("circuit_breaker", provider.circuit_breaker)):
        if part is not None:
            lines += [f"[providers.{key}]", *_members(_given(part)), ""]
    return lines


def _given(part: CallLimits | CircuitBreaker) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for each in fields(type(part)):
        value = getattr(part, each.name)
        if value is not None and not each.name.startswith("_"):
            name = f"{each.name}_seconds" if isinstance(value, timedelta) else each.name
            members[name] = value
    return members


def _backend(plugin: Plugin, what: str) -> dict[str, Any]:
    given = plugin.settings
    if not isinstance(plugin.plugin, str) or not isinstance(given, Mapping):
        raise ConfigError(f"{what}: processes need a plugin's name and a mapping of its settings")
    settings = cast("Mapping[str, Any]", given)
    return {"backend": plugin.plugin, **settings}


def _members(members: Mapping[str, Any]) -> list[str]:
    return [
        f"{json.dumps(name)} = {_value(value)}"
        for name, value in members.items()
        if value is not None
    ]


def _value(value: Any) -> str:
    """Return `value` as TOML has it; JSON's texts and numbers are TOML's."""
    if isinstance(value, timedelta):
        return repr(value.total_seconds())
    if isinstance(value, Enum):
        return json.dumps(value.value)
    if isinstance(value, Path):
        return json.dumps(str(value))
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, Any]", value).items()
        return "{" + ", ".join(f"{json.dumps(name)} = {_value(each)}" for name, each in pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in cast("Iterable[Any]", value)) + "]"
    return json.dumps(value)
