"""The endpoints on dead letters."""

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from acteon.audit import Act, AuditTrail
from acteon.executor import DeadLetter, DeadLetterSink
from acteon.server.auth import Permission, principal_of
from acteon.server.http.administration import telling
from acteon.server.http.answers import json_answer
from acteon.server.http.errors import RequestError
from acteon.server.http.shapes import DlqDrainResponse, DlqEntry, DlqStatsResponse


@frozen
class DeadLetterEndpoints:
    """What can be asked and done about dead letters."""

    letters: DeadLetterSink | None
    trail: AuditTrail | None

    async def stats(self, request: Request) -> Response:
        """Answer `GET /v1/dlq/stats`."""
        principal_of(request.scope).require(Permission.READ_DEAD_LETTERS)
        letters = self.letters
        if letters is None:
            return json_answer(DlqStatsResponse(enabled=False, count=0))
        return json_answer(DlqStatsResponse(enabled=True, count=len(letters)))

    async def drain(self, request: Request) -> Response:
        """Answer `POST /v1/dlq/drain`; any body is ignored."""
        principal = principal_of(request.scope)
        principal.require_everything(Permission.DRAIN_DEAD_LETTERS)
        if self.letters is None:
            raise RequestError(404, "dead-letter queue is not enabled")
        async with telling(self.trail, Act.DRAIN_DEAD_LETTERS, principal.caller) as details:
            entries = tuple(map(_entry, await self.letters.drain()))
            details["count"] = len(entries)
        return json_answer(DlqDrainResponse(entries=entries, count=len(entries)))


def _entry(letter: DeadLetter) -> DlqEntry:
    action = letter.action
    return DlqEntry(
        action_id=action.id,
        namespace=action.namespace,
        tenant=action.tenant,
        provider=action.provider,
        action_type=action.action_type,
        target=letter.target or action.provider,
        error=letter.error,
        code=letter.code,
        attempts=letter.attempts,
        timestamp=int(letter.timestamp.timestamp()),
        payload=action.payload,
        metadata=action.metadata,
        dedup_key=action.dedup_key,
        created_at=action.created_text,
    )
