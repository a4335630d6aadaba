"""A provider that keeps what it was called with, and answers as it was told."""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from operator import methodcaller
from typing import Any, Final, NoReturn, Self, TypeVar, cast

from attrs import define, field

from acteon.core import SYSTEM_CLOCK, Action, Clock, ProviderResponse
from acteon.provider import ProviderError
from acteon.simulation.providers.captured import CallLog, CapturedCall, snapshot
from acteon.simulation.providers.failures import FailureMode

T = TypeVar("T", bound=BaseException)

Answer = ProviderResponse | ProviderError | Any
"""A response, an error to be raised, or the body of a response."""

ResponseFn = Callable[[Action], Answer | Awaitable[Answer]]

_NO_TIME: Final = timedelta(0)
_NOTHING: Final = object()

# Has pytest end the traceback of a failed assertion at the line of the test.
__tracebackhide__ = methodcaller("errisinstance", AssertionError)


def _mode(given: FailureMode | None) -> FailureMode:
    return FailureMode.never() if given is None else given


def _queue(given: Iterable[Answer]) -> deque[Answer]:
    return deque(given)


@define(eq=False)
class RecordingProvider:
    """Delivers nothing, and keeps what it was called with.

    A call waits for `delay`, then fails if `failure` says so, and is answered otherwise: by the
    next of `responses`, by `response_fn`, or with
    `{"provider": name, "action_id": id, "simulated": true}`.

    Attributes:
        name: What actions and rules call it.
        idempotent: Whether a call without an answer may be repeated.
        delay: How long each call takes.
        failure: Which calls fail, and as what.
        response_fn: Returns, also as a coroutine, the answer to an action: a `ProviderResponse`,
            the body of one, or a `ProviderError` to be raised; it may raise one, too.
        responses: Answers in order, errors included; afterwards `response_fn` goes on.
        keep: How many calls are kept, the newest; None: all. All are counted.
        clock: Tells the time, and makes delays.
    """

    name: str
    idempotent: bool = field(default=False, kw_only=True)
    delay: timedelta = field(default=_NO_TIME, kw_only=True)
    failure: FailureMode = field(default=None, converter=_mode, kw_only=True)
    response_fn: ResponseFn | None = field(default=None, kw_only=True)
    responses: deque[Answer] = field(factory=deque[Answer], converter=_queue, kw_only=True)
    keep: int | None = field(default=None, kw_only=True)
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True)
    _log: CallLog = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._log = CallLog(self.keep)

    def with_response_fn(self, response_fn: ResponseFn) -> Self:
        """Have `response_fn` answer from now on."""
        self.response_fn = response_fn
        return self

    def with_responses(self, *responses: Answer) -> Self:
        """Give these answers next, in their order."""
        self.responses.extend(responses)
        return self

    def with_delay(self, delay: timedelta) -> Self:
        """Have each call take `delay` from now on."""
        self.delay = delay
        return self

    def with_failure_mode(self, failure: FailureMode) -> Self:
        """Have calls fail as `failure` says from now on."""
        self.failure = failure
        return self

    async def execute(self, action: Action) -> ProviderResponse:
        begun = self._log.begin(action.id)
        seen = snapshot(action)
        started_at = self.clock.now()
        response: ProviderResponse | None = None
        error: BaseException | None = None
        delivered = False
        try:
            if self.delay > _NO_TIME:
                await self.clock.sleep(self.delay)
            failure = self.failure.failure(begun.number)
            if failure is None:
                response = await self._response(action, begun.number)
                delivered = True
                return response
            if failure.delivered:
                await self._response(action, begun.number)
                delivered = True
            raise _fresh(failure.error)
        except BaseException as raised:
            error = raised
            raise
        finally:
            call = CapturedCall(
                number=begun.number,
                attempt=begun.attempt,
                action=seen,
                started_at=started_at,
                finished_at=self.clock.now(),
                response=response,
                error=error,
                delivered=delivered,
            )
            self._log.end(begun, call)

    async def health_check(self) -> None:
        """Return: it is always well."""

    async def _response(self, action: Action, number: int) -> ProviderResponse:
        answer = self._queued()
        if answer is _NOTHING:
            answer = self._body(action) if self.response_fn is None else self.response_fn(action)
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, BaseException):
            raise _fresh(answer)
        return answer if isinstance(answer, ProviderResponse) else ProviderResponse(body=answer)

    def _queued(self) -> Answer:
        try:
            # One step, not a look before it: calls may come from several threads.
            return self.responses.popleft()
        except IndexError:
            return _NOTHING

    def _body(self, action: Action) -> Any:
        return {"provider": self.name, "action_id": action.id, "simulated": True}

    @property
    def calls(self) -> list[CapturedCall]:
        """The calls that have ended, in the order in which they did."""
        return self._log.kept()

    @property
    def call_count(self) -> int:
        """How many calls have begun, repetitions included."""
        return self._log.begun

    @property
    def last_call(self) -> CapturedCall | None:
        """The call that ended last."""
        calls = self.calls
        return calls[-1] if calls else None

    @property
    def last_action(self) -> Action | None:
        """The action of the call that ended last."""
        call = self.last_call
        return None if call is None else call.action

    @property
    def payloads(self) -> list[Any]:
        """The payloads of all calls that have ended."""
        return [call.action.payload for call in self.calls]

    def calls_for(
        self, *, payload: Mapping[str, Any] | None = None, **members: Any
    ) -> list[CapturedCall]:
        """Return the calls whose actions have these members: `action_type="welcome"`, ….

        Args:
            payload: Members of the payload, at any depth: it may have others, too.
            members: Of the action, by name.
        """
        return [call for call in self.calls if _fits(call.action, members, payload)]

    def told(self) -> str:
        """Return the calls as lines for the text of an assertion; empty if there are none."""
        return self._log.told()

    def clear(self) -> None:
        """Forget all calls, also those under way, and count from 1 again."""
        self._log.clear()

    async def wait_for_calls(self, count: int, timeout: float = 5.0) -> list[CapturedCall]:  # noqa: ASYNC109 - part of the text
        """Return the calls once `count` of them have ended.

        Raises:
            AssertionError: That takes more than `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._log.wait(count)
        except TimeoutError:
            expected = f"expected {count} calls to provider '{self.name}' within {timeout:g} s"
            raise AssertionError(f"{expected}, got {self._log.ended}{self.told()}") from None
        return self.calls

    def assert_called(self, count: int) -> None:
        """Raise an `AssertionError` unless there were exactly `count` calls."""
        if self.call_count != count:
            self._fail(f"expected {count} calls to provider '{self.name}'")

    def assert_called_once(self) -> None:
        """Raise an `AssertionError` unless there was exactly one call."""
        self.assert_called(1)

    def assert_called_at_least(self, count: int) -> None:
        """Raise an `AssertionError` unless there were `count` calls or more."""
        if self.call_count < count:
            self._fail(f"expected at least {count} calls to provider '{self.name}'")

    def assert_not_called(self) -> None:
        """Raise an `AssertionError` if there was a call."""
        if self.call_count:
            self._fail(f"expected no calls to provider '{self.name}'")

    def assert_called_with(
        self, *, payload: Mapping[str, Any] | None = None, **members: Any
    ) -> None:
        """Raise an `AssertionError` unless the last call's action has these members.

        Args:
            payload: As in `calls_for`.
            members: As in `calls_for`.
        """
        last = self.last_action
        if last is None or not _fits(last, members, payload):
            self._fail(f"expected the last call with {_wanted(members, payload)}")

    def assert_any_call(self, *, payload: Mapping[str, Any] | None = None, **members: Any) -> None:
        """Raise an `AssertionError` unless some call's action has these members."""
        if not self.calls_for(payload=payload, **members):
            self._fail(f"expected a call with {_wanted(members, payload)}")

    def assert_call_order(self, action_types: Sequence[str]) -> None:
        """Raise an `AssertionError` unless these were the action types of the calls, in order."""
        got = [call.action.action_type for call in self.calls]
        if got != list(action_types):
            self._fail(f"expected calls with the action types {list(action_types)}")

    def _fail(self, expected: str) -> NoReturn:
        raise AssertionError(f"{expected}, got {self.call_count}{self.told()}")


def _fresh(error: T) -> T:
    # An error that is raised again and again would otherwise grow by a traceback each time.
    error.__traceback__ = None
    return error


def _fits(action: Action, members: Mapping[str, Any], payload: Mapping[str, Any] | None) -> bool:
    return all(getattr(action, name) == value for name, value in members.items()) and (
        payload is None or _has(action.payload, payload)
    )


def _has(there: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        return all(
            name in there and _has(there[name], value)
            for name, value in cast("Mapping[str, Any]", wanted).items()
        )
    return bool(there == wanted)


def _wanted(members: Mapping[str, Any], payload: Mapping[str, Any] | None) -> str:
    named: Iterable[tuple[str, Any]] = members.items()
    if payload is not None:
        named = [*named, ("payload", payload)]
    return ", ".join(f"{name}={value!r}" for name, value in named)
