"""The endpoints on rules: list, reload, switch."""

from pathlib import Path
from typing import Final

import anyio
from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from acteon.core import Reader
from acteon.gateway import Gateway
from acteon.server.http.answers import json_answer
from acteon.server.http.bodies import BodyReader, content_type
from acteon.server.http.errors import RequestError
from acteon.server.http.shapes import (
    ReloadRequest,
    ReloadResponse,
    RuleSummary,
    SetEnabledRequest,
    SetEnabledResponse,
)

_RELOAD: Final = Reader(ReloadRequest, ("directory",))
_SET_ENABLED: Final = Reader(SetEnabledRequest, ("enabled",))


@frozen
class RuleEndpoints:
    """What can be asked and done about rules."""

    gateway: Gateway
    bodies: BodyReader

    async def list_all(self, _request: Request) -> Response:
        """Answer `GET /v1/rules`."""
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

    async def reload(self, request: Request) -> Response:
        """Answer `POST /v1/rules/reload`; without a content type, any body is ignored."""
        wanted = ReloadRequest()
        if content_type(request.scope) is not None:
            wanted = await self.bodies.read(request.scope, request.receive, _RELOAD.read)
        directory = wanted.directory
        if directory is None and self.gateway.rules_directory is not None:
            directory = str(self.gateway.rules_directory)
        if directory is None:
            raise RequestError(400, "missing 'directory' field in request body")
        if not await anyio.Path(directory).is_dir():
            raise RequestError(400, f"directory not found: {directory}")
        chosen = None if wanted.directory is None else Path(directory)
        reloaded = await self.gateway.reload_rules(chosen)
        return json_answer(
            ReloadResponse(
                reloaded=reloaded.count,
                directory=directory,
                loaded=reloaded.count,
                warnings=reloaded.warnings,
            )
        )

    async def set_enabled(self, request: Request) -> Response:
        """Answer `PUT /v1/rules/{name}/enabled`."""
        name: str = request.path_params["name"]
        wanted = await self.bodies.read(request.scope, request.receive, _SET_ENABLED.read)
        await self.gateway.set_rule_enabled(name, enabled=wanted.enabled)
        return json_answer(
            SetEnabledResponse(
                name=name,
                enabled=wanted.enabled,
                status="enabled" if wanted.enabled else "disabled",
            )
        )
