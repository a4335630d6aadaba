"""From a configuration to open things: the state store, the audit trail, providers, the gateway.

Each goes on the stack of the caller, who closes it by closing the stack. What a plugin raises
while it opens becomes a `ConfigError` of one line that shows no secret of the configuration.
"""

import logging
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import TypeVar

from acteon.audit import AuditPlugin, AuditSettings, AuditStore, AuditTrail, Redaction
from acteon.core import (
    AUDIT,
    STATE,
    SYSTEM_CLOCK,
    Clock,
    load_plugin,
)
from acteon.executor import DeadLetterSink, ExecutorSettings, MemoryDeadLetters
from acteon.gateway import Gateway, GatewaySettings
from acteon.provider import ProviderRegistry
from acteon.server.auth.book import AccountBook, open_accounts
from acteon.server.config import AuditSection, Config
from acteon.server.explained import explained
from acteon.server.providing import NO_PROVIDERS, ConfiguredProviders
from acteon.state import StateBackend, StatePlugin

log = logging.getLogger(__name__)
T = TypeVar("T")


async def open_gateway(
    stack: AsyncExitStack,
    config: Config,
    *,
    clock: Clock = SYSTEM_CLOCK,
    providers: ProviderRegistry = NO_PROVIDERS,
) -> Gateway:
    """Open all that `config` names, and the gateway over it.

    Args:
        stack: Takes what is opened.
        config: Says what that is.
        clock: Measures the gateway's time.
        providers: More of them, which the caller has opened and will close.

    Raises:
        ConfigError: Something cannot be opened, or a provider of `providers` is configured as
            well; what was open is closed with the stack.
    """
    configured = await stack.enter_async_context(ConfiguredProviders(config, providers))
    return await open_gateway_over(stack, config, configured.registry, clock=clock)


async def open_gateway_over(
    stack: AsyncExitStack,
    config: Config,
    providers: ProviderRegistry,
    *,
    clock: Clock = SYSTEM_CLOCK,
) -> Gateway:
    """Open all that `config` names but its providers, and the gateway.

    Args:
        stack: Takes what is opened.
        config: Says what that is.
        providers: All who deliver; the caller has opened them and will close them.
        clock: Measures the gateway's time.

    Raises:
        ConfigError: Something cannot be opened; what was open is closed with the stack.
    """
    gateway = Gateway(
        state=await open_state(stack, config),
        audit=await open_audit(stack, config, clock=clock),
        providers=providers,
        executor=executor_settings(config),
        dead_letters=dead_letters(config),
        rules_directory=config.rules.directory,
        watch_rules=config.rules.watch,
        strict_rules=config.rules.strict,
        settings=gateway_settings(config),
        clock=clock,
    )
    return await stack.enter_async_context(gateway)


async def open_book(
    stack: AsyncExitStack, config: Config, environ: Mapping[str, str]
) -> AccountBook | None:
    """Open the book of those who may use the server, if `[auth]` enables it.

    Args:
        stack: Takes it.
        config: Names its file.
        environ: Has the master key.

    Raises:
        ConfigError: There is no master key, or the file cannot be used.
    """
    if not config.auth.enabled:
        return None
    directory = Path() if config.path is None else config.path.parent
    opening = open_accounts(config.auth, environ, directory=directory)
    return await stack.enter_async_context(opening)


async def open_state(stack: AsyncExitStack, config: Config) -> StateBackend:
    """Open the state store that `[state]` names.

    Raises:
        ConfigError: It cannot be opened.
    """
    section = config.state
    plugin = load_plugin(STATE, section.backend, StatePlugin)
    with explained(f"{section.backend} state backend", config):
        settings = plugin.Config() if section.settings is None else section.settings
        backend = await _entered(stack, plugin.open(settings))
    log.info("state backend opened", extra={"acteon.backend": section.backend})
    return backend


async def open_audit(
    stack: AsyncExitStack, config: Config, *, clock: Clock = SYSTEM_CLOCK
) -> AuditTrail | None:
    """Open the audit trail, if `[audit]` enables it.

    Raises:
        ConfigError: It cannot be opened.
    """
    if not config.audit.enabled:
        return None
    store = await open_audit_store(stack, config)
    trail = AuditTrail(store, audit_settings(config.audit), clock=clock)
    await stack.enter_async_context(trail)
    log.info("audit trail opened", extra={"acteon.backend": config.audit.backend})
    return trail


async def open_audit_store(stack: AsyncExitStack, config: Config) -> AuditStore:
    """Open the store that `[audit]` names, enabled or not.

    Raises:
        ConfigError: It cannot be opened.
    """
    section = config.audit
    plugin = load_plugin(AUDIT, section.backend, AuditPlugin)
    with explained(f"audit {section.backend}", config):
        settings = plugin.Config() if section.settings is None else section.settings
        return await _entered(stack, plugin.open(settings))


async def _entered(stack: AsyncExitStack, opening: AbstractAsyncContextManager[T]) -> T:
    return await stack.enter_async_context(opening)


def gateway_settings(config: Config) -> GatewaySettings:
    """Return what `[executor]` and `[rules]` say about the pipeline."""
    return GatewaySettings(
        lease=config.executor.lock_lease,
        patience=config.executor.lock_wait,
        on_unknown=config.executor.on_unknown,
        on_rule_error=config.rules.on_error,
        on_store_error=config.rules.on_store_error,
        environment=config.rules.environment,
    )


def executor_settings(config: Config) -> ExecutorSettings:
    """Return what `[executor]` says about attempts."""
    section = config.executor
    return ExecutorSettings(
        max_retries=section.max_retries,
        timeout=section.timeout,
        max_concurrent=section.max_concurrent,
    )


def dead_letters(config: Config) -> DeadLetterSink | None:
    """Return where dead letters go, if `[executor]` keeps them."""
    section = config.executor
    return MemoryDeadLetters(max_letters=section.dlq_max) if section.dlq_enabled else None


def audit_settings(section: AuditSection) -> AuditSettings:
    """Return what `[audit]` says about the trail."""
    redact = section.redact
    redaction = None
    if redact.enabled and redact.fields:
        redaction = Redaction(
            redact.fields, redact.placeholder, metadata=redact.metadata, texts=redact.texts
        )
    return AuditSettings(
        ttl=section.ttl,
        store_payload=section.store_payload,
        redaction=redaction,
        mode=section.mode,
        flush_delay=section.flush_delay,
        max_queue=section.max_queue,
        max_queue_bytes=section.max_queue_bytes,
        on_overflow=section.on_overflow,
        block_for=section.block_for,
        cleanup_interval=section.cleanup_interval,
    )
