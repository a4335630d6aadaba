"""The endpoints on providers: list, health, reload, circuits."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from attrs import define, field
from starlette.requests import Request
from starlette.responses import Response

from acteon.audit import Act
from acteon.core import ConfigError, Reader, format_instant
from acteon.executor import CallSummary, Line
from acteon.gateway import Gateway, ProviderStatus
from acteon.provider import GroupProvider, ProviderHealth, check_health
from acteon.server.auth import Permission, principal_of
from acteon.server.http.administration import telling
from acteon.server.http.answers import json_answer
from acteon.server.http.bodies import BodyReader
from acteon.server.http.errors import RequestError
from acteon.server.http.shapes import (
    CallStatistics,
    CircuitStatus,
    ProviderHealthEntry,
    ProviderLimits,
    ProvidersHealthResponse,
    ProvidersReloadResponse,
    ProvidersResponse,
    ProviderSummary,
    SetCircuitRequest,
)
from acteon.server.providing import Exchanged

HEALTH_LIMIT: Final = timedelta(seconds=5)
"""How long each provider may take to tell how it is."""

Reload = Callable[[], Awaitable[Exchanged]]
"""Puts the providers of the configuration in force, as it is now."""

_SET_CIRCUIT: Final = Reader(SetCircuitRequest, ("state",))


@define(eq=False)
class ProviderEndpoints:
    """What can be asked and done about providers."""

    gateway: Gateway
    bodies: BodyReader
    reload_providers: Reload | None
    _checking: "asyncio.Task[tuple[ProviderHealth, ...]] | None" = field(default=None, init=False)

    async def list_all(self, request: Request) -> Response:
        """Answer `GET /v1/providers`."""
        principal_of(request.scope).require(Permission.READ_PROVIDERS)
        statuses = self.gateway.provider_control.statuses()
        return json_answer(ProvidersResponse(tuple(map(_summary, statuses))))

    async def health(self, request: Request) -> Response:
        """Answer `GET /v1/providers/health`: ask all of them at once, once for all who want it."""
        principal_of(request.scope).require(Permission.READ_PROVIDERS)
        calls = {
            status.provider.name: status.calls
            for status in self.gateway.provider_control.statuses()
        }
        found = await self._checked()
        return json_answer(
            ProvidersHealthResponse(
                tuple(
                    ProviderHealthEntry(
                        provider=each.provider,
                        healthy=each.healthy,
                        error=each.error,
                        calls=_statistics(calls.get(each.provider)),
                    )
                    for each in found
                )
            )
        )

    async def _checked(self) -> tuple[ProviderHealth, ...]:
        """Ask all providers, or wait for the answers that somebody else is waiting for."""
        if self._checking is None or self._checking.done():
            check = check_health(self.gateway.providers, timeout=HEALTH_LIMIT)
            self._checking = self.gateway.tasks.start(check)
        return await asyncio.shield(self._checking)

    async def reload(self, request: Request) -> Response:
        """Answer `POST /v1/providers/reload`; any body is ignored."""
        principal = principal_of(request.scope)
        principal.require_everything(Permission.MANAGE_PROVIDERS)
        if self.reload_providers is None:
            raise RequestError(404, "this server has no configuration to be read again")
        async with telling(self.gateway.audit, Act.RELOAD_PROVIDERS, principal.caller) as details:
            try:
                exchanged = await self.reload_providers()
            except ConfigError as error:
                raise RequestError(400, str(error)) from None
            details.update(
                added=list(exchanged.added),
                changed=list(exchanged.changed),
                removed=list(exchanged.removed),
            )
        return json_answer(
            ProvidersReloadResponse(
                added=exchanged.added,
                changed=exchanged.changed,
                removed=exchanged.removed,
                unchanged=exchanged.unchanged,
                restart=exchanged.restart,
            )
        )

    async def set_circuit(self, request: Request) -> Response:
        """Answer `PUT /v1/providers/{name}/circuit`."""
        name: str = request.path_params["name"]
        wanted = await self.bodies.read(request.scope, request.receive, _SET_CIRCUIT.read)
        principal = principal_of(request.scope)
        principal.require_everything(Permission.MANAGE_PROVIDERS)
        async with telling(self.gateway.audit, Act.SWITCH_CIRCUIT, principal.caller) as details:
            details.update(provider=name, state=wanted.state)
            control = self.gateway.provider_control
            status = control.set_circuit(name, open=wanted.state == "open")
        return json_answer(_summary(status))


def _summary(status: ProviderStatus) -> ProviderSummary:
    registered, line = status.provider, status.line
    provider = registered.provider
    return ProviderSummary(
        name=registered.name,
        type=registered.type,
        idempotent=registered.idempotent,
        members=provider.members if isinstance(provider, GroupProvider) else (),
        in_flight=0 if line is None else line.in_flight,
        waiting=0 if line is None else line.waiting,
        limits=None if line is None else _limits(line),
        circuit=None if line is None else _circuit(line),
        calls=_statistics(status.calls),
    )


def _limits(line: Line) -> ProviderLimits:
    return ProviderLimits(
        max_concurrent=line.max_concurrent,
        timeout_seconds=line.seconds,
        max_retries=line.max_retries,
        max_per_second=line.limits.max_per_second,
    )


def _circuit(line: Line) -> CircuitStatus:
    circuit, settings = line.circuit, line.circuit.settings
    return CircuitStatus(
        state=circuit.state.value,
        failures=circuit.failures,
        opened=circuit.opened,
        by_hand=circuit.forced,
        threshold=None if settings is None else settings.failure_threshold,
        fallback=None if settings is None else settings.fallback,
    )


def _statistics(calls: CallSummary | None) -> CallStatistics | None:
    if calls is None:
        return None
    rate, failed = calls.success_rate, calls.last_failure
    quantiles = [round(each * 1000, 3) for each in calls.quantiles]
    p50, p95, p99 = quantiles or (None, None, None)
    return CallStatistics(
        attempts=calls.attempts,
        successes=calls.successes,
        success_rate=None if rate is None else round(rate, 6),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        last_failure=None if failed is None else format_instant(failed),
        last_code=calls.last_code,
    )
