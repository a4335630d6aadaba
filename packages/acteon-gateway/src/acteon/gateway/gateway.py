"""The gateway: what programs and servers hand actions to."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from attrs import define, field

from acteon.audit import AuditError, AuditRecord, AuditSettings, AuditTrail
from acteon.core import (
    NOBODY,
    SYSTEM_CLOCK,
    Action,
    ActionOutcome,
    Caller,
    Clock,
    ConfigError,
    Tasks,
)
from acteon.executor import DeadLetterSink, Executor, ExecutorSettings
from acteon.gateway.admission import Admission
from acteon.gateway.batch import run_in_order
from acteon.gateway.compiling import RuleCompiler
from acteon.gateway.delivering import Providers
from acteon.gateway.errors import DrainingError, GatewayError, NotOpenError
from acteon.gateway.explaining import Evaluation, Explainer
from acteon.gateway.groups import GroupMemory
from acteon.gateway.metrics import GatewayMetrics
from acteon.gateway.opening import Audit, Opening, Parts, Rules, State
from acteon.gateway.outage import Outage
from acteon.gateway.pipeline import Pipeline
from acteon.gateway.preview import Preview, Previewer
from acteon.gateway.providing import ProviderControl
from acteon.gateway.replaying import Repetition, Replayed
from acteon.gateway.rulebook import Reloaded, Rulebook
from acteon.gateway.settings import GatewaySettings
from acteon.provider import ProviderRegistry
from acteon.rules import Rule, StateValues
from acteon.state import StateBackend, StateError, Trips, dispatch_state

log = logging.getLogger(__name__)

READY_LIMIT = timedelta(seconds=2)


@define(eq=False, kw_only=True)
class Gateway:
    """Takes actions through rules, locks and state, delivers them, and records what happened.

    Enter it before use; leaving it waits for what is still under way. What it is given stays
    open: it belongs to whoever opened it.

    Attributes:
        state: The state store and its locks.
        providers: Who can deliver.
        audit: Where dispatches are recorded, if anywhere.
        executor: How attempts are made.
        dead_letters: Where actions go that could not be delivered, if anywhere.
        initial_rules: Rules given by code, asked beside those of the files until a reload.
        rules_directory: Where the rule files are, if anywhere.
        watch_rules: Whether rule files are put in force when they change, for this gateway alone.
        strict_rules: Whether what would be a warning refuses a rule file.
        settings: What else can be chosen.
        clock: Tells the time.
        random: Spreads retries and polls.
        metrics: What is counted.
        tasks: Run what is not to end with the one who began it; while it is open.
    """

    state: StateBackend
    providers: ProviderRegistry = field(factory=ProviderRegistry)
    audit: AuditTrail | None = None
    executor: ExecutorSettings = field(factory=ExecutorSettings)
    dead_letters: DeadLetterSink | None = None
    initial_rules: Sequence[Rule] = ()
    rules_directory: Path | None = None
    watch_rules: bool = False
    strict_rules: bool = False
    settings: GatewaySettings = field(factory=GatewaySettings)
    clock: Clock = SYSTEM_CLOCK
    random: Random = field(factory=Random)
    metrics: GatewayMetrics = field(factory=GatewayMetrics)
    tasks: Tasks = field(init=False, repr=False)
    _stack: AsyncExitStack = field(factory=AsyncExitStack, init=False)
    _trips: Trips = field(init=False)
    _outage: Outage = field(init=False)
    _admission: Admission = field(init=False)
    _calls: Executor = field(init=False)
    _pipeline: Pipeline = field(init=False)
    _previewer: Previewer = field(init=False)
    _explainer: Explainer = field(init=False)
    _rulebook: Rulebook = field(init=False)
    _in_flight: int = field(default=0, init=False)
    _idle: asyncio.Event = field(factory=asyncio.Event, init=False)
    _refusal: type[DrainingError] | None = field(default=NotOpenError, init=False)
    _entered: bool = field(default=False, init=False)

    @classmethod
    def open(
        cls,
        *,
        rules: Rules = (),
        providers: Providers = (),
        state: State = "memory",
        audit: Audit = "memory",
        audit_settings: AuditSettings | None = None,
        executor: ExecutorSettings | None = None,
        dead_letters: DeadLetterSink | None = None,
        settings: GatewaySettings | None = None,
        strict_rules: bool = False,
        watch: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> "Opening[Gateway]":
        """Return what opens a gateway with all that it needs, for `async with`.

        Without arguments it has no rules and no providers, and keeps state and audit trail in
        memory. What is opened for it is closed with it; what the caller has opened stays open.

        Args:
            rules: The path of a directory or a file, or the rules themselves, as `parse_rules`
                gives them. Those of a path can be read again.
            providers: Functions or providers, called by their own names; or a mapping that names
                them, which may hold plugins as well: `{"hook": Plugin("webhook", {...})}`.
            state: The name of a plugin, a plugin with settings, or a backend.
            audit: The same, or an audit trail; None records nothing.
            audit_settings: What is recorded, for how long, and how.
            executor: How attempts are made.
            dead_letters: Where actions go that could not be delivered.
            settings: What else can be chosen.
            strict_rules: Whether what would be a warning refuses a rule file.
            watch: Whether the rule files of a path are put in force when they change; a change
                that cannot be used is logged, and changes nothing.
            clock: Tells the time to all but the state store, which has its own: to move the time
                of claims and windows, too, give a backend of that clock.

        Raises:
            ConfigError: Something cannot be used; on entering, if it cannot be opened.
        """
        if watch and not isinstance(rules, str | os.PathLike):
            raise ConfigError("watch: give rules as the path of a directory or a file")

        def make(parts: Parts) -> Gateway:
            return cls(
                state=parts.state,
                providers=parts.providers,
                audit=parts.audit,
                executor=executor or ExecutorSettings(),
                dead_letters=dead_letters,
                initial_rules=parts.initial_rules,
                rules_directory=parts.rules_directory,
                watch_rules=watch,
                strict_rules=strict_rules,
                settings=settings or GatewaySettings(),
                clock=clock,
            )

        return Opening[Gateway].of(
            make,
            rules=rules,
            providers=providers,
            state=state,
            audit=audit,
            audit_settings=audit_settings,
            clock=clock,
        )

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("this gateway was entered before: make another one")
        self._entered = True
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        self._refusal = None
        return self

    async def _open(self, stack: AsyncExitStack) -> None:
        self._outage = Outage(self.clock)
        self._trips = await stack.enter_async_context(
            Trips(dispatch_state(self.state), clock=self.clock, on_error=self._settle_failed)
        )
        self._admission = Admission(
            self._trips, self.settings, self.metrics, self.clock, self.random, self._outage
        )
        self.tasks = tasks = await stack.enter_async_context(Tasks())
        self._calls = Executor(
            self.executor,
            providers=self.providers,
            dead_letters=self.dead_letters,
            observer=self.metrics,
            clock=self.clock,
            random=self.random,
        )
        self._pipeline = Pipeline(
            self._admission,
            self.providers,
            self._calls,
            GroupMemory(self.state.store, tasks, self.settings.on_unknown),
            self.audit,
            self.settings,
            self.metrics,
            self.clock,
        )
        self._previewer = Previewer(
            self._trips, self.providers, self._calls, self.settings, self.clock
        )
        compiler = RuleCompiler(self.providers, self.settings)
        self._explainer = Explainer(self._previewer, compiler, self.clock)
        self._rulebook = Rulebook(
            self.state.store,
            compiler,
            self.settings,
            self.metrics,
            self.clock,
            self._outage,
            self.rules_directory,
            self.strict_rules,
        )
        await self._rulebook.start(self.initial_rules)
        tasks.start(self._admission.renew_forever(), endless=True)
        tasks.start(self._rulebook.follow_others_forever(), endless=True)
        if self.watch_rules:
            tasks.start(self._rulebook.follow_files_forever(), endless=True)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.drain()
        finally:
            self._refusal = NotOpenError
            await self._stack.aclose()

    def _settle_failed(self, error: StateError) -> None:
        self.metrics.settle_errors += 1
        self._outage.failed(error)

    async def dispatch(self, action: Action, caller: Caller = NOBODY) -> ActionOutcome:
        """Return what became of `action`.

        If the call is cancelled, what it held is given back; whether the action was delivered
        is then treated as unknown.

        Raises:
            GatewayError: It reached no outcome; nothing was delivered.
        """
        self._start()
        try:
            return await self._pipeline.dispatch(action, caller, self._rulebook.current)
        finally:
            self._end()

    async def dispatch_batch(
        self, actions: Sequence[Action], caller: Caller = NOBODY
    ) -> list[ActionOutcome | GatewayError]:
        """Dispatch `actions`; what became of them, or the errors in their place, in their order.

        They are decided and admitted in order and delivered concurrently; one that shares its
        id or its deduplication key with an earlier one starts when that one has ended.

        Raises:
            DrainingError: The gateway takes no more; nothing was delivered.
        """
        self._start()
        rules = self._rulebook.current
        try:
            return await run_in_order(
                actions,
                lambda action, place: self._pipeline.dispatch(action, caller, rules, place),
                at_once=self.executor.max_concurrent,
                ordered=bool(rules.reads),
            )
        finally:
            self._end()

    def _start(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        self._in_flight += 1

    def _end(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()

    async def preview(self, action: Action) -> Preview:
        """Return what would become of `action` if it were dispatched now; nothing is changed.

        Raises:
            GatewayError: What the dispatch would raise.
        """
        rules = self._open_rulebook.current
        return await self._previewer.preview(action, rules)

    async def preview_batch(self, actions: Sequence[Action]) -> list[Preview | GatewayError]:
        """Preview each of `actions` by itself; results, or errors in their place, in order."""
        return await run_in_order(
            actions,
            lambda action, _: self.preview(action),
            at_once=self.executor.max_concurrent,
            ordered=False,
        )

    async def replay(
        self, records: Sequence[AuditRecord], caller: Caller = NOBODY, *, dry_run: bool = False
    ) -> tuple[Replayed, ...]:
        """Send past actions again, the oldest first, as `dispatch_batch` does; under new ids.

        Each has the label `replayed_from`, and no deduplication key: records do not tell it. What
        was not kept, is redacted or erased is not sent, and of several records of one action only
        the newest is.

        Args:
            records: What the audit trail tells of them.
            caller: Who wants it.
            dry_run: Whether to tell what would become of them, and change nothing.

        Returns:
            What became of each record, in the order of their dispatch.

        Raises:
            DrainingError: The gateway takes no more; nothing was delivered.
        """
        repetition = Repetition.of(records, self.trail.placeholders)
        if dry_run:
            return repetition.told(await self.preview_batch(repetition.actions), sent=False)
        return repetition.told(await self.dispatch_batch(repetition.actions, caller), sent=True)

    async def explain(
        self,
        action: Action,
        *,
        now: datetime | None = None,
        state: StateValues | None = None,
        rules: Iterable[Rule] | None = None,
        environment: Mapping[str, str | None] | None = None,
    ) -> Evaluation:
        """Return what the rules decide about `action`, why, and what would become of it.

        Nothing is changed, counted or recorded. Claims and quotas are looked at as they are,
        whatever `now` says.

        Args:
            action: What would be dispatched.
            now: The instant that conditions see; aware. None: the present one.
            state: State entries of the action's tenant that count in place of those in the store;
                None for one that is not there. All others are read.
            rules: Rules to be asked in place of those in force, as `parse_rules` gives them.
            environment: Variables that conditions see as `env`, in place of those of `settings`;
                None for one that is not there. All others count.

        Raises:
            RuleParseError: `rules` cannot be compiled.
            GatewayError: The state store failed.
        """
        current = self._open_rulebook.current
        return await self._explainer.explain(
            action, current, instead=rules, now=now, state=state, environment=environment
        )

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force, in the order in which they are asked, as toggled."""
        return self._open_rulebook.current.rules

    @property
    def rules_version(self) -> str:
        """What tells the rules in force from others: equal ones have the same everywhere."""
        return self._open_rulebook.current.version

    @property
    def rules_loaded_at(self) -> datetime | None:
        """When rules were put in force last."""
        return self._open_rulebook.loaded_at

    @property
    def rules_stale(self) -> bool:
        """Whether the rule files hold something else by now, which cannot be used."""
        return self._open_rulebook.stale

    async def reload_rules(self, directory: Path | None = None) -> Reloaded:
        """Read rule files again and put them in force, in place of all rules; or change nothing.

        Args:
            directory: Where; for this process alone. None: the configured directory, for all
                gateways that share the state store.

        Raises:
            RulesNotLoadedError: They cannot be used; the rules are as they were.
            StateFailedError: They are in force here, but others could not be told.
        """
        return await self._open_rulebook.reload(directory)

    async def set_rule_enabled(self, name: str, *, enabled: bool) -> None:
        """Switch the first rule of that name, for all gateways that share the state store.

        Raises:
            RuleNotFoundError: There is none.
            StateFailedError: The store failed; nothing changed.
        """
        await self._open_rulebook.set_enabled(name, enabled=enabled)

    @property
    def _open_rulebook(self) -> Rulebook:
        if self._refusal is NotOpenError:
            raise NotOpenError
        return self._rulebook

    @property
    def provider_control(self) -> ProviderControl:
        """How the providers are, and the switches of their circuits."""
        if self._refusal is NotOpenError:
            raise NotOpenError
        return ProviderControl(self.providers, self._calls)

    @property
    def in_flight(self) -> int:
        """How many calls of `dispatch` and `dispatch_batch` are under way."""
        return self._in_flight

    @property
    def held(self) -> int:
        """How many locks this process holds or waits for."""
        return self._admission.held

    @property
    def draining(self) -> bool:
        """Whether the gateway takes no more."""
        return self._refusal is not None

    async def check_ready(self) -> dict[str, str | None]:
        """Return what is wrong with each thing that dispatches need, or None for it."""
        async with asyncio.TaskGroup() as group:
            store = group.create_task(_problem(self.state.store.ping()))
            audit = None if self.audit is None else group.create_task(_problem(self.audit.ping()))
        found = {"state": store.result()}
        if self.audit is not None and audit is not None:
            failing = "records cannot be written" if self.audit.failing else None
            found["audit"] = audit.result() or failing
        found["rules"] = self._rulebook.problem
        found["draining"] = "the gateway is shutting down" if self.draining else None
        return found

    async def drain(self) -> None:
        """Take no more, and return when all under way has ended and everything was written.

        Callers set the limit; what is cut off by it ends with its leases.
        """
        self._refusal = DrainingError
        while self._in_flight:
            self._idle.clear()
            await self._idle.wait()
        await self._trips.flush()
        if self.audit is not None:
            await self.audit.flush()

    @property
    def trail(self) -> AuditTrail:
        """The audit trail: `await gateway.trail.latest(action.id)`.

        Raises:
            ConfigError: There is none.
        """
        if self.audit is None:
            raise ConfigError("there is no audit trail: this gateway was opened without `audit`")
        return self.audit

    @property
    def counters(self) -> Mapping[str, int]:
        """The seven plain counters."""
        return self.metrics.counters()


async def _problem(ping: Awaitable[None]) -> str | None:
    try:
        async with asyncio.timeout(READY_LIMIT.total_seconds()):
            await ping
    except TimeoutError:
        return f"no answer within {READY_LIMIT.total_seconds():g} seconds"
    except (StateError, AuditError) as error:
        return str(error)
    return None
