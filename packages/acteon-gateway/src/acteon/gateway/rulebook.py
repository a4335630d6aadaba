"""The rules in force: those of the files, as toggled, replaced all at once."""

import asyncio
import difflib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import anyio.to_thread
from attrs import define, evolve, field, frozen

from acteon.core import Clock, ConfigError
from acteon.gateway.errors import RuleNotFoundError, RulesNotLoadedError, StateFailedError
from acteon.gateway.loading import load_rules
from acteon.gateway.settings import GatewaySettings
from acteon.gateway.toggles import Toggles, change_toggles, read_toggles
from acteon.provider import ProviderRegistry
from acteon.rules import Problem, Reroute, Rule, RuleParseError, RuleSet
from acteon.state import StateError, StateStore

log = logging.getLogger(__name__)

MAX_NAMED: Final = 20
"""So many of the files that are left alone are named."""


@frozen
class Reloaded:
    """What a reload brought.

    Attributes:
        count: How many rules there are now.
        directory: Where they came from.
        warnings: What is odd about them.
    """

    count: int
    directory: Path
    warnings: tuple[str, ...] = ()


@define(eq=False)
class Rulebook:
    """Holds the rules in force; a dispatch takes `current` once and keeps it to its end.

    Attributes:
        store: Where toggles are shared with other gateways.
        providers: For warnings about routes that lead nowhere.
        settings: How rules that cannot be evaluated are treated.
        clock: When to look for the toggles of others.
        directory: Where the rule files are, if anywhere.
        strict: Whether what would be a warning refuses a rule file.
        current: The rules in force.
        missing: Whether there is no such directory, so that its rules are not in force.
    """

    store: StateStore
    providers: ProviderRegistry
    settings: GatewaySettings
    clock: Clock
    directory: Path | None = None
    strict: bool = False
    current: RuleSet = field(factory=lambda: RuleSet.compile(()))
    missing: bool = field(default=False, init=False)
    _as_written: RuleSet = field(factory=lambda: RuleSet.compile(()), init=False)
    _toggles: Toggles = field(factory=Toggles, init=False)
    _changing: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    def use(self, rules: Iterable[Rule], warnings: Iterable[Problem] = ()) -> tuple[Problem, ...]:
        """Put `rules` in force, as toggled, in place of all others; return what is odd about them.

        Raises:
            RuleParseError: One of them cannot be compiled; nothing changed.
        """
        written = RuleSet.compile(
            rules,
            on_error=self.settings.on_rule_error,
            environment=self.settings.environment,
        )
        problems = (*warnings, *written.warnings, *self._dead_ends(written))
        for problem in problems:
            log.warning(
                "a rule may not do what it seems to",
                extra={"acteon.problem": problem.located},
            )
        self._as_written = written
        self.current = written.toggled(self._toggles.enabled)
        self.missing = False
        return problems

    async def start(self, rules: Iterable[Rule]) -> None:
        """Put `rules` and those of the directory in force, and the toggles of the store.

        Raises:
            ConfigError: They cannot be used.
            StateError: The toggles cannot be read.
        """
        self._toggles = await read_toggles(self.store)
        extra = tuple(rules)
        directory = self.directory
        if directory is not None and not directory.exists():
            log.warning(
                "there is no such directory: no rule files are loaded; make it, or mend "
                "[rules] directory, which is looked for where the server starts, then beside "
                "its configuration",
                extra={"acteon.directory": str(directory)},
            )
            directory = None
        try:
            if directory is None:
                self.use(extra)
                self.missing = self.directory is not None
            else:
                await self._read(directory, extra)
        except RuleParseError as error:
            raise ConfigError("\n".join(each.located for each in error.problems)) from None

    async def _load(self, directory: Path) -> Reloaded:
        try:
            return await self._read(directory)
        except (RuleParseError, ConfigError) as error:
            raise RulesNotLoadedError(error) from None

    async def _read(self, directory: Path, extra: tuple[Rule, ...] = ()) -> Reloaded:
        loaded = await anyio.to_thread.run_sync(lambda: load_rules(directory, strict=self.strict))
        problems = self.use((*extra, *loaded.rules), loaded.warnings)
        log.info(
            "rules loaded",
            extra={"acteon.rules": len(loaded.rules), "acteon.directory": str(directory)},
        )
        if loaded.ignored:
            log.info(
                "what is no rule file by its extension is left alone",
                extra={"acteon.ignored": ", ".join(loaded.ignored[:MAX_NAMED])},
            )
        if not loaded.rules:
            log.warning(
                "there are no rules in the directory: every action is allowed; rule files end "
                "in .yaml or .yml",
                extra={"acteon.directory": str(directory)},
            )
        return Reloaded(len(loaded.rules), directory, tuple(each.located for each in problems))

    def _dead_ends(self, rules: RuleSet) -> list[Problem]:
        return [
            Problem(
                message=f"reroutes to provider {rule.effect.target!r}, which is not configured"
                f"{self._meant(rule.effect.target)}",
                file=rule.source,
                rule=rule.name,
                line=rule.line,
            )
            for rule in rules.rules
            if isinstance(rule.effect, Reroute) and rule.effect.target not in self.providers
        ]

    def _meant(self, target: str) -> str:
        close = difflib.get_close_matches(target, self.providers, n=1)
        if close:
            return f"; did you mean {close[0]!r}?"
        return f"; there are: {', '.join(self.providers)}" if self.providers else ""

    @property
    def problem(self) -> str | None:
        """What is wrong with the rules in force, or None.

        That their directory is gone is nothing: they stay in force until there are others.
        """
        if self.missing:
            return f"there is no directory {self.directory}: no rules are in force"
        return None

    async def reload(self, directory: Path | None) -> Reloaded:
        """Read rule files again and put them in force; if any is bad, nothing changes.

        Args:
            directory: Where; for this process alone. None: the configured directory, for all
                gateways that share the store.

        Raises:
            RulesNotLoadedError: They cannot be used.
            StateFailedError: They are in force here, but others could not be told.
        """
        where = directory or self.directory
        if where is None:
            raise RulesNotLoadedError("there is no directory of rules")
        async with self._changing:
            reloaded = await self._load(where)
            if directory is None:
                try:
                    self._adopt(await change_toggles(self.store, Toggles.with_next_generation))
                except StateError as error:
                    raise StateFailedError(error) from None
        return reloaded

    async def set_enabled(self, name: str, *, enabled: bool) -> None:
        """Switch the first rule of that name, for all gateways that share the store.

        Raises:
            RuleNotFoundError: There is none.
            StateFailedError: The store failed.
        """
        async with self._changing:
            in_file = {rule.name: rule.enabled for rule in reversed(self._as_written.rules)}
            if name not in in_file:
                raise RuleNotFoundError(name)
            try:
                changed = await change_toggles(
                    self.store,
                    lambda toggles: toggles.with_rule(name, enabled=enabled, in_file=in_file[name]),
                )
            except StateError as error:
                raise StateFailedError(error) from None
            self._adopt(changed)

    def _adopt(self, toggles: Toggles) -> None:
        self._toggles = toggles
        self.current = self._as_written.toggled(toggles.enabled)

    async def follow_others_forever(self) -> None:
        """Take over what other gateways say about rules, as long as this runs."""
        told = False
        while True:
            await self.clock.sleep(self.settings.poll)
            try:
                await self._follow()
            except (StateError, RulesNotLoadedError) as error:
                if not told:
                    log.warning(
                        "changes of rules by other gateways could not be followed",
                        extra={"acteon.error": str(error)},
                    )
                told = True
            except Exception:
                # Whatever it was: this gateway must not go its own way from now on.
                log.exception("changes of rules by other gateways could not be followed")
            else:
                told = False

    async def _follow(self) -> None:
        async with self._changing:
            toggles = await read_toggles(self.store)
            if toggles == self._toggles:
                return
            if toggles.generation != self._toggles.generation and self.directory is not None:
                # The new generation counts only once its files are in force: until then this is
                # tried again.
                self._adopt(evolve(toggles, generation=self._toggles.generation))
                await self._load(self.directory)
            self._adopt(toggles)
