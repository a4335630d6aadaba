"""Who delivers for a gateway in a program: functions, objects and plugins, under their names."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, cast

from attrs import evolve

from acteon.core import PROVIDERS, Action, ConfigError
from acteon.gateway.plugged import Plugin, load
from acteon.provider import (
    MEMBERS,
    FunctionProvider,
    Provider,
    ProviderPlugin,
    ProviderRegistry,
    RegisteredProvider,
    lacking,
    plugin_of,
)
from acteon.provider.function import NoKeys

Deliverer = Callable[[Action], object] | Provider | RegisteredProvider
"""Delivers actions: a function, `async` or not, or a provider."""

Providers = Sequence[Deliverer] | Mapping[str, Deliverer | Plugin]
"""Deliverers by name; without names, each is called by its own."""

Named = Provider | RegisteredProvider | Plugin


def by_name(providers: Providers) -> dict[str, Named]:
    """Return `providers` by name, functions as `FunctionProvider`s.

    Raises:
        ConfigError: One of them delivers nothing, has no name, or shares it.
    """
    found: dict[str, Named] = {}
    for name, given in _pairs(providers):
        if name in found:
            raise ConfigError(
                f"providers: two are called {name!r}; name them: providers={{{name!r}: ..., ...}}"
            )
        found[name] = _provider(given, name)
    return found


def _pairs(providers: object) -> Iterator[tuple[str, object]]:
    if isinstance(providers, Mapping):
        for name, given in cast("Mapping[object, object]", providers).items():
            if not isinstance(name, str) or not name:
                raise ConfigError(f"providers: a name is a text that is not empty: {name!r}")
            yield name, given
    elif isinstance(providers, Iterable) and not isinstance(providers, str):
        for given in cast("Iterable[object]", providers):
            yield _own_name(given), given
    else:
        raise ConfigError(
            "providers: give a list of them, or a mapping of names to them, "
            f"not {_shown(providers)}"
        )


async def open_registry(stack: AsyncExitStack, providers: Mapping[str, Named]) -> ProviderRegistry:
    """Return the registry of `providers`, with those opened on `stack` that are plugins.

    Raises:
        ConfigError: A plugin cannot be used as it is set up.
    """
    opened: list[RegisteredProvider] = []
    for name, given in providers.items():
        if isinstance(given, Plugin):
            plugin, config = load(PROVIDERS, ProviderPlugin, given, f"provider {name!r}")
            provider = await stack.enter_async_context(plugin.open(name, config))
            opened.append(RegisteredProvider(name, provider))
        elif isinstance(given, RegisteredProvider):
            opened.append(evolve(given, name=name))
        else:
            opened.append(RegisteredProvider(name, given))
    return ProviderRegistry.listing(opened)


def _provider(given: Any, name: str) -> Named:
    if isinstance(given, RegisteredProvider | Plugin):
        return given
    if inspect.isclass(given):
        raise ConfigError(
            f"provider {name!r} is the class {given.__name__}: give an object of it, "
            f"{given.__name__}(...)"
        )
    if hasattr(given, "execute"):
        missing = lacking(given)
        if missing:
            raise ConfigError(
                f"provider {name!r}: {type(given).__name__} has no {' and no '.join(missing)}; "
                f"a provider has {', '.join(MEMBERS)}"
            )
        found: Provider = given
        return found
    marked = plugin_of(given)
    if marked is not None:
        if marked.Config is not NoKeys:
            raise ConfigError(
                f"provider {name!r} takes a configuration: {{{name!r}: Plugin({name}, {{...}})}}"
            )
        return FunctionProvider(given, marked.idempotent)
    try:
        return FunctionProvider(given)
    except TypeError as error:
        raise ConfigError(f"provider {name!r}: {error}") from None


def _own_name(given: Any) -> str:
    """Return what `given` calls itself."""
    name = getattr(given, "name", None) or getattr(given, "__name__", None)
    if isinstance(name, str) and name != "<lambda>":
        return name
    if isinstance(given, Plugin) or callable(given) or hasattr(given, "execute"):
        raise ConfigError(
            f"providers: {_shown(given)} has no name of its own; name it: "
            "providers={'a-name': ...}"
        )
    raise ConfigError(f"providers: {_shown(given)} is neither a function nor a provider")


def _shown(given: object) -> str:
    """Return what texts call `given`, whose contents may be secret."""
    if getattr(given, "__name__", None) == "<lambda>":
        return "a lambda"
    if inspect.isroutine(given):
        return f"the function {given.__name__}"
    return f"a {type(given).__name__}"
