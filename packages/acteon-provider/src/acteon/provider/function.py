"""A function as a provider: for programs that embed the gateway, and for tests."""

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from anyio import CapacityLimiter, to_thread
from attrs import define, field

from acteon.core import Action, InvalidError, ProviderResponse, encode_json

log = logging.getLogger(__name__)

Delivering = Callable[[Action], ProviderResponse | Any | Awaitable[ProviderResponse | Any]]
"""Delivers one action; what it returns is the response, or the body of a successful one."""

MAX_THREADS = 40


@define(eq=False)
class FunctionProvider:
    """Delivers actions by calling a function.

    An `async def` is awaited; a plain function runs in a thread, at most 40 calls at a time, and
    is left to itself there when its time is over: what it does then is not known. Whatever it
    raises besides a `ProviderError` counts as a failure of unknown delivery.

    Attributes:
        function: Called with every action.
        idempotent: Whether calling it twice for one action does no more than calling it once.
    """

    function: Delivering
    idempotent: bool = False
    _threads: CapacityLimiter = field(init=False, factory=lambda: CapacityLimiter(MAX_THREADS))

    async def execute(self, action: Action) -> ProviderResponse:
        if _is_async(self.function):
            result: Any = self.function(action)
        else:
            result = await to_thread.run_sync(
                self.function, action, abandon_on_cancel=True, limiter=self._threads
            )
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
