"""The endpoints on rules: list, reload, evaluate, switch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

import anyio
import anyio.to_thread
from attrs import evolve, field, frozen
from starlette.requests import Request
from starlette.responses import Response

from acteon.audit import Act
from acteon.core import RULES, Reader, encode_told, load_plugin
from acteon.gateway import Gateway, GatewayMetrics
from acteon.rules import ParsedRules, Rule, RuleFrontend, RuleParseError, describe
from acteon.server.auth import Permission, principal_of
from acteon.server.http.administration import telling
from acteon.server.http.answers import encode, json_answer, json_text
from acteon.server.http.bodies import BodyReader, content_type
from acteon.server.http.errors import RequestError
from acteon.server.http.evaluating import read_evaluate_request
from acteon.server.http.queries import flag, read_query
from acteon.server.http.shapes import (
    ReloadRequest,
    ReloadResponse,
    RuleSummary,
    SetEnabledRequest,
    SetEnabledResponse,
)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_RELOAD: Final = Reader(ReloadRequest, ("directory",))
_SET_ENABLED: Final = Reader(SetEnabledRequest, ("enabled",))


@frozen
class RuleEndpoints:
    """What can be asked and done about rules."""

    gateway: Gateway
    bodies: BodyReader
    limiter: anyio.CapacityLimiter = field(factory=lambda: anyio.CapacityLimiter(1))
    """Of what takes time with many rules, one is done at a time; others come in between."""

    async def list_all(self, request: Request) -> Response:
        """Answer `GET /v1/rules`, with `details=true` by all that there is to tell of a rule."""
        principal = principal_of(request.scope)
        detailed = flag(read_query(request.scope, ("details",)), "details")
        principal.require(Permission.READ_RULES)
        if detailed:
            # Conditions name tenants, and whom they write to.
            principal.require_everything(Permission.READ_RULES)
            return json_text(await self._in_thread(self._details))
        return json_answer(
            [
                RuleSummary(
                    name=rule.name,
                    priority=rule.priority,
                    enabled=rule.enabled,
                    description=rule.description,
                )
                for rule in self.gateway.rules
            ]
        )

    def _details(self) -> bytes:
        metrics = self.gateway.metrics
        return encode([_detailed(rule, metrics) for rule in self.gateway.rules])

    async def reload(self, request: Request) -> Response:
        """Answer `POST /v1/rules/reload`; without a content type, any body is ignored."""
        wanted = ReloadRequest()
        if content_type(request.scope) is not None:
            wanted = await self.bodies.read(request.scope, request.receive, _RELOAD.read)
        principal = principal_of(request.scope)
        principal.require_everything(Permission.MANAGE_RULES)
        directory = wanted.directory
        if directory is None and self.gateway.rules_directory is not None:
            directory = str(self.gateway.rules_directory)
        if directory is None:
            raise RequestError(400, "missing 'directory' field in request body")
        if not await anyio.Path(directory).is_dir():
            raise RequestError(400, f"directory not found: {directory}")
        chosen = None if wanted.directory is None else Path(directory)
        async with telling(self.gateway.audit, Act.RELOAD_RULES, principal.caller) as details:
            details["directory"] = directory
            reloaded = await self.gateway.reload_rules(chosen)
            details["loaded"] = reloaded.count
            details["version"] = reloaded.version
        return json_answer(
            ReloadResponse(
                reloaded=reloaded.count,
                directory=directory,
                loaded=reloaded.count,
                version=reloaded.version,
                warnings=reloaded.warnings,
            )
        )

    async def evaluate(self, request: Request) -> Response:
        """Answer `POST /v1/rules/evaluate`."""
        wanted = await self.bodies.read(request.scope, request.receive, read_evaluate_request)
        principal = principal_of(request.scope)
        # The answer tells of conditions, which name tenants, and of the environment.
        principal.require_everything(Permission.EVALUATE_RULES)
        parsed: ParsedRules | None = None
        if wanted.rules is not None:
            parsed = await self._in_thread(_parsed, wanted.rules)
        try:
            evaluation = await self.gateway.explain(
                wanted.action,
                now=wanted.now,
                state=wanted.entries,
                environment=wanted.environment,
                rules=None if parsed is None else parsed.rules,
            )
        except RuleParseError as error:
            raise _bad_rules(error) from None
        if parsed is not None:
            odd = tuple(problem.located for problem in parsed.warnings)
            evaluation = evolve(evaluation, warnings=(*odd, *evaluation.warnings))
        return json_text(await self._in_thread(encode_told, evaluation.as_json()))

    async def _in_thread(self, function: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        return await anyio.to_thread.run_sync(function, *args, limiter=self.limiter)

    async def set_enabled(self, request: Request) -> Response:
        """Answer `PUT /v1/rules/{name}/enabled`."""
        name: str = request.path_params["name"]
        wanted = await self.bodies.read(request.scope, request.receive, _SET_ENABLED.read)
        principal = principal_of(request.scope)
        principal.require_everything(Permission.MANAGE_RULES)
        async with telling(self.gateway.audit, Act.SWITCH_RULE, principal.caller) as details:
            details.update(rule=name, enabled=wanted.enabled)
            await self.gateway.set_rule_enabled(name, enabled=wanted.enabled)
        return json_answer(
            SetEnabledResponse(
                name=name,
                enabled=wanted.enabled,
                status="enabled" if wanted.enabled else "disabled",
            )
        )


def _detailed(rule: Rule, metrics: GatewayMetrics) -> dict[str, Any]:
    counted = metrics.rule_shadow_matches if rule.shadow else metrics.rule_matches
    return {
        "name": rule.name,
        "priority": rule.priority,
        "enabled": rule.enabled,
        "description": rule.description,
        "file": rule.source,
        "line": rule.line,
        "verdict": rule.effect.verdict,
        "condition": describe(rule.condition),
        "continue": rule.continues,
        "shadow": rule.shadow,
        "on_error": None if rule.on_error is None else rule.on_error.value,
        "timezone": str(rule.timezone),
        "matches": counted[rule.name],
        "errors": metrics.rule_errors[rule.name],
    }


def _parsed(text: str) -> ParsedRules:
    try:
        return _made(load_plugin(RULES, "yaml", RuleFrontend)).parse(text)
    except RuleParseError as error:
        raise _bad_rules(error) from None


def _made(frontend: Callable[[], RuleFrontend]) -> RuleFrontend:
    return frontend()


def _bad_rules(error: RuleParseError) -> RequestError:
    """Return the refusal of rules that were sent; it tells all that is wrong with them."""
    return RequestError(400, f"rules: {'; '.join(each.located for each in error.problems)}")
