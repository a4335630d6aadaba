"""The endpoints that send past actions again, and that erase payloads."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import evolve, frozen
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from acteon.audit import Act, AuditRecord, given_filters
from acteon.gateway import Gateway, Replayed
from acteon.server.auth import Permission, Principal, principal_of
from acteon.server.http.administration import telling
from acteon.server.http.answers import json_answer
from acteon.server.http.audit import enabled, restricted
from acteon.server.http.bodies import BodyReader, content_type
from acteon.server.http.cursors import next_cursor, read_cursor
from acteon.server.http.errors import RequestError
from acteon.server.http.filters import (
    DryRunRequest,
    read_dry_run_request,
    read_erase_request,
    read_replay_request,
)
from acteon.server.http.identity import LimitActions
from acteon.server.http.queries import flag, read_query
from acteon.server.http.shapes import EraseResponse, ReplayItem, ReplayResponse

_DRY_RUN: Final = ("dry_run",)


@frozen
class ReplayEndpoints:
    """What can be done with past actions, and with what is kept of them."""

    gateway: Gateway
    bodies: BodyReader
    limit: LimitActions | None = None

    async def replay(self, request: Request) -> Response:
        """Answer `POST /v1/audit/replay`."""
        trail = enabled(self.gateway.audit)
        dry_run = flag(read_query(request.scope, _DRY_RUN), "dry_run")
        wanted = await self.bodies.read(request.scope, request.receive, read_replay_request)
        principal = principal_of(request.scope)
        query = restricted(wanted.as_query(limit=wanted.limit), principal, Permission.REPLAY)
        if wanted.cursor is not None:
            query = evolve(query, after=read_cursor(wanted.cursor))
        page = await trail.query(query)
        if self.limit is not None and page.records:
            await self.limit(request.scope, page.records)
        done = await self._replay(
            page.records,
            principal,
            dry_run=dry_run or wanted.dry_run,
            tenant=query.tenant,
            wanted={"filters": given_filters(query), "limit": wanted.limit},
        )
        return json_answer(
            ReplayResponse(
                **_counted(done),
                total=page.total,
                next_cursor=next_cursor(page),
                dry_run=dry_run or wanted.dry_run,
                results=tuple(map(_item, done)),
            )
        )

    async def replay_one(self, request: Request) -> Response:
        """Answer `POST /v1/audit/{action_id}/replay`; without a content type, a body is ignored."""
        trail = enabled(self.gateway.audit)
        dry_run = flag(read_query(request.scope, _DRY_RUN), "dry_run")
        if content_type(request.scope) is not None:
            wanted = await self.bodies.read(request.scope, request.receive, _read_optional)
            dry_run = dry_run or wanted.dry_run
        principal = principal_of(request.scope)
        principal.require(Permission.REPLAY)
        action_id: str = request.path_params["action_id"]
        record = await trail.latest(action_id, scopes=principal.scopes)
        if record is None:
            raise RequestError(404, f"no audit record found for action: {action_id}")
        if self.limit is not None:
            await self.limit(request.scope, [record])
        (done,) = await self._replay(
            [record],
            principal,
            dry_run=dry_run,
            tenant=record.tenant,
            wanted={"action_id": action_id},
        )
        if isinstance(done.result, Exception):
            raise done.result
        return json_answer(_item(done))

    async def _replay(
        self,
        records: Sequence[AuditRecord],
        principal: Principal,
        *,
        dry_run: bool,
        tenant: str | None,
        wanted: Mapping[str, Any],
    ) -> tuple[Replayed, ...]:
        caller = principal.caller
        if dry_run:
            return await self.gateway.replay(records, caller, dry_run=True)
        tenant = tenant or principal.only_tenant
        async with telling(self.gateway.audit, Act.REPLAY, caller, tenant=tenant) as details:
            details.update(wanted)
            done = await self.gateway.replay(records, caller)
            details.update(_counted(done))
        return done

    async def erase(self, request: Request) -> Response:
        """Answer `POST /v1/audit/erase`."""
        trail = enabled(self.gateway.audit)
        dry_run = flag(read_query(request.scope, _DRY_RUN), "dry_run")
        wanted = await self.bodies.read(request.scope, request.receive, read_erase_request)
        principal = principal_of(request.scope)
        query = restricted(wanted.as_query(), principal, Permission.ERASE)
        value: Any = None if wanted.value is UNSET else wanted.value
        erased = await trail.erase(
            query,
            path=wanted.path,
            value=value,
            dry_run=dry_run or wanted.dry_run,
            caller=principal.caller,
            tenant=query.tenant or principal.only_tenant,
        )
        return json_answer(EraseResponse(matched=erased.matched, erased=erased.erased))


def _read_optional(body: bytes) -> DryRunRequest:
    """Return what `body` asks for; many clients name its type even if they send none."""
    return read_dry_run_request(body) if body else DryRunRequest()


def _counted(done: Iterable[Replayed]) -> dict[str, int]:
    done = tuple(done)
    return {
        "replayed": sum(each.success for each in done),
        "failed": sum(each.sent and not each.success for each in done),
        "skipped": sum(not each.sent for each in done),
    }


def _item(done: Replayed) -> ReplayItem:
    code, error = done.error or (None, None)
    return ReplayItem(
        action_id=done.action_id,
        new_action_id=done.new_action_id,
        success=done.success,
        outcome=done.outcome,
        error=error,
        code=code,
    )
