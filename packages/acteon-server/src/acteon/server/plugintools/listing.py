"""The plugins that are installed: where from, which version, and what is wrong with them."""

import json
from collections.abc import Mapping
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import attrs
from attrs import frozen

from acteon.audit import AuditPlugin
from acteon.core import AUDIT, PROVIDERS, RULES, STATE, ConfigError, load_plugin
from acteon.provider import ProviderPlugin
from acteon.rules import RuleFrontend
from acteon.state import StatePlugin

GROUPS: Final[Mapping[str, tuple[str, type[Any]]]] = {
    "state": (STATE, StatePlugin),
    "audit": (AUDIT, AuditPlugin),
    "rules": (RULES, RuleFrontend),
    "provider": (PROVIDERS, ProviderPlugin),
}
"""Entry-point groups, and what is registered there, by kind."""


@frozen(kw_only=True)
class Installed:
    """A plugin that a package offers.

    Attributes:
        kind: `state`, `audit`, `rules` or `provider`.
        name: What configurations call it.
        package: The distribution that offers it.
        version: Its version.
        location: Where it is.
        kit: The version of the conformance kit that it says it passed, if it says so.
        problem: Why it cannot be used; None: it can.
    """

    kind: str
    name: str
    package: str
    version: str
    location: str
    kit: str | None
    problem: str | None

    def as_json(self) -> dict[str, str | None]:
        """Return all of it."""
        return attrs.asdict(self)


def installed() -> list[Installed]:
    """Return all plugins, by kind and name; each is imported to see whether that can be done."""
    found: dict[tuple[str, str, str], Installed] = {}
    for kind, (group, base) in GROUPS.items():
        for point in entry_points(group=group):
            one = _looked_at(kind, group, base, point)
            # A package that is on the path twice is offered twice, too.
            found.setdefault((one.kind, one.name, one.package), one)
    return sorted(found.values(), key=lambda one: (list(GROUPS).index(one.kind), one.name))


def _looked_at(kind: str, group: str, base: type[Any], point: EntryPoint) -> Installed:
    kit: str | None = None
    problem: str | None = None
    try:
        plugin = load_plugin(group, point.name, base)
    except ConfigError as error:
        problem = str(error)
    else:
        kit = getattr(plugin, "kit", None)
        if kind != "rules" and not attrs.has(getattr(plugin, "Config", object)):
            problem = f"{group} plugin {point.name!r} names no attrs class as its Config"
    return Installed(
        kind=kind,
        name=point.name,
        package="?" if point.dist is None else point.dist.name,
        version="?" if point.dist is None else point.dist.version,
        location="?" if point.dist is None else _location(point.dist),
        kit=kit,
        problem=problem,
    )


def _location(package: Distribution) -> str:
    """Return the folder of the sources of an editable package, or else where it is installed."""
    try:
        direct: Any = json.loads(package.read_text("direct_url.json") or "{}")
    except ValueError:
        direct = {}
    if direct.get("dir_info", {}).get("editable"):
        return unquote(urlsplit(str(direct.get("url", ""))).path)
    return str(package.locate_file(""))
