"""The providers of a configuration: opened, and exchanged while the server runs."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import anyio.to_thread
from attrs import define, field, frozen

from acteon.core import PROVIDERS, SYSTEM_CLOCK, Clock, ConfigError, Tasks, load_plugin
from acteon.gateway import watch
from acteon.provider import (
    Provider,
    ProviderPlugin,
    ProviderRegistry,
    RegisteredProvider,
    lacking,
)
from acteon.server.config import Config, ProviderSection
from acteon.server.explained import explained

log = logging.getLogger(__name__)

NO_PROVIDERS: Final = ProviderRegistry()
LOOK: Final = timedelta(seconds=1)
"""How often the files are looked at though no change of them was reported."""


@frozen(kw_only=True)
class Exchanged:
    """What has become of the providers.

    Attributes:
        added: Names that are new.
        changed: Names whose provider is another one now.
        removed: Names that are gone.
        unchanged: Names whose provider stayed open.
        restart: Other sections of the file that differ from what is in force: they take effect
            when the server is started again.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    restart: tuple[str, ...] = ()


@define(eq=False)
class _Open:
    """One provider that is open, in a task of its own: what is entered there is left there."""

    section: ProviderSection
    registered: RegisteredProvider
    leave: asyncio.Event = field(factory=asyncio.Event)


@define(eq=False)
class ConfiguredProviders:
    """Keeps the providers of a configuration open, as long as it is entered.

    Attributes:
        config: The configuration in force.
        brought: Providers that the program brings itself, which it will close.
        load: Reads the configuration again, in a thread; None: there is nothing to be read.
        registry: All of them, for the gateway.
    """

    config: Config
    brought: ProviderRegistry = NO_PROVIDERS
    load: Callable[[], Config] | None = None
    registry: ProviderRegistry = field(factory=ProviderRegistry, init=False)
    _open: Mapping[str, _Open] = field(factory=dict[str, _Open], init=False)
    _tasks: Tasks = field(factory=Tasks, init=False)
    _turn: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        try:
            await self._exchange(self.config)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        for each in self._open.values():
            each.leave.set()
        await self._tasks.__aexit__(None, None, None)

    async def reload(self) -> Exchanged:
        """Read the configuration again and put its providers in force, or change nothing.

        Calls under way end with the provider that they began with; it is closed after them.

        Raises:
            ConfigError: The configuration, or a provider of it, cannot be used.
        """
        async with self._turn:
            if self.load is None:
                raise ConfigError("there is no configuration file to be read again")
            config = await anyio.to_thread.run_sync(self.load)
            exchanged = await self._exchange(config)
            if exchanged.added or exchanged.changed or exchanged.removed:
                log.info(
                    "providers exchanged",
                    extra={
                        "acteon.added": list(exchanged.added),
                        "acteon.changed": list(exchanged.changed),
                        "acteon.removed": list(exchanged.removed),
                    },
                )
            if exchanged.restart:
                log.warning(
                    "other sections of the configuration have changed, too: they take effect when "
                    "the server is started again",
                    extra={"acteon.sections": list(exchanged.restart)},
                )
            return exchanged

    async def _exchange(self, config: Config) -> Exchanged:
        for section in config.providers:
            if section.name in self.brought:
                raise ConfigError(
                    f"provider {section.name!r}: the program that runs the gateway brings one of "
                    "that name"
                )
        before = self._open
        after: dict[str, _Open] = {}
        new: list[_Open] = []
        try:
            for section in config.providers:
                old = before.get(section.name)
                if old is not None and old.section == section:
                    after[section.name] = old
                    continue
                after[section.name] = await self._opened(section, config)
                new.append(after[section.name])
        except BaseException:
            _leave(new)
            raise
        self.registry.exchange(
            [*self.brought.values(), *(each.registered for each in after.values())]
        )
        self._open = after
        _leave(each for name, each in before.items() if after.get(name) is not each)
        restart, self.config = _differing(self.config, config), config
        both = before.keys() & after.keys()
        return Exchanged(
            added=tuple(sorted(after.keys() - before.keys())),
            changed=tuple(sorted(name for name in both if after[name] is not before[name])),
            removed=tuple(sorted(before.keys() - after.keys())),
            unchanged=tuple(sorted(name for name in both if after[name] is before[name])),
            restart=restart,
        )

    async def _opened(self, section: ProviderSection, config: Config) -> _Open:
        plugin = load_plugin(PROVIDERS, section.type, ProviderPlugin)
        settings = plugin.Config() if section.settings is None else section.settings
        opened: asyncio.Future[_Open] = asyncio.get_running_loop().create_future()
        task = self._tasks.start(_kept_open(plugin, settings, section, opened))
        try:
            with explained(f"provider {section.name!r}", config):
                found = await opened
        except BaseException:
            task.cancel()
            raise
        _warn_about_limit(section, settings, config)
        log.info(
            "provider opened",
            extra={"acteon.provider": section.name, "acteon.type": section.type},
        )
        return found

    async def reload_or_log(self) -> None:
        """Do as `reload` does, but log what keeps it from being done."""
        try:
            await self.reload()
        except ConfigError as error:
            for line in str(error).splitlines():
                log.error(
                    "the changed configuration cannot be used; the providers stay as they were",
                    extra={"acteon.error": line},
                )
        except Exception:
            # Whatever it was: a later change must not be missed.
            log.exception("the configuration could not be read again")

    async def follow_files_forever(self, clock: Clock = SYSTEM_CLOCK) -> None:
        """Put the providers in force whenever a file of the configuration has changed."""
        path = self.config.path
        if path is None:
            return
        # None: a file may have changed between the start and now.
        seen: list[bytes | None] | None = None
        async with aclosing(watch(path, clock, at_least_every=LOOK)) as looks:
            async for _ in looks:
                found = await anyio.to_thread.run_sync(_contents, self.config.files)
                if found != seen:
                    seen = found
                    await self.reload_or_log()


def _contents(files: Iterable[Path]) -> list[bytes | None]:
    """Return a digest of each of `files`; None for one that cannot be read."""
    return [_digest(path) for path in files]


def _digest(path: Path) -> bytes | None:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return None


def _leave(those: Iterable[_Open]) -> None:
    for each in those:
        each.registered.uses.ended = True
        each.leave.set()


async def _kept_open(
    plugin: type[ProviderPlugin],
    settings: object,
    section: ProviderSection,
    opened: "asyncio.Future[_Open]",
) -> None:
    """Open a provider, give it to `opened`, and close it when it is to be left and is unused."""
    stack = AsyncExitStack()
    try:
        provider = await stack.enter_async_context(_opening(plugin, section.name, settings))
        missing = lacking(provider)
        if missing:
            raise ConfigError(
                f"its plugin gives {type(provider).__name__}, which has no "
                f"{' and no '.join(missing)}; its author must mend that"
            )
        found = _Open(
            section,
            RegisteredProvider(
                section.name,
                provider,
                section.idempotent,
                type=section.type,
                limits=section.limits,
                circuit_breaker=section.circuit_breaker,
            ),
        )
    except Exception as error:  # noqa: BLE001 - whoever waits for it raises it
        if not opened.done():
            opened.set_exception(error)
        return
    try:
        if not opened.done():  # Otherwise nobody waits for it any more.
            opened.set_result(found)
            await found.leave.wait()
            await found.registered.uses.over()
    finally:
        await _closed(stack, section.name)


def _opening(plugin: Any, name: str, settings: object) -> AbstractAsyncContextManager[Provider]:
    """Return what opens a provider, which may be anything: somebody else wrote it.

    Raises:
        ConfigError: It is not what it should be.
    """
    found: Any = plugin.open(name, settings)
    if not isinstance(found, AbstractAsyncContextManager):
        raise ConfigError(
            f"its plugin opens with {type(found).__name__}, which is no asynchronous context "
            "manager; its author must mend that"
        )
    return cast("AbstractAsyncContextManager[Provider]", found)


async def _closed(stack: AsyncExitStack, name: str) -> None:
    """Close `stack`; what goes wrong then is logged, and hinders no other provider."""
    try:
        await stack.aclose()
    except Exception:
        log.exception("a provider could not be closed", extra={"acteon.provider": name})


def _warn_about_limit(section: ProviderSection, settings: object, config: Config) -> None:
    """Warn if attempts end before the provider itself gives up, and says what it knows."""
    limit = getattr(settings, "timeout", None)
    if limit is None:
        limit = getattr(settings, "timeout_seconds", None)
    match limit:
        case timedelta():
            seconds = limit.total_seconds()
        case bool():
            return
        case int() | float():
            seconds = float(limit)
        case _:
            return
    own = section.limits.timeout
    attempt = (config.executor.timeout if own is None else own).total_seconds()
    if seconds >= attempt:
        section_of = "[executor]" if own is None else "[providers.limits]"
        log.warning(
            "a provider's time limit never strikes: that of its attempts is not longer",
            extra={
                "acteon.provider": section.name,
                "acteon.limit_seconds": seconds,
                "acteon.attempt_seconds": attempt,
                "acteon.key": f"{section_of} timeout_seconds",
            },
        )


def _differing(one: Config, other: Config) -> tuple[str, ...]:
    """Return the names of the sections in which two configurations differ."""
    names = ("server", "state", "audit", "rules", "executor", "auth", "rate_limit")
    return tuple(name for name in names if getattr(one, name) != getattr(other, name))
