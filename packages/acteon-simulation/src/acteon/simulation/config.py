"""What a simulation consists of."""

import os
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self, cast
from uuid import uuid4

from attrs import define, evolve, field, frozen

from acteon.audit import AuditSettings, AuditStore
from acteon.core import SYSTEM_CLOCK, Action, Clock, ConfigError, ManualClock
from acteon.executor import ExecutorSettings
from acteon.gateway import GatewaySettings, Plugin
from acteon.provider import Provider, RegisteredProvider
from acteon.rules import Rule
from acteon.simulation.providers import RecordingProvider
from acteon.state import StateBackend

MEMORY: Final = "memory"
DISABLED: Final = "disabled"

RuleSource = str | os.PathLike[str] | Rule
"""A YAML text (with a line end in it), the path of a file or directory, or a rule itself."""

Deliverer = str | Provider | RegisteredProvider | Plugin | Callable[[Action], object]
"""The name of a recording provider to be made, or what delivers."""

Providers = Mapping[str, Deliverer] | Iterable[Deliverer]

StateSource = str | Plugin | StateBackend
"""A plugin's name or a URL, a plugin with settings, or a backend that is open."""

AuditSource = str | Plugin | AuditStore | None
"""The same; None, or `disabled`: nothing is recorded."""


class Mode(StrEnum):
    """Where the nodes of a simulation are."""

    EMBEDDED = "embedded"
    """Gateways in this process, called directly."""
    HTTP = "http"
    """Gateways in this process, each behind an HTTP server of its own."""
    PROCESS = "process"
    """Each an `acteon-server` of its own."""


def _named(given: Providers) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(given, Mapping):
        pairs: list[tuple[str, object]] = list(cast("Mapping[str, object]", given).items())
    elif isinstance(given, str):
        raise ConfigError(f"providers: give a list of them: [{given!r}]")
    else:
        pairs = [(_name(each), each) for each in cast("Iterable[object]", given)]
    for name, each in pairs:
        found[name] = RecordingProvider(each) if isinstance(each, str) else each
    return found


def _name(given: object) -> str:
    if isinstance(given, str):
        return given
    name = getattr(given, "name", None) or getattr(given, "__name__", None)
    if not isinstance(name, str):
        raise ConfigError(
            f"providers: a {type(given).__name__} has no name; give it one: {{'email': …}}"
        )
    return name


def _sources(given: RuleSource | Iterable[RuleSource]) -> tuple[RuleSource, ...]:
    if isinstance(given, str | os.PathLike | Rule):
        return (given,)
    return tuple(given)


def _mode(given: str) -> Mode:
    try:
        return Mode(given)
    except ValueError:
        raise ConfigError(f"mode: {given!r} is none of {', '.join(Mode)}") from None


@frozen(kw_only=True)
class SimulationConfig:
    """What a simulation consists of.

    Attributes:
        nodes: How many gateways there are.
        rules: YAML texts, paths of rule files or directories, or rules.
        providers: Who delivers, for all nodes alike: names of recording providers, or what
            delivers, by its own name or by the one that a mapping gives it.
        state: Where state is kept: `memory`, a URL such as `redis://localhost:6379`, a
            `Plugin`, or a backend that is open.
        audit: Where dispatches are recorded: likewise; None records nothing.
        shared_state: Whether the nodes have one state; None: they do.
        environment: What rules see as `env`.
        clock: Tells the time to everything in this process; a `ManualClock` can be advanced.
        mode: Where the nodes are.
        settings: What can be chosen about the pipeline; its `environment` comes from here.
        executor: How attempts are made.
        audit_settings: What is recorded, for how long, and how.
        dead_letters: Whether actions that could not be delivered are kept.
        run: Tells what this simulation writes to shared stores from what others do.

    Raises:
        ConfigError: It cannot be.
    """

    nodes: int = 1
    rules: tuple[RuleSource, ...] = field(default=(), converter=_sources)
    providers: dict[str, Any] = field(factory=dict[str, Any], converter=_named)
    state: StateSource = MEMORY
    audit: AuditSource = MEMORY
    shared_state: bool | None = None
    environment: Mapping[str, str] = field(factory=dict[str, str])
    clock: Clock = SYSTEM_CLOCK
    mode: Mode = field(default=Mode.EMBEDDED, converter=_mode)
    settings: GatewaySettings = field(factory=GatewaySettings)
    executor: ExecutorSettings = field(factory=ExecutorSettings)
    audit_settings: AuditSettings = field(factory=AuditSettings)
    dead_letters: bool = False
    run: str = field(factory=lambda: uuid4().hex[:12])

    def __attrs_post_init__(self) -> None:
        if self.nodes < 0:
            raise ConfigError(f"nodes: {self.nodes}: give 0 or more")
        if self.mode is Mode.PROCESS:
            self._check_processes()
        elif self.is_virtual and self.state != MEMORY:
            raise ConfigError(
                "clock: the state store has a clock of its own; a ManualClock goes with "
                "state='memory'"
            )
        if self.is_virtual:
            for provider in self.providers.values():
                # A delay is time that is advanced, too.
                if isinstance(provider, RecordingProvider) and provider.clock is SYSTEM_CLOCK:
                    provider.clock = self.clock

    def _check_processes(self) -> None:
        if isinstance(self.state, StateBackend) or isinstance(self.audit, AuditStore):
            raise ConfigError("mode: processes cannot use a store that is open in this one")
        if self.clock is not SYSTEM_CLOCK:
            raise ConfigError("clock: processes have the machine's; leave it out")
        if self.state == MEMORY and self.nodes > 1 and self.shared_state is not False:
            raise ConfigError(
                "state: processes share no memory: name a store, such as redis://localhost:6379, "
                "or say shared_state=False"
            )
        if any(isinstance(rule, Rule) for rule in self.rules):
            raise ConfigError("rules: processes read files: give YAML texts or paths")

    @property
    def shares_state(self) -> bool:
        """Whether the nodes have one state."""
        return self.shared_state is not False

    @property
    def is_virtual(self) -> bool:
        """Whether time goes on only when it is advanced."""
        return isinstance(self.clock, ManualClock)

    @classmethod
    def builder(cls) -> "SimulationConfigBuilder":
        """Return what makes a configuration step by step."""
        return SimulationConfigBuilder()


@define(eq=False)
class SimulationConfigBuilder:
    """Makes a `SimulationConfig` step by step; each step returns the builder."""

    _config: dict[str, Any] = field(factory=dict[str, Any], init=False)
    _rules: list[RuleSource] = field(factory=list[RuleSource], init=False)
    _providers: dict[str, Any] = field(factory=dict[str, Any], init=False)
    _environment: dict[str, str] = field(factory=dict[str, str], init=False)

    def nodes(self, count: int) -> Self:
        return self._set(nodes=count)

    def shared_state(self, shared: bool) -> Self:
        return self._set(shared_state=shared)

    def state_backend(self, state: StateSource) -> Self:
        return self._set(state=state)

    def audit_backend(self, audit: AuditSource) -> Self:
        return self._set(audit=audit)

    def mode(self, mode: str) -> Self:
        return self._set(mode=mode)

    def clock(self, clock: Clock) -> Self:
        return self._set(clock=clock)

    def executor_config(self, executor: ExecutorSettings) -> Self:
        return self._set(executor=executor)

    def dead_letters(self, kept: bool) -> Self:
        return self._set(dead_letters=kept)

    def add_rule_yaml(self, text: str) -> Self:
        self._rules.append(text if "\n" in text else f"{text}\n")
        return self

    def add_rules_yaml(self, texts: Iterable[str]) -> Self:
        for text in texts:
            self.add_rule_yaml(text)
        return self

    def add_rule_file(self, path: str | os.PathLike[str]) -> Self:
        self._rules.append(Path(path))
        return self

    def add_rules_dir(self, path: str | os.PathLike[str]) -> Self:
        return self.add_rule_file(path)

    def add_recording_provider(self, name: str) -> Self:
        return self.add_provider(RecordingProvider(name))

    def add_recording_providers(self, names: Iterable[str]) -> Self:
        for name in names:
            self.add_recording_provider(name)
        return self

    def add_provider(self, provider: Deliverer, name: str | None = None) -> Self:
        self._providers[name or _name(provider)] = provider
        return self

    def env_var(self, name: str, value: str) -> Self:
        self._environment[name] = value
        return self

    def build(self) -> SimulationConfig:
        """Return the configuration.

        Raises:
            ConfigError: It cannot be.
        """
        return evolve(
            SimulationConfig(),
            rules=self._rules,
            providers=dict(self._providers),
            environment=dict(self._environment),
            **self._config,
        )

    def _set(self, **members: Any) -> Self:
        self._config.update(members)
        return self
