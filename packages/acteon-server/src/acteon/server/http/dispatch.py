"""The two routes that take actions. They are the hot path: plain ASGI, nothing in between."""

from attrs import frozen
from starlette.types import Receive, Scope, Send

from acteon.core import (
    ActeonError,
    Action,
    Caller,
    encode_json,
    read_action,
    read_actions,
    write_outcome,
)
from acteon.gateway import Gateway, GatewayError, Preview
from acteon.server.auth import ForbiddenError, Permission, Principal, principal_of
from acteon.server.http.answers import encode, send_json
from acteon.server.http.bodies import BodyReader
from acteon.server.http.errors import RequestError, error_response
from acteon.server.http.identity import LimitActions
from acteon.server.http.queries import flag, read_query


@frozen
class DispatchRoute:
    """`POST /v1/dispatch`: one action in, what became of it out.

    Attributes:
        limit: Counts the action; None: there may be as many as they like.
    """

    gateway: Gateway
    bodies: BodyReader
    limit: LimitActions | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        dry_run = _dry_run(scope)
        action = await self.bodies.read(scope, receive, read_action)
        principal = principal_of(scope)
        principal.require(Permission.DISPATCH)
        principal.require_grant(action)
        if self.limit is not None:
            await self.limit(scope, (action,))
        if dry_run:
            answer = encode_json((await self.gateway.preview(action)).as_json())
        else:
            answer = write_outcome(await self.gateway.dispatch(action, principal.caller))
        await send_json(send, 200, answer)


@frozen
class BatchRoute:
    """`POST /v1/dispatch/batch`: actions in, what became of each out, in their order.

    Attributes:
        max_batch: The most actions that are taken at once; None: as many as the body holds.
        limit: Counts the actions; None: there may be as many as they like.
    """

    gateway: Gateway
    bodies: BodyReader
    max_batch: int | None
    limit: LimitActions | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        dry_run = _dry_run(scope)
        actions = await self.bodies.read(scope, receive, read_actions)
        principal = principal_of(scope)
        _check(principal, actions)
        self._check_size(actions)
        if self.limit is not None:
            await self.limit(scope, actions)
        items = await (self._preview(actions) if dry_run else self._run(actions, principal.caller))
        await send_json(send, 200, b"[" + b",".join(items) + b"]")

    def _check_size(self, actions: list[Action]) -> None:
        most = self.max_batch
        if most is None or len(actions) <= most:
            return
        error = RequestError(400, f"batch size {len(actions)} exceeds maximum of {most}")
        raise _for_batch(error, 400)

    async def _run(self, actions: list[Action], caller: Caller) -> list[bytes]:
        results = await self.gateway.dispatch_batch(actions, caller)
        return [
            encode(error_response(result))
            if isinstance(result, GatewayError)
            else write_outcome(result)
            for result in results
        ]

    async def _preview(self, actions: list[Action]) -> list[bytes]:
        results = await self.gateway.preview_batch(actions)
        return [
            encode_json(result.as_json())
            if isinstance(result, Preview)
            else encode(error_response(result))
            for result in results
        ]


def _check(principal: Principal, actions: list[Action]) -> None:
    """Raise unless `principal` may dispatch all of `actions`: else none is."""
    try:
        principal.require(Permission.DISPATCH)
        for action in actions:
            principal.require_grant(action)
    except ForbiddenError as error:
        raise _for_batch(error, 403) from None


def _for_batch(error: ActeonError, status: int) -> RequestError:
    """Return `error` as the refusal of a batch: whoever sends one expects a list."""
    return RequestError(status, str(error), body=[error_response(error)])


def _dry_run(scope: Scope) -> bool:
    return bool(scope["query_string"]) and flag(read_query(scope, ("dry_run",)), "dry_run")
