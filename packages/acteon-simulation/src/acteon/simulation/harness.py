"""Gateways for tests: one or several, with providers that the test looks into."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from attrs import define, evolve, field

from acteon.audit import AuditError, AuditStore
from acteon.audit_memory import MemoryAuditStore
from acteon.client import AsyncActeonClient
from acteon.core import Action, ActionOutcome, ManualClock
from acteon.executor import MemoryDeadLetters
from acteon.gateway import Gateway, Plugin
from acteon.gateway.delivering import by_name, open_registry
from acteon.provider import ProviderRegistry
from acteon.provider.registry import Grouping
from acteon.simulation import rulesets
from acteon.simulation.audit import SimulationAudit
from acteon.simulation.bridge import Bridge
from acteon.simulation.config import DISABLED, MEMORY, Mode, SimulationConfig
from acteon.simulation.errors import (
    BackendUnavailableError,
    NodeNotFoundError,
    ProviderMissingError,
    SimulationError,
)
from acteon.simulation.nodes import EmbeddedNode, Node, ProcessNode, Result, ServedNode
from acteon.simulation.nodes.remote import RemoteNode
from acteon.simulation.owning import Owner
from acteon.simulation.serving import server_config
from acteon.simulation.stores import audit_store, state_store
from acteon.state import StateBackend, StateError
from acteon.state_memory import memory_backend

if TYPE_CHECKING:
    from acteon.simulation.synchronous import SyncSimulationHarness


@define(eq=False)
class SimulationHarness:
    """A simulation that runs while it is entered.

    ```python
    async with SimulationHarness(SimulationConfig(rules=RULES, providers=["email"])) as harness:
        (await harness.dispatch(action)).assert_executed()
        harness.provider("email").assert_called(1)
    ```

    Attributes:
        config: What it consists of.
        nodes: Its gateways.
        audit: Its audit trail.
    """

    config: SimulationConfig = field(factory=SimulationConfig)
    nodes: tuple[Node, ...] = field(default=(), init=False)
    audit: SimulationAudit = field(init=False)
    _owner: Owner[None] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.audit = SimulationAudit(self._audited, self.flush)

    @classmethod
    async def start(cls, config: SimulationConfig | None = None) -> Self:
        """Return a simulation that runs until `teardown`.

        Raises:
            ConfigError: It cannot be.
            RuleParseError: A rule cannot be used.
            BackendUnavailableError: A store is not installed, or cannot be reached.
        """
        return await cls(config or SimulationConfig()).__aenter__()

    @classmethod
    async def single_node_memory(cls) -> Self:
        """Return a running simulation of one gateway without rules and providers."""
        return await cls.start()

    @classmethod
    async def multi_node_memory(cls, nodes: int) -> Self:
        """Return a running simulation of gateways that share state in memory."""
        return await cls.start(SimulationConfig(nodes=nodes))

    @classmethod
    async def multi_node_redis(cls, nodes: int, url: str) -> Self:
        """Return a running simulation of gateways that share a Redis."""
        return await cls.start(SimulationConfig(nodes=nodes, state=url))

    @staticmethod
    def sync(config: SimulationConfig | None = None) -> "SyncSimulationHarness":
        """Return a simulation for tests without an event loop, to be entered with `with`."""
        from acteon.simulation.synchronous import SyncSimulationHarness

        return SyncSimulationHarness(config or SimulationConfig())

    async def __aenter__(self) -> Self:
        if self._owner is not None:
            raise SimulationError("this simulation runs already")
        owner = Owner(self._running())
        await owner.start()
        self._owner = owner
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.teardown()

    async def teardown(self) -> None:
        """End all nodes, and remove what was written to shared stores; may be called again."""
        owner, self._owner = self._owner, None
        if owner is not None:
            await owner.stop()

    @property
    def node_count(self) -> int:
        """How many nodes there are."""
        return len(self.nodes)

    def node(self, number: int) -> Node:
        """Return the node of that number, counted from 0.

        Raises:
            NodeNotFoundError: There is none.
        """
        if not 0 <= number < len(self.nodes):
            raise NodeNotFoundError(f"node {number} not found: there are {len(self.nodes)}")
        return self.nodes[number]

    def client(self, number: int = 0) -> AsyncActeonClient:
        """Return a client of a node.

        Raises:
            SimulationError: It is not reached over HTTP.
        """
        node = self.node(number)
        if not isinstance(node, RemoteNode):
            raise SimulationError(f"{node.id} is embedded: a client needs mode='http' or 'process'")
        return node.client

    def provider(self, name: str) -> Any:
        """Return the provider of that name, as it was given.

        Raises:
            ProviderMissingError: There is none.
        """
        try:
            return self.config.providers[name]
        except KeyError:
            there = ", ".join(sorted(self.config.providers)) or "none"
            raise ProviderMissingError(f"provider not found: {name}; there are {there}") from None

    @property
    def providers(self) -> dict[str, Any]:
        """All providers by name, as they were given."""
        return dict(self.config.providers)

    def reset_recordings(self) -> None:
        """Have all providers forget their calls."""
        for provider in self.config.providers.values():
            forget = getattr(provider, "clear", None)
            if forget is not None:
                forget()

    async def dispatch(self, action: Action) -> ActionOutcome:
        """Dispatch `action` to the first node, and return what became of it.

        Raises:
            ActeonError: It reached no outcome.
        """
        return await self.dispatch_to(0, action)

    async def dispatch_to(self, number: int, action: Action) -> ActionOutcome:
        """Dispatch `action` to a node, and return what became of it.

        Raises:
            ActeonError: It reached no outcome, or there is no such node.
        """
        return await self.node(number).dispatch(action)

    async def dispatch_batch(self, actions: Sequence[Action]) -> list[Result]:
        """Dispatch `actions` to the first node, and return what became of each, in their order."""
        return await self.dispatch_batch_to(0, actions)

    async def dispatch_batch_to(self, number: int, actions: Sequence[Action]) -> list[Result]:
        """Dispatch `actions` to a node, and return what became of each, in their order.

        What keeps one of them from an outcome is in the list, and not raised.
        """
        try:
            node = self.node(number)
        except NodeNotFoundError as error:
            return [error] * len(actions)
        return await node.dispatch_batch(actions)

    async def flush(self) -> None:
        """Return when the audit records of all that has been answered are written."""
        await asyncio.gather(*(node.flush() for node in self.nodes if node.is_running))

    async def advance(self, step: timedelta | float) -> None:
        """Move the clock on by `step`, a number of seconds or a `timedelta`.

        Raises:
            SimulationError: The clock of the simulation is a real one.
        """
        clock = self.config.clock
        if not isinstance(clock, ManualClock):
            raise SimulationError("only a ManualClock can be advanced: clock=ManualClock()")
        await clock.advance(step if isinstance(step, timedelta) else timedelta(seconds=step))

    async def kill(self, number: int) -> None:
        """End a node at once, as a crash would.

        Raises:
            SimulationError: It shares its process with the test.
        """
        await self.node(number).kill()

    async def stop(self, number: int) -> None:
        """End a node in order."""
        await self.node(number).stop()

    async def restart(self, number: int) -> None:
        """Start a node again; one that runs is ended in order before."""
        node = self.node(number)
        await node.stop()
        await node.start()

    def _audited(self) -> Sequence[Node]:
        running = [node for node in self.nodes if node.is_running]
        each_its_own = self.config.mode is Mode.PROCESS and self.config.audit == MEMORY
        return running if each_its_own else running[:1]

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            registry = await open_registry(stack, by_name(self.config.providers))
            if self.config.mode is Mode.PROCESS:
                nodes = await self._processes(stack, registry)
            else:
                nodes = await self._gateways(stack, registry)
            for node in nodes:
                stack.push_async_callback(node.stop)
                await _started(node)
            self.nodes = nodes
            yield

    async def _gateways(
        self, stack: AsyncExitStack, registry: ProviderRegistry
    ) -> tuple[Node, ...]:
        config = self.config
        audit = _audit_of(config, stack)
        make = partial(
            Gateway.open,
            rules=await asyncio.to_thread(rulesets.parsed, config.rules),
            providers=dict(registry),
            audit=MemoryAuditStore() if audit == Plugin(MEMORY) else audit,
            audit_settings=None if audit is None else config.audit_settings,
            executor=config.executor,
            dead_letters=MemoryDeadLetters() if config.dead_letters else None,
            settings=evolve(config.settings, environment=dict(config.environment)),
            clock=config.clock,
        )
        kind = ServedNode if config.mode is Mode.HTTP else EmbeddedNode
        return tuple(
            kind(f"node-{number}", partial(make, state=state))
            for number, state in enumerate(_states_of(config, stack))
        )

    async def _processes(
        self, stack: AsyncExitStack, registry: ProviderRegistry
    ) -> tuple[Node, ...]:
        config = self.config
        registered = registry.values()
        for each in registered:
            if isinstance(each.provider, Grouping):
                raise SimulationError(
                    f"provider {each.name!r}: a group cannot be in another process"
                )
        bridge = await stack.enter_async_context(
            Bridge({each.name: each.provider for each in registered})
        )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="acteon-simulation-")))
        rules = folder / "rules"
        rules.mkdir()
        await asyncio.to_thread(rulesets.parsed, config.rules)  # Tells what is wrong as it is.
        await asyncio.to_thread(rulesets.write, config.rules, rules)
        audit = _audit_of(config, stack)
        if isinstance(audit, AuditStore):  # Configurations refuse that.
            raise SimulationError("audit: processes cannot use a store that is open in this one")
        nodes: list[Node] = []
        for number, state in enumerate(_states_of(config, stack)):
            assert isinstance(state, Plugin)
            text = server_config(
                config,
                state=state,
                audit=audit,
                rules=rules,
                providers=registered,
                bridge=bridge.url,
            )
            path = folder / f"node-{number}.toml"
            path.touch(mode=0o600)  # There may be passwords in it.
            path.write_text(text)
            nodes.append(ProcessNode(f"node-{number}", path))
        return tuple(nodes)


async def _started(node: Node) -> None:
    try:
        await node.start()
    except (StateError, AuditError) as error:
        raise BackendUnavailableError(str(error)) from error


def _states_of(config: SimulationConfig, stack: AsyncExitStack) -> list[StateBackend | Plugin]:
    """Return where each node keeps its state; what is made for that is removed by `stack`."""
    given, count = config.state, config.nodes
    if isinstance(given, StateBackend):
        return [given] * count
    stores = 1 if config.shares_state else count
    made: list[StateBackend | Plugin] = []
    for number in range(stores):
        if given == MEMORY and config.mode is not Mode.PROCESS:
            made.append(memory_backend(config.clock))
            continue
        store = state_store(given, run=config.run if stores == 1 else f"{config.run}n{number}")
        stack.push_async_callback(store.clean)
        made.append(store.plugin)
    return made * count if config.shares_state else made


def _audit_of(config: SimulationConfig, stack: AsyncExitStack) -> Plugin | AuditStore | None:
    """Return where dispatches are recorded; what is made for that is removed by `stack`."""
    given = config.audit
    if given is None or given == DISABLED or isinstance(given, AuditStore):
        return None if isinstance(given, str) else given
    if given == MEMORY:
        return Plugin(MEMORY)
    store = audit_store(given, run=config.run)
    stack.push_async_callback(store.clean)
    return store.plugin
