"""The rules in force: those of the files, as toggled, replaced all at once."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple, Unpack

import anyio.to_thread
from attrs import define, evolve, field, frozen

from acteon.core import Clock, ConfigError
from acteon.gateway.collecting import no_full_collections
from acteon.gateway.compiling import RuleCompiler
from acteon.gateway.errors import RuleNotFoundError, RulesNotLoadedError, StateFailedError
from acteon.gateway.loading import LoadedRules, RuleFiles, read_rule_files
from acteon.gateway.metrics import GatewayMetrics
from acteon.gateway.outage import Outage
from acteon.gateway.settings import GatewaySettings
from acteon.gateway.toggles import Toggles, change_toggles, read_toggles
from acteon.gateway.watching import watch
from acteon.rules import Problem, Rule, RuleParseError, RuleSet
from acteon.state import StateError, StateStore

log = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

NO_RULES: Final = (
    "there are no rules in the directory: every action is allowed; rule files end in .yaml or .yml"
)
MAX_NAMED: Final = 20
"""So many of the files that are left alone are named."""


@frozen
class Reloaded:
    """What a reload brought.

    Attributes:
        count: How many rules there are now.
        directory: Where they came from.
        warnings: What is odd about them.
        version: What tells them from others: equal rules have the same everywhere.
    """

    count: int
    directory: Path
    warnings: tuple[str, ...] = ()
    version: str = ""


@define(eq=False)
class Rulebook:
    """Holds the rules in force; a dispatch takes `current` once and keeps it to its end.

    Whatever takes time with many rules is done in a thread: they are read, parsed, compiled and
    switched there, and are in force all at once then.

    Attributes:
        store: Where toggles are shared with other gateways.
        compiler: Makes sets of rules.
        settings: How often is looked for changes.
        metrics: Where failures are counted.
        clock: When to look for the toggles of others.
        outage: Is told whether the store answers.
        directory: Where the rule files are, if anywhere.
        strict: Whether what would be a warning refuses a rule file.
        current: The rules in force.
        missing: Whether there is no such directory, so that its rules are not in force.
        stale: Whether the directory holds something else by now, which cannot be used.
        loaded_at: When rules were put in force last.
    """

    store: StateStore
    compiler: RuleCompiler
    settings: GatewaySettings
    metrics: GatewayMetrics
    clock: Clock
    outage: Outage
    directory: Path | None = None
    strict: bool = False
    current: RuleSet = field(factory=lambda: RuleSet.compile(()))
    missing: bool = field(default=False, init=False)
    stale: bool = field(default=False, init=False)
    loaded_at: datetime | None = field(default=None, init=False)
    _as_written: RuleSet = field(factory=lambda: RuleSet.compile(()), init=False)
    _toggles: Toggles = field(factory=Toggles, init=False)
    _changing: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _tried: str | None = field(default=None, init=False)
    """The fingerprint of what was last found in the directory, whether it could be used or not."""

    async def start(self, rules: Iterable[Rule]) -> None:
        """Put `rules` and those of the directory in force, and the toggles of the store.

        Raises:
            ConfigError: They cannot be used.
            StateError: The toggles cannot be read.
        """
        self._toggles = await read_toggles(self.store)
        extra = tuple(rules)
        directory = self.directory
        try:
            if directory is None:
                await self._use(extra)
                return
            files = await _in_thread(read_rule_files, directory)
            if directory.exists():
                await self._load(files, directory, extra)
                return
            log.warning(
                "there is no such directory: no rule files are loaded; make it, or mend "
                "[rules] directory, which is looked for where the server starts, then beside "
                "its configuration",
                extra={"acteon.directory": str(directory)},
            )
            await self._use(extra)
            self.missing = True
            self._tried = files.fingerprint
        except RuleParseError as error:
            raise ConfigError("\n".join(each.located for each in error.problems)) from None

    async def _use(
        self, rules: tuple[Rule, ...], warnings: tuple[Problem, ...] = ()
    ) -> tuple[Problem, ...]:
        """Put `rules` in force, as toggled, in place of all others; return what is odd about them.

        Raises:
            RuleParseError: One of them cannot be compiled; nothing changed.
        """
        written, odd = await _in_thread(self.compiler.compile, rules)
        problems = (*warnings, *odd)
        for problem in problems:
            log.warning(
                "a rule may not do what it seems to",
                extra={"acteon.problem": problem.located},
            )
        await self._adopt(self._toggles, written)
        self.missing = False
        self.loaded_at = self.clock.now()
        return problems

    async def _adopt(self, toggles: Toggles, written: RuleSet | None = None) -> None:
        """Put `written` (None: the rules that there are) in force, switched as `toggles` say."""
        written = written or self._as_written
        with no_full_collections():
            current = await _in_thread(_toggled, written, toggles)
        # From here on nothing is awaited: it is another set of rules all at once.
        _tell_switched(self._toggles.enabled, toggles.enabled, written)
        self._toggles, self._as_written, self.current = toggles, written, current

    async def _load(
        self, files: RuleFiles, directory: Path, extra: tuple[Rule, ...] = ()
    ) -> Reloaded:
        """Put the rules in `files` in force.

        Raises:
            RuleParseError: They cannot be used; nothing changed.
            ConfigError: Likewise.
        """
        configured = directory == self.directory
        if configured:
            self._tried = files.fingerprint
        try:
            with no_full_collections():
                loaded = await _in_thread(_parsed, files, self.strict)
                problems = await self._use((*extra, *loaded.rules), loaded.warnings)
        except (RuleParseError, ConfigError):
            self.metrics.rule_load_failures += 1
            self.stale = self.stale or configured
            raise
        self.stale = self.stale and not configured
        log.info(
            "rules loaded",
            extra={"acteon.rules": len(loaded.rules), "acteon.directory": str(directory)},
        )
        if loaded.ignored:
            log.info(
                "what is no rule file by its extension is left alone",
                extra={"acteon.ignored": ", ".join(loaded.ignored[:MAX_NAMED])},
            )
        warnings = [each.located for each in problems]
        if not loaded.rules:
            log.warning(NO_RULES, extra={"acteon.directory": str(directory)})
            warnings.append(NO_RULES)
        return Reloaded(len(loaded.rules), directory, tuple(warnings), self.current.version)

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
            try:
                reloaded = await self._load(await _in_thread(read_rule_files, where), where)
            except (RuleParseError, ConfigError) as error:
                raise RulesNotLoadedError(error) from None
            if directory is None:
                try:
                    changed = await change_toggles(self.store, Toggles.with_next_generation)
                except StateError as error:
                    raise StateFailedError(error) from None
                await self._adopt(changed)
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
            await self._adopt(changed)

    async def follow_others_forever(self) -> None:
        """Take over what other gateways say about rules, as long as this runs."""
        told = ""
        while True:
            await self.clock.sleep(self.settings.poll)
            try:
                await self._follow()
            except (StateError, RuleParseError, ConfigError) as error:
                if isinstance(error, StateError) and self.outage.failed(error):
                    continue
                text = str(error)
                if told != text:
                    log.warning(
                        "changes of rules by other gateways could not be followed",
                        extra={"acteon.error": text},
                    )
                told = text
            except Exception:
                # Whatever it was: this gateway must not go its own way from now on.
                log.exception("changes of rules by other gateways could not be followed")
            else:
                told = ""

    async def _follow(self) -> None:
        async with self._changing:
            toggles = await read_toggles(self.store)
            self.outage.worked(wrote=False)
            if toggles == self._toggles:
                return
            if toggles.generation != self._toggles.generation and self.directory is not None:
                # The new generation counts only once its files are in force: until then this is
                # tried again.
                if toggles.enabled != self._toggles.enabled:
                    await self._adopt(evolve(toggles, generation=self._toggles.generation))
                files = await _in_thread(read_rule_files, self.directory)
                if self.stale and files.fingerprint == self._tried:
                    return  # It was told what is wrong with them.
                await self._load(files, self.directory)
            await self._adopt(toggles)

    async def follow_files_forever(self) -> None:
        """Put the rule files in force whenever they have changed, as long as this runs.

        That is for this process alone: every gateway watches its own files.
        """
        directory = self.directory
        if directory is None:
            log.warning("there is no directory of rules to watch; name it in [rules] directory")
            return
        looks = watch(directory, self.clock, at_least_every=self.settings.look)
        async with aclosing(looks):
            async for _ in looks:
                try:
                    await self.look()
                except Exception:
                    # Whatever it was: a later change must not be missed.
                    log.exception("changed rule files could not be loaded")

    async def look(self) -> bool:
        """Put the rule files in force if their content has changed; return whether it had.

        If any is bad, nothing changes, and it is told once. Nor does anything if there are no rule
        files any more: they are about to be replaced, as a rule.
        """
        directory = self.directory
        if directory is None:
            return False
        async with self._changing:
            files = await _in_thread(read_rule_files, directory)
            if files.fingerprint == self._tried:
                return False
            try:
                if files.empty:
                    self._keep(files, directory)
                else:
                    await self._load(files, directory)
            except RuleParseError as error:
                _tell(problem.located for problem in error.problems)
            except ConfigError as error:
                _tell((str(error),))
        return True

    def _keep(self, files: RuleFiles, directory: Path) -> None:
        self._tried = files.fingerprint
        self.stale = True
        log.warning(
            "the rule files are gone: their rules stay in force until there are others, or a "
            "reload is asked for",
            extra={"acteon.directory": str(directory)},
        )


def _tell(problems: Iterable[str]) -> None:
    for problem in problems:
        log.error(
            "changed rule files cannot be used: the rules stay as they are",
            extra={"acteon.problem": problem},
        )


# What follows runs in threads.


def _parsed(files: RuleFiles, strict: bool) -> LoadedRules:
    return files.parse(strict=strict)


def _tell_switched(before: Mapping[str, bool], after: Mapping[str, bool], rules: RuleSet) -> None:
    """Say which of `rules` have been switched on or off, here or at another gateway."""
    first = {rule.name: rule for rule in reversed(rules.rules)}
    for rule in first.values():
        enabled = after.get(rule.name, rule.enabled)
        if enabled != before.get(rule.name, rule.enabled):
            log.info(
                "a rule was switched on" if enabled else "a rule was switched off",
                extra={"acteon.rule": rule.name},
            )


def _toggled(rules: RuleSet, toggles: Toggles) -> RuleSet:
    switched = {rule.name for rule in rules.rules} & toggles.enabled.keys()
    found = rules.toggled(toggles.enabled) if switched else rules
    _ = found.version  # It is worked out once, here, and never while others wait.
    return found


async def _in_thread(function: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
    return await anyio.to_thread.run_sync(function, *args)
