"""Opening a gateway in a program: from what is at hand to all that a gateway needs."""

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar, cast

from attrs import define, field, frozen

from acteon.audit import AuditPlugin, AuditSettings, AuditStore, AuditTrail
from acteon.core import AUDIT, RULES, STATE, Clock, ConfigError, load_plugin
from acteon.gateway.delivering import Providers, by_name, open_registry
from acteon.gateway.plugged import Plugin, load
from acteon.provider import Provider, ProviderRegistry, RegisteredProvider
from acteon.rules import ParsedRules, Rule, RuleFrontend
from acteon.state import StateBackend, StatePlugin

log = logging.getLogger(__name__)

G = TypeVar("G", bound=AbstractAsyncContextManager[object])

Rules = str | os.PathLike[str] | Iterable[Rule]
"""Where rules come from: the path of a directory or a file, or they themselves."""

State = str | Plugin | StateBackend
"""Where state is kept: a plugin's name, a plugin with settings, or a backend that is open."""

Audit = str | Plugin | AuditStore | AuditTrail | None
"""Where dispatches are recorded: as with `State`, or nowhere."""


def parse_rules(text: str, *, language: str = "yaml") -> tuple[Rule, ...]:
    """Return the rules in `text`; what is odd about them is logged.

    Args:
        text: What a rule file would hold.
        language: The extension that such a file would have.

    Raises:
        RuleParseError: With every problem of the text.
        ConfigError: No installed package reads that language; the text says what to install.
    """
    parsed = _parsed(load_plugin(RULES, language, RuleFrontend), text)
    for problem in parsed.warnings:
        log.warning("a rule may not do what it seems to", extra={"acteon.problem": str(problem)})
    return parsed.rules


def _parsed(frontend: Callable[[], RuleFrontend], text: str) -> ParsedRules:
    return frontend().parse(text)


@frozen(kw_only=True)
class Parts:
    """What a gateway is made of, open.

    Attributes:
        state: The state store and its locks.
        audit: The audit trail, if there is one.
        providers: Who delivers.
        initial_rules: Rules that were given themselves.
        rules_directory: Where rule files are, if anywhere.
    """

    state: StateBackend
    audit: AuditTrail | None
    providers: ProviderRegistry
    initial_rules: tuple[Rule, ...]
    rules_directory: Path | None


@define(eq=False)
class Opening(AbstractAsyncContextManager[G], Generic[G]):
    """Opens a gateway and all that it needs when it is entered, and closes them when it is left.

    It can be entered again after that, and opens another gateway; in-memory state starts empty.
    """

    _make: Callable[[Parts], G]
    _rules: tuple[Rule, ...]
    _directory: Path | None
    _providers: dict[str, Provider | RegisteredProvider | Plugin]
    _state: State
    _audit: Audit
    _audit_settings: AuditSettings
    _clock: Clock
    _stack: AsyncExitStack | None = field(default=None, init=False)

    @classmethod
    def of(
        cls,
        make: Callable[[Parts], G],
        *,
        rules: Rules,
        providers: Providers,
        state: State,
        audit: Audit,
        audit_settings: AuditSettings | None,
        clock: Clock,
    ) -> "Opening[G]":
        """Return what opens a gateway that `make` makes; nothing is opened yet.

        Raises:
            ConfigError: What is given cannot be used.
        """
        written, directory = _rules_of(rules)
        _check("state", state, StateBackend)
        if audit is not None and not isinstance(audit, AuditTrail):
            _check("audit", audit, AuditStore)
        if audit_settings is not None and (audit is None or isinstance(audit, AuditTrail)):
            reason = "there is no audit" if audit is None else "the AuditTrail has its own"
            raise ConfigError(f"audit_settings: {reason}; leave them out")
        return cls(
            make,
            written,
            directory,
            by_name(providers),
            state,
            audit,
            audit_settings or AuditSettings(),
            clock,
        )

    async def __aenter__(self) -> G:
        if self._stack is not None:
            raise RuntimeError("this gateway is open already: call Gateway.open() for another one")
        # Set before anything is awaited: whoever enters at the same time is to be refused.
        self._stack = AsyncExitStack()
        try:
            async with self._stack as stack:
                gateway = self._make(await self._open(stack))
                await stack.enter_async_context(gateway)
                self._stack = stack.pop_all()
        except BaseException:
            self._stack = None
            raise
        return gateway

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        stack = self._stack
        if stack is None:
            raise RuntimeError("this gateway is not open")
        try:
            return await stack.__aexit__(kind, error, traceback)
        finally:
            self._stack = None

    async def _open(self, stack: AsyncExitStack) -> Parts:
        return Parts(
            state=await self._open_state(stack),
            audit=await self._open_audit(stack),
            providers=await open_registry(stack, self._providers),
            initial_rules=self._rules,
            rules_directory=self._directory,
        )

    async def _open_state(self, stack: AsyncExitStack) -> StateBackend:
        if isinstance(self._state, StateBackend):
            return self._state
        plugin, config = load(STATE, StatePlugin, self._state, "state")
        return await stack.enter_async_context(plugin.open(config))

    async def _open_audit(self, stack: AsyncExitStack) -> AuditTrail | None:
        audit = self._audit
        if audit is None or isinstance(audit, AuditTrail):
            return audit
        if not isinstance(audit, AuditStore):
            plugin, config = load(AUDIT, AuditPlugin, audit, "audit")
            audit = await stack.enter_async_context(plugin.open(config))
        trail = AuditTrail(audit, self._audit_settings, clock=self._clock)
        return await stack.enter_async_context(trail)


# What follows takes whatever a program may pass: not every program has its types checked.


def _rules_of(rules: object) -> tuple[tuple[Rule, ...], Path | None]:
    if isinstance(rules, str | os.PathLike):
        return (), _existing(os.fspath(rules))
    if not isinstance(rules, Iterable):
        raise ConfigError(f"rules: give a path, or a list of rules, not {type(rules).__name__}")
    given: list[Rule] = []
    for rule in cast("Iterable[object]", rules):
        if not isinstance(rule, Rule):
            hint = "; a path is given without a list around it" if isinstance(rule, str) else ""
            raise ConfigError(f"rules: {type(rule).__name__} is no Rule{hint}")
        given.append(rule)
    return tuple(given), None


def _existing(path: str) -> Path:
    if "\n" in path:
        raise ConfigError("rules: a text is the path of rule files; for rules: parse_rules(text)")
    found = Path(path)
    if not path or not found.exists():
        where = "" if found.is_absolute() else f" in {Path.cwd()}"
        raise ConfigError(f"rules: there is no directory or file {path!r}{where}")
    return found


def _check(what: str, given: object, wanted: type[object]) -> None:
    if not isinstance(given, (str, Plugin, wanted)):
        name = given.__name__ if isinstance(given, type) else type(given).__name__
        raise ConfigError(
            f"{what}: give the name of a plugin, a Plugin, or a {wanted.__name__} that is open, "
            f"not {name}"
        )
