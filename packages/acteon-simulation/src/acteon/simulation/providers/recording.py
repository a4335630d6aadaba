"""A provider that keeps what it was called with, and answers as it was told."""

import asyncio
import inspect
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Self, cast

from attrs import define, field

from acteon.core import SYSTEM_CLOCK, Action, Clock, ProviderResponse
from acteon.provider import ProviderError
from acteon.simulation.providers.captured import CapturedCall, listed
from acteon.simulation.providers.failures import FailureMode

Answer = ProviderResponse | ProviderError | Any
"""A response, an error to be raised, or the body of a response."""

ResponseFn = Callable[[Action], Answer | Awaitable[Answer]]

_NO_TIME: Final = timedelta(0)
_MOST_REMEMBERED: Final = 100_000
"""Ids of actions whose attempts are counted."""


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
    _calls: deque[CapturedCall] = field(init=False)
    _count: int = field(default=0, init=False)
    _attempts: Counter[str] = field(factory=Counter[str], init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    _waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(
        factory=set[tuple[asyncio.AbstractEventLoop, asyncio.Event]], init=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        self._calls = deque(maxlen=self.keep)

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
        number, attempt = self._begin(action)
        started_at = self.clock.now()
        response: ProviderResponse | None = None
        error: BaseException | None = None
        delivered = False
        try:
            if self.delay > _NO_TIME:
                await self.clock.sleep(self.delay)
            failure = self.failure.failure(number)
            if failure is None or failure.delivered:
                response = await self._response(action, number)
                delivered = True
            if failure is not None:
                response = None
                raise failure.error
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._end(
                CapturedCall(
                    number=number,
                    attempt=attempt,
                    action=action,
                    started_at=started_at,
                    finished_at=self.clock.now(),
                    response=response,
                    error=error,
                    delivered=delivered,
                )
            )
        assert response is not None
        return response

    async def health_check(self) -> None:
        """Return: it is always well."""

    def _begin(self, action: Action) -> tuple[int, int]:
        with self._lock:
            self._count += 1
            if len(self._attempts) >= _MOST_REMEMBERED:
                self._attempts.clear()
            self._attempts[action.id] += 1
            return self._count, self._attempts[action.id]

    def _end(self, call: CapturedCall) -> None:
        with self._lock:
            self._calls.append(call)
            waiters = list(self._waiters)
        for loop, event in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    async def _response(self, action: Action, number: int) -> ProviderResponse:
        if self.responses:
            answer = self.responses.popleft()
        elif self.response_fn is not None:
            answer = self.response_fn(action)
            if inspect.isawaitable(answer):
                answer = await answer
        else:
            answer = {"provider": self.name, "action_id": action.id, "simulated": True}
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, ProviderResponse) else ProviderResponse(body=answer)

    @property
    def calls(self) -> list[CapturedCall]:
        """The calls that have ended, in the order in which they did."""
        with self._lock:
            return list(self._calls)

    @property
    def call_count(self) -> int:
        """How many calls have begun, repetitions included."""
        return self._count

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

    def calls_for(self, **members: Any) -> list[CapturedCall]:
        """Return the calls whose actions have `members`: `action_type="welcome"`, …."""
        return [call for call in self.calls if _fits(call.action, members)]

    def clear(self) -> None:
        """Forget all calls, and count from 1 again."""
        with self._lock:
            self._calls.clear()
            self._attempts.clear()
            self._count = 0

    async def wait_for_calls(self, count: int, timeout: float = 5.0) -> list[CapturedCall]:  # noqa: ASYNC109 - part of the text
        """Return the calls once `count` of them have ended.

        Raises:
            AssertionError: That takes more than `timeout` seconds.
        """
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout):
                while len(self.calls) < count:
                    event.clear()
                    await event.wait()
        except TimeoutError:
            self._fail(f"expected {count} calls to provider '{self.name}' within {timeout:g} s")
        finally:
            self._waiters.discard(waiter)
        return self.calls

    def assert_called(self, count: int) -> None:
        """Raise an `AssertionError` unless there were exactly `count` calls."""
        if self._count != count:
            self._fail(f"expected {count} calls to provider '{self.name}'")

    def assert_called_once(self) -> None:
        """Raise an `AssertionError` unless there was exactly one call."""
        self.assert_called(1)

    def assert_called_at_least(self, count: int) -> None:
        """Raise an `AssertionError` unless there were `count` calls or more."""
        if self._count < count:
            self._fail(f"expected at least {count} calls to provider '{self.name}'")

    def assert_not_called(self) -> None:
        """Raise an `AssertionError` if there was a call."""
        if self._count:
            self._fail(f"expected no calls to provider '{self.name}'")

    def assert_called_with(
        self, *, payload: Mapping[str, Any] | None = None, **members: Any
    ) -> None:
        """Raise an `AssertionError` unless the last call's action has these members.

        Args:
            payload: Members of its payload, at any depth: it may have others, too.
            members: Of the action, by name.
        """
        last = self.last_action
        if last is None or not _fits(last, members, payload):
            self._fail(f"expected the last call with {_wanted(members, payload)}")

    def assert_any_call(self, *, payload: Mapping[str, Any] | None = None, **members: Any) -> None:
        """Raise an `AssertionError` unless some call's action has these members."""
        if not any(_fits(call.action, members, payload) for call in self.calls):
            self._fail(f"expected a call with {_wanted(members, payload)}")

    def assert_call_order(self, action_types: Sequence[str]) -> None:
        """Raise an `AssertionError` unless these were the action types of the calls, in order."""
        got = [call.action.action_type for call in self.calls]
        if got != list(action_types):
            self._fail(f"expected calls with the action types {list(action_types)}")

    def _fail(self, expected: str) -> None:
        raise AssertionError(f"{expected}, got {self._count}{listed(self.calls)}")


def _fits(
    action: Action, members: Mapping[str, Any], payload: Mapping[str, Any] | None = None
) -> bool:
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
