"""Plugins that a program names, and their settings."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

from attrs import NOTHING, field, fields, frozen, has

from acteon.audit import AuditPlugin
from acteon.core import ConfigError, PluginNotFoundError, load_plugin
from acteon.provider import ProviderPlugin
from acteon.state import StatePlugin

P = TypeVar("P", StatePlugin, AuditPlugin, ProviderPlugin)

_DEFAULT: Final = "memory"
_EXTRA: Final = "acteon-gateway[embedded]"
"""Brings all that a gateway in a program uses unless it is told otherwise."""


@frozen
class Plugin:
    """A plugin with its settings: `Plugin("webhook", {"url": "https://shop.example/hook"})`.

    Attributes:
        plugin: The name under which an installed package offers it, its class, or a function that
            is marked by `@provider`.
        settings: Attributes of the plugin's `Config`, by name, or an object of that class; what
            is not given has its default.
    """

    plugin: (
        str | type[StatePlugin] | type[AuditPlugin] | type[ProviderPlugin] | Callable[..., object]
    )
    settings: object = field(factory=dict[str, Any], repr=False)


def load(group: str, base: type[P], given: str | Plugin, what: str) -> tuple[type[P], Any]:
    """Return the class of a plugin, and its configuration.

    Args:
        group: The entry-point group.
        base: What its plugins are.
        given: The plugin, or its name alone.
        what: What texts call it: `state`.

    Raises:
        ConfigError: There is no such plugin, or its settings cannot be used.
    """
    plugin = given if isinstance(given, Plugin) else Plugin(given)
    found = plugin.plugin
    if isinstance(found, str):
        loaded = _loaded(group, base, found, what)
    else:
        loaded = _checked(found, base, what)
    return loaded, _configured(loaded.Config, plugin.settings, what)


def _loaded(group: str, base: type[P], name: str, what: str) -> type[P]:
    try:
        return load_plugin(group, name, base)
    except PluginNotFoundError as error:
        text = str(error)
        if name == _DEFAULT:
            text = f"{name!r} needs a package that is not installed: pip install '{_EXTRA}'"
        raise PluginNotFoundError(f"{what}: {text}") from None
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from error


def _checked(found: object, base: type[P], what: str) -> type[P]:
    name = _named(found)
    found = getattr(found, "__acteon_plugin__", found)
    if isinstance(found, type) and issubclass(found, base):
        return found
    raise ConfigError(f"{what}: {name} is no {base.__name__}")


def _configured(config: type[Any], settings: object, what: str) -> Any:
    if type(settings) is config:
        return settings
    if not isinstance(settings, Mapping):
        raise ConfigError(
            f"{what}: settings are a mapping or a {config.__name__}, not a {_named(settings)}"
        )
    known = [each for each in fields(config) if each.init] if has(config) else []
    names = [each.alias or each.name for each in known]
    given = cast("Mapping[str, object]", settings)
    for name in given:
        if name not in names:
            raise ConfigError(f"{what}: unknown setting {name!r}{_meant(name, names)}")
    required = [name for each, name in zip(known, names, strict=True) if each.default is NOTHING]
    missing = [repr(name) for name in required if name not in given]
    if missing:
        raise ConfigError(f"{what}: settings lack {' and '.join(missing)}")
    try:
        return config(**given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what}: {_plain(error)}") from None


def _meant(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(names)}" if names else "; it has none"


def _plain(error: Exception) -> str:
    # attrs passes more than the text to some of its errors.
    return str(error.args[0]) if error.args else type(error).__name__


def _named(thing: object) -> str:
    return thing.__name__ if isinstance(thing, type) else type(thing).__name__
