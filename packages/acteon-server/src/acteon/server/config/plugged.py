"""Sections whose keys are partly those of a plugin: `[state]`, `[audit]` and `[[providers]]`."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

import attrs
from attrs import evolve, frozen

from acteon.audit import AuditPlugin
from acteon.core import AUDIT, PROVIDERS, STATE, ConfigError, PluginNotFoundError, load_plugin
from acteon.provider import ProviderPlugin
from acteon.server.config.kinds import is_list, is_table
from acteon.server.config.relations import problems_between
from acteon.server.config.report import Report
from acteon.server.config.sections import AuditSection, ProviderSection, StateSection
from acteon.server.config.structure import (
    Place,
    Problem,
    ProblemsError,
    keys_of,
    structure,
    unknown_key,
)
from acteon.state import StatePlugin

log = logging.getLogger(__name__)
T = TypeVar("T")


@frozen(kw_only=True)
class BackendSection:
    """A section that names a backend and holds its settings.

    Attributes:
        name: The section's.
        cls: Our part of it.
        group: The entry-point group of the backends.
        base: What is registered there.
        common: Keys that every backend takes, used or not, so that one can be switched for
            another.
        not_found: The text for a backend that there is not; takes its name.
        missing: The text for a required key; takes the backend's name and the key.
    """

    name: str
    cls: type[StateSection | AuditSection]
    group: str
    base: type[StatePlugin | AuditPlugin]
    common: tuple[str, ...]
    not_found: str
    missing: str

    def paths(self, plugin: type[StatePlugin | AuditPlugin] | None) -> Iterable[tuple[str, ...]]:
        """Return the places of the keys that are not ours but of all plugins, or of `plugin`."""
        own = () if plugin is None else keys_of(plugin.Config)
        return [(self.name, key) for key in dict.fromkeys((*self.common, *own))]

    def load(self, backend: str, report: Report) -> type[StatePlugin | AuditPlugin] | None:
        """Return the plugin of `backend`, or report why there is none and return None."""
        try:
            plugin = load_plugin(self.group, backend, self.base)
            _check_config_class(plugin, f"{self.group} plugin {backend!r}")
        except PluginNotFoundError as error:
            report.line(f"{self.not_found.format(backend)}: {error}")
        except ConfigError as error:
            report.line(f"configuration error: {error}")
        else:
            return plugin
        return None

    def structured(
        self,
        table: Mapping[str, Any],
        plugin: type[StatePlugin | AuditPlugin] | None,
        report: Report,
        *,
        in_use: bool,
    ) -> StateSection | AuditSection | None:
        """Return the section that `table` holds, or report its problems and return None.

        Args:
            table: The section in the document.
            plugin: The backend's; None: it could not be had, or nothing of its own is said.
            report: Takes the problems.
            in_use: Whether the backend will be opened; if not, it may lack what it requires.
        """
        place = (self.name,)
        ours = keys_of(self.cls)
        rest = {key: value for key, value in table.items() if key not in ours}
        section = structured(
            {key: table[key] for key in table if key in ours}, self.cls, place, report
        )
        if plugin is None:
            if not in_use:
                for key in sorted(rest.keys() - set(self.common)):
                    text = unknown_key(key, [*ours, *self.common])
                    report.add(Problem((self.name, key), text, known=(*ours, *self.common)))
            return section
        theirs = keys_of(plugin.Config)
        for key in [key for key in self.common if key in rest and key not in theirs]:
            log.info(
                "the configured backend makes no use of a key",
                extra={"acteon.key": f"[{self.name}] {key}"},
            )
            del rest[key]
        settings, problems = _attempt(rest, plugin.Config, place, (*ours, *self.common))
        for problem in problems:
            if not problem.missing:
                report.add(problem)
            elif in_use:
                backend = str(table.get("backend", "memory"))
                report.say(self.missing.format(backend, str(problem.place[-1])))
        return None if section is None else evolve(section, settings=settings)


STATE_SECTION: Final = BackendSection(
    name="state",
    cls=StateSection,
    group=STATE,
    base=StatePlugin,
    common=("url", "prefix", "region", "table_name"),
    not_found="configuration error: unsupported state backend: {} (is the feature enabled?)",
    missing="{} backend requires {!r} in [state]",
)
AUDIT_SECTION: Final = BackendSection(
    name="audit",
    cls=AuditSection,
    group=AUDIT,
    base=AuditPlugin,
    common=("url", "prefix"),
    not_found="configuration error: unknown audit backend: {} (is the feature enabled?)",
    missing="audit {} backend requires [audit] {}",
)


def structured(table: Mapping[str, Any], cls: type[T], place: Place, report: Report) -> T | None:
    """Return `table` as a `cls`, or report its problems and return None."""
    found, problems = _attempt(table, cls, place)
    for problem in problems:
        report.add(problem)
    return found


def structured_providers(tables: object, report: Report) -> tuple[ProviderSection, ...]:
    """Return the providers that `[[providers]]` lists, without those whose problems it reports."""
    if not is_list(tables):
        report.say("[providers]: write [[providers]], in double brackets, above each provider")
        return ()
    found: dict[str, ProviderSection] = {}
    for index, table in enumerate(tables):
        place = ("providers", index)
        if not is_table(table):
            report.add(Problem(place, "is no table; write [[providers]] above its keys"))
            continue
        section = _provider(table, place, report)
        if section is None:
            continue
        if section.name in found:
            report.say(
                f"provider {section.name!r}: there are two providers of that name; rename one"
            )
        found.setdefault(section.name, section)
    if len(found) == len(tables):  # Of those with problems nobody knows what they are.
        for problem in problems_between(tuple(found.values())):
            report.say(problem)
    return tuple(found.values())


def _provider(table: dict[str, Any], place: Place, report: Report) -> ProviderSection | None:
    ours = keys_of(ProviderSection)
    section = structured(
        {key: table[key] for key in table if key in ours}, ProviderSection, place, report
    )
    if section is None:
        return None
    try:
        plugin = load_plugin(PROVIDERS, section.type, ProviderPlugin)
        _check_config_class(plugin, f"{PROVIDERS} plugin {section.type!r}")
    except ConfigError as error:
        report.add(Problem((*place, "type"), str(error)))
        return None
    rest = {key: table[key] for key in table if key not in ours}
    settings, problems = _attempt(rest, plugin.Config, place, ours)
    for problem in problems:
        if problem.missing and len(problem.place) == len(place) + 1:
            key = str(problem.place[-1])
            report.say(f"provider {section.name!r}: {section.type} type requires a {key!r} field")
        else:
            report.add(problem)
    return None if problems else evolve(section, settings=settings)


def _attempt(
    table: Mapping[str, Any], cls: type[T], place: Place, also: Iterable[str] = ()
) -> tuple[T | None, tuple[Problem, ...]]:
    try:
        return structure(table, cls, place, also), ()
    except ProblemsError as error:
        return None, error.problems


def _check_config_class(plugin: type[Any], what: str) -> None:
    if not attrs.has(getattr(plugin, "Config", object)):
        raise ConfigError(f"{what} names no attrs class as its Config; its author must mend that")
