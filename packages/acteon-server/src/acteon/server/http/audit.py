"""The endpoints on the audit trail."""

from typing import Any, Final

import msgspec
from attrs import evolve, frozen
from starlette.requests import Request
from starlette.responses import Response

from acteon.audit import DEFAULT_LIMIT, MAX_LIMIT, AuditQuery, AuditTrail
from acteon.audit.query import EQUAL
from acteon.server.auth import ForbiddenError, Permission, Principal, principal_of
from acteon.server.http.answers import json_answer, json_text
from acteon.server.http.cursors import next_cursor, read_cursor
from acteon.server.http.errors import RequestError
from acteon.server.http.queries import instant, integer, read_query
from acteon.server.http.routes import Endpoint

_KNOWN: Final = (*EQUAL, "from", "to", "limit", "offset", "cursor")


@frozen
class AuditEndpoints:
    """What can be asked of the audit trail."""

    trail: AuditTrail | None

    async def query(self, request: Request) -> Response:
        """Answer `GET /v1/audit`."""
        given = read_query(request.scope, _KNOWN)
        texts: dict[str, Any] = {name: given[name] for name in EQUAL if name in given}
        cursor = given.get("cursor")
        if cursor is not None and "offset" in given:
            raise RequestError(
                400, "offset: has no place beside `cursor`, which says where to begin"
            )
        query = AuditQuery(
            **texts,
            after=None if cursor is None else read_cursor(cursor),
            since=instant(given, "from"),
            until=instant(given, "to"),
            limit=min(max(integer(given, "limit", DEFAULT_LIMIT), 1), MAX_LIMIT),
            offset=integer(given, "offset", 0),
        )
        query = restricted(query, principal_of(request.scope), Permission.READ_AUDIT)
        page = await enabled(self.trail).query(query)
        return json_answer(
            {
                "records": [msgspec.Raw(record.to_json()) for record in page.records],
                "total": page.total,
                "limit": page.limit,
                "offset": page.offset,
                "next_cursor": next_cursor(page),
            }
        )

    async def latest(self, request: Request) -> Response:
        """Answer `GET /v1/audit/{action_id}`."""
        return await self._latest(request, request.path_params["action_id"])

    def latest_of(self, action_id: str) -> Endpoint:
        """Return what answers `GET` for an action whose id is the path of something else."""

        async def answer(request: Request) -> Response:
            return await self._latest(request, action_id)

        return answer

    async def _latest(self, request: Request, action_id: str) -> Response:
        principal = principal_of(request.scope)
        principal.require(Permission.READ_AUDIT)
        record = await enabled(self.trail).latest(action_id, scopes=principal.scopes)
        if record is None:
            raise RequestError(404, f"no audit record found for action: {action_id}")
        return json_text(record.to_json())


def restricted(query: AuditQuery, principal: Principal, permission: Permission) -> AuditQuery:
    """Return `query` of what `principal` may see; else raise.

    Raises:
        ForbiddenError: The role does not allow it, or no grant has the tenant that is asked for.
    """
    principal.require(permission)
    if query.tenant is not None and not principal.has_tenant(query.tenant):
        raise ForbiddenError(f"no grant covers tenant={query.tenant}")
    return evolve(query, scopes=principal.scopes)


def enabled(trail: AuditTrail | None) -> AuditTrail:
    """Return `trail`.

    Raises:
        RequestError: There is none.
    """
    if trail is None:
        raise RequestError(404, "audit is not enabled")
    return trail
