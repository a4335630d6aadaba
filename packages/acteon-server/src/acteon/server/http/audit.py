"""The endpoints on the audit trail."""

from typing import Any, Final

import msgspec
from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from acteon.audit import DEFAULT_LIMIT, MAX_LIMIT, AuditQuery, AuditTrail
from acteon.server.http.answers import json_answer, json_text
from acteon.server.http.errors import RequestError
from acteon.server.http.queries import instant, integer, read_query

FILTERS: Final = (
    "namespace",
    "tenant",
    "provider",
    "action_type",
    "outcome",
    "verdict",
    "matched_rule",
    "caller_id",
)
_KNOWN: Final = (*FILTERS, "from", "to", "limit", "offset")


@frozen
class AuditEndpoints:
    """What can be asked of the audit trail."""

    trail: AuditTrail | None

    async def query(self, request: Request) -> Response:
        """Answer `GET /v1/audit`."""
        given = read_query(request.scope, _KNOWN)
        texts: dict[str, Any] = {name: given[name] for name in FILTERS if name in given}
        query = AuditQuery(
            **texts,
            since=instant(given, "from"),
            until=instant(given, "to"),
            limit=min(max(integer(given, "limit", DEFAULT_LIMIT), 1), MAX_LIMIT),
            offset=integer(given, "offset", 0),
        )
        page = await self._enabled().query(query)
        return json_answer(
            {
                "records": [msgspec.Raw(record.to_json()) for record in page.records],
                "total": page.total,
                "limit": page.limit,
                "offset": page.offset,
            }
        )

    async def latest(self, request: Request) -> Response:
        """Answer `GET /v1/audit/{action_id}`."""
        action_id: str = request.path_params["action_id"]
        record = await self._enabled().latest(action_id)
        if record is None:
            raise RequestError(404, f"no audit record found for action: {action_id}")
        return json_text(record.to_json())

    def _enabled(self) -> AuditTrail:
        if self.trail is None:
            raise RequestError(404, "audit is not enabled")
        return self.trail
