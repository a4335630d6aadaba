"""How a client talks with its server, step by step, without doing any I/O.

A conversation is a generator: it yields what is to be done next (a `Request` to be sent, or a
`Pause`), is sent what came of it, and returns its result. The sync and the async client carry out
the same conversations.
"""

import logging
import time
from collections.abc import Generator, Mapping
from typing import Any, Final, Self, TypeVar

from attrs import define, evolve, field, frozen

from acteon.client import operations
from acteon.client.answers import Answer
from acteon.client.calls import Call
from acteon.client.errors import ActeonConnectionError, ActeonTimeoutError, ClientError
from acteon.client.models import AuditPage, AuditRecord, Login
from acteon.client.options import Exchange, Options
from acteon.client.outcomes import Outcome
from acteon.client.queries import AuditQuery
from acteon.core import Action, Throttled

log = logging.getLogger("acteon.client")

T = TypeVar("T")

PAGE: Final = 200
"""Records on a page of a walk."""
CHUNK: Final = 100
"""Actions in a request of many."""


@frozen
class Request:
    """A request to be sent.

    Attributes:
        method: The method.
        target: Path and query, below the base URL.
        headers: All of them but those of HTTP itself.
        body: The body, if there is one.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


@frozen
class Pause:
    """Some seconds of nothing."""

    seconds: float


Step = Request | Pause
Came = Answer | ActeonConnectionError | None
Talk = Generator[Step, Came, T]


def ask(call: Call[T], options: Options) -> Talk[T]:
    """Make `call`, as often as the policy has it, and return what it means.

    Raises:
        ClientError: As the last attempt did.
    """
    begun = time.monotonic()
    attempt = 0
    while True:
        attempt += 1
        started = time.monotonic()
        came = yield _request(call, options)
        assert came is not None
        status = None
        try:
            if isinstance(came, ActeonConnectionError):
                came.request_id = call.request_id
                raise came
            status = came.status
            result = call.result(came)
        except ClientError as error:
            _told(call, options, attempt, started, status, error)
            elapsed = time.monotonic() - begun
            pause = options.retry.pause(error, call.repeat, attempts=attempt, elapsed=elapsed)
            if pause is None:
                raise
            log.info(
                "a request failed and will be repeated",
                extra={"acteon.path": call.path, "acteon.error": str(error)},
            )
            yield Pause(pause)
        else:
            _told(call, options, attempt, started, status, None)
            return result


def _request(call: Call[Any], options: Options) -> Request:
    headers = {**options.headers, **options.credentials.headers()}
    if call.body is not None:
        headers["content-type"] = "application/json"
    return Request(call.method, call.target, headers, call.body)


def _told(
    call: Call[Any],
    options: Options,
    attempt: int,
    started: float,
    status: int | None,
    error: ClientError | None,
) -> None:
    seconds = time.monotonic() - started
    log.debug(
        "a request ended",
        extra={"acteon.path": call.path, "acteon.status": status, "acteon.seconds": seconds},
    )
    if options.observe is not None:
        options.observe(
            Exchange(
                method=call.method,
                path=call.path,
                attempt=attempt,
                seconds=seconds,
                status=status,
                error=error,
            )
        )


def log_in(username: str, password: str, options: Options) -> Talk[Login]:
    """Sign in, and go on as whoever that is."""
    signed_in = yield from ask(operations.login(username, password), options)
    options.credentials.api_key = None
    options.credentials.token = signed_in.token
    return signed_in


def log_out(options: Options) -> Talk[None]:
    """Sign out, and go on as nobody."""
    yield from ask(operations.logout(), options)
    options.credentials.token = None


def is_healthy(options: Options) -> Talk[bool]:
    """Return whether the server answers that it is alive; never raises."""
    try:
        return (yield from ask(operations.health(), options))
    except ClientError:
        return False


def dispatched_with_backoff(action: Action, options: Options, patience: float) -> Talk[Outcome]:
    """Dispatch `action` until no quota holds it back, or `patience` seconds would be over."""
    end = time.monotonic() + patience
    while True:
        outcome = yield from ask(operations.dispatch(action), options)
        if not isinstance(outcome, Throttled):
            return outcome
        pause = outcome.retry_after.total_seconds()
        if time.monotonic() + pause > end:
            return outcome
        yield Pause(pause)


def record_waited_for(
    action_id: str, options: Options, timeout: float, interval: float
) -> Talk[AuditRecord]:
    """Return the record of an action once it is there.

    Raises:
        ActeonTimeoutError: It does not come in time.
    """
    end = time.monotonic() + timeout
    while True:
        record = yield from ask(operations.get_audit_record(action_id), options)
        if record is not None:
            return record
        if time.monotonic() + interval > end:
            text = f"no audit record of action {action_id!r} within {timeout:g} s"
            raise ActeonTimeoutError(text, request_id=action_id)
        yield Pause(interval)


@define(eq=False)
class AuditWalk:
    """A walk over all records that fit a query, the newest first, page by page.

    It follows the server's cursors. A server without them is asked by offset: no later than the
    record that came first, so that records that are written meanwhile move nothing, and a record
    that comes twice is left out.

    Attributes:
        query: What is to be asked for next; None at the end.
    """

    query: AuditQuery | None
    _left: int | None
    _seen: set[str] = field(factory=set[str], init=False)

    @classmethod
    def of(cls, query: AuditQuery, page_size: int) -> Self:
        """Return a walk in steps of `page_size`; a `limit` of `query` is the most records."""
        most = query.limit
        size = page_size if most is None else min(page_size, most)
        first = None if most == 0 else evolve(query, limit=size)
        return cls(first, most)

    def take(self, page: AuditPage) -> list[AuditRecord]:
        """Return the records of `page` that are new, and go on behind it."""
        asked = self.query
        assert asked is not None
        fresh = [record for record in page.records if record.id not in self._seen]
        if self._left is not None:
            fresh = fresh[: self._left]
            self._left -= len(fresh)
        self.query = self._following(asked, page)
        return fresh

    def _following(self, asked: AuditQuery, page: AuditPage) -> AuditQuery | None:
        if not page.records or self._left == 0:
            return None
        if page.next_cursor is not None:
            return evolve(asked, cursor=page.next_cursor, offset=None)
        behind = page.offset + len(page.records)
        if asked.cursor is not None or len(page.records) < page.limit:
            return None
        if page.total is not None and behind >= page.total:
            return None
        self._seen.update(record.id for record in page.records)
        until = asked.until or page.records[0].dispatched_at
        return evolve(asked, until=until, offset=behind)
