"""Finding the plugins that other packages offer through entry points."""

import difflib
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from inspect import isfunction
from typing import TypeVar

from acteon.core.errors import ConfigError, PluginNotFoundError

T = TypeVar("T")

STATE = "acteon.state"
AUDIT = "acteon.audit"
RULES = "acteon.rules"
PROVIDERS = "acteon.providers"

_OFFICIAL = {
    STATE: {
        "memory": "acteon-state-memory",
        "redis": "acteon-state-redis",
        "postgres": "acteon-state-postgres",
        "dynamodb": "acteon-state-dynamodb",
        "clickhouse": "acteon-state-clickhouse",
    },
    AUDIT: {
        "memory": "acteon-audit-memory",
        "postgres": "acteon-audit-postgres",
        "clickhouse": "acteon-audit-clickhouse",
        "elasticsearch": "acteon-audit-elasticsearch",
    },
    RULES: {"yaml": "acteon-rules-yaml", "yml": "acteon-rules-yaml", "cel": "acteon-rules-cel"},
    PROVIDERS: {
        "webhook": "acteon-provider",
        "log": "acteon-provider",
        "group": "acteon-provider",
        "email": "acteon-email",
        "slack": "acteon-slack",
    },
}
"""The packages of the official plugins: it serves the hints below, and nothing else."""


def plugin_names(group: str) -> list[str]:
    """Return the names of the installed plugins of `group`, sorted; none of them is imported."""
    return sorted(set(entry_points(group=group).names))


def official_package(group: str, name: str) -> str | None:
    """Return the package of Acteon's own plugin `name`, or None if it is none of Acteon's."""
    return _OFFICIAL.get(group, {}).get(name)


def load_plugin(group: str, name: str, base: type[T]) -> type[T]:
    """Import the class that is registered as `name` in the entry-point `group`, and nothing else.

    An entry point may also name something that stands for such a class, and has it as its
    attribute `__acteon_plugin__`, as functions marked by a decorator do.

    Raises:
        PluginNotFoundError: No installed package offers it; the text says what would help.
        ConfigError: Two packages offer it, it needs another version of Acteon than there is, it
            cannot be imported, or it is no `base`, or not all of one.
    """
    point = _find(group, name)
    owner = point.dist.name if point.dist else point.value
    what = f"{group} plugin {name!r} of {owner}"
    unmet = _unmet(point)
    if unmet:
        raise ConfigError(f"{what} does not fit: {unmet}")
    try:
        plugin: object = point.load()
    except (Exception, SystemExit) as error:  # It is somebody else's module.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(
            f"{what} cannot be imported: {reason}; mend it, or install another version of {owner}"
        ) from error
    plugin = getattr(plugin, "__acteon_plugin__", plugin)
    marked = group == PROVIDERS and isfunction(plugin)
    if not (isinstance(plugin, type) and issubclass(plugin, base)):
        or_else = ", or a function that is marked by @provider" if marked else ""
        raise ConfigError(
            f"{what} is no {base.__name__}; its entry point {point.value} has to name a subclass "
            f"of it{or_else}"
        )
    unwritten: frozenset[str] = getattr(plugin, "__abstractmethods__", frozenset())
    if unwritten:
        raise ConfigError(
            f"{what} is incomplete: {plugin.__name__} lacks {', '.join(sorted(unwritten))}; its "
            "author must mend that"
        )
    return plugin


def _unmet(point: EntryPoint) -> str:
    """Return which version of Acteon the package of `point` needs that is not there; or nothing."""
    if point.dist is None:
        return ""
    from packaging.requirements import InvalidRequirement, Requirement

    for line in point.dist.requires or ():
        try:
            need = Requirement(line)
        except InvalidRequirement:
            continue
        if not need.name.startswith("acteon") or (need.marker and not need.marker.evaluate()):
            continue
        try:
            there = version(need.name)
        except PackageNotFoundError:
            return f"it needs {need.name}, which is not installed: pip install {need.name}"
        if not need.specifier.contains(there, prereleases=True):
            return (
                f"it needs {need.name}{need.specifier}, and {there} is installed; install another "
                f"version of {point.dist.name}, or of {need.name}"
            )
    return ""


def _find(group: str, name: str) -> EntryPoint:
    found = entry_points(group=group, name=name)
    if not found:
        raise PluginNotFoundError(_not_found(group, name))
    # A package that is installed twice on the path (editable and not) is offered twice, too.
    owners = {(point.dist.name if point.dist else "", point.value) for point in found}
    if len(owners) > 1:
        names = ", ".join(sorted(owner for owner, _ in owners))
        raise ConfigError(
            f"{group} plugin {name!r} is offered by each of: {names}; uninstall all but one"
        )
    return next(iter(found))


def _not_found(group: str, name: str) -> str:
    package = official_package(group, name)
    if package is not None:
        return f"{name!r} needs a package that is not installed: pip install {package}"
    known = sorted({*plugin_names(group), *_OFFICIAL.get(group, {})})
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"there is no {group} plugin {name!r}; did you mean {close[0]!r}?"
    installed = ", ".join(plugin_names(group)) or "none"
    return f"there is no {group} plugin {name!r}; installed: {installed}"
