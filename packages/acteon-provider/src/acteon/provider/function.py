"""A function as a provider: for programs that embed the gateway, and for tests."""

import inspect
import logging
from collections.abc import Callable
from typing import Any

from anyio import CapacityLimiter, to_thread
from attrs import Attribute, define, field

from acteon.core import Action, InvalidError, ProviderResponse, encode_json

log = logging.getLogger(__name__)

Delivering = Callable[[Action], object]
"""Delivers one action; what it returns, or what awaiting that gives, is the answer."""

MAX_THREADS = 40


def _takes_an_action(_: object, attribute: "Attribute[Delivering]", function: object) -> None:
    """Raise a `TypeError` if `function` cannot be called with an action, or would do nothing."""
    if inspect.isclass(function) or not callable(function):
        raise TypeError(f"a {type(function).__name__} is no function that takes an action")
    called = inspect.unwrap(getattr(function, "func", function))  # functools.partial has `func`.
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        raise TypeError("a generator delivers nothing: return what it yields")
    try:
        signature = inspect.signature(function)
    except ValueError:
        return  # It is written in C and does not say.
    try:
        signature.bind(attribute)  # Any one argument.
    except TypeError as error:
        raise TypeError(f"it is called with one argument, the action: {error}") from None


@define(eq=False)
class FunctionProvider:
    """Delivers actions by calling a function.

    An `async def` is awaited; a plain function runs in a thread, at most 40 calls at a time, and
    is left to itself there when its time is over: what it does then is not known.

    | The function | the action |
    |---|---|
    | returns None, a text, a number, a list, a dict … | is delivered; that is the answer's body |
    | returns what JSON cannot say | is delivered; the body is null, which is logged |
    | returns a `ProviderResponse` | ended as that says |
    | raises a `ProviderError` | is not delivered, or nobody knows, as the error says |
    | raises anything else | failed: nobody knows if it was delivered; the traceback is logged |

    Attributes:
        function: Called with every action, its only argument.
        idempotent: Whether calling it twice for one action does no more than calling it once.
    """

    function: Delivering = field(validator=_takes_an_action)
    idempotent: bool = False
    _threads: CapacityLimiter = field(init=False, factory=lambda: CapacityLimiter(MAX_THREADS))
    _is_async: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._is_async = _is_async(self.function)

    async def execute(self, action: Action) -> ProviderResponse:
        result: Any
        if self._is_async:
            called: Any = self.function(action)
            result = await called
        else:
            result = await to_thread.run_sync(
                self.function, action, abandon_on_cancel=True, limiter=self._threads
            )
        if isinstance(result, ProviderResponse):
            return result
        if inspect.isawaitable(result):
            result = await result
            if isinstance(result, ProviderResponse):
                return result
        return ProviderResponse(body=_body(result))

    async def health_check(self) -> None:
        return


def _is_async(function: Delivering) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - asked is how, not whether
    )


def _body(result: Any) -> Any:
    """Return `result`, or None where JSON cannot say it: it was delivered all the same."""
    try:
        encode_json(result)
    except InvalidError:
        log.warning(
            "a function's result is no JSON and is left out",
            extra={"acteon.type": type(result).__name__},
        )
        return None
    return result
