"""A function as a provider: for programs that embed the gateway, for packages, and for tests."""

import inspect
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, ClassVar, TypeVar, overload

from anyio import CapacityLimiter, to_thread
from attrs import Attribute, define, field, frozen, has

from acteon.core import Action, InvalidError, ProviderResponse, encode_json
from acteon.provider.provider import Provider, ProviderPlugin

log = logging.getLogger(__name__)

Delivering = Callable[[Action], object]
"""Delivers one action; what it returns, or what awaiting that gives, is the answer."""

MAX_THREADS = 40

F = TypeVar("F", bound=Callable[..., object])


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


@frozen
class NoKeys:
    """The keys of a `[[providers]]` whose function takes no configuration: none."""


class FunctionPlugin(ProviderPlugin):
    """Opens a function that is marked by `@provider`; each has a class of its own.

    Attributes:
        function: It.
        idempotent: Whether calling it twice for one action does no more than calling it once.
    """

    Config: ClassVar[type[Any]] = NoKeys
    function: ClassVar[Callable[..., object]]
    idempotent: ClassVar[bool] = False

    @classmethod
    def open(cls, name: str, config: Any) -> AbstractAsyncContextManager[Provider]:
        return _opened(cls.bound(config), cls.idempotent)

    @classmethod
    def bound(cls, config: Any) -> Delivering:
        """Return the function of an action alone."""
        return cls.function if cls.Config is NoKeys else partial(cls.function, config=config)


@asynccontextmanager
async def _opened(function: Delivering, idempotent: bool) -> AsyncGenerator[Provider]:
    yield FunctionProvider(function, idempotent)


@overload
def provider(function: F, /) -> F: ...


@overload
def provider(
    *, idempotent: bool = False, config: type[Any] | None = None, kit: str | None = None
) -> Callable[[F], F]: ...


def provider(
    function: F | None = None,
    /,
    *,
    idempotent: bool = False,
    config: type[Any] | None = None,
    kit: str | None = None,
) -> F | Callable[[F], F]:
    """Mark a function as a provider; it stays the function that it is.

    ```python
    @provider
    async def page(action: Action) -> None: ...


    @provider(idempotent=True, config=PagerConfig)
    def page(action: Action, config: PagerConfig) -> dict[str, str]: ...
    ```

    An entry point of the group `acteon.providers` may name it, as it names a `ProviderPlugin`, and
    programs give it to `Gateway.open`. What it returns and raises means what it means for a
    `FunctionProvider`.

    Args:
        function: It, `async` or not; called with the action.
        idempotent: Whether calling it twice for one action does no more than calling it once.
        config: An attrs class of its keys in `[[providers]]`; it is then called with an instance,
            by the name `config`, as well.
        kit: The version of the conformance kit that it passed.

    Raises:
        TypeError: It cannot be called like that.
    """

    def mark(marked: F) -> F:
        if config is not None and not has(config):
            raise TypeError(f"config: {config!r} is no attrs class")
        members: dict[str, Any] = {
            "__doc__": marked.__doc__,
            "__module__": marked.__module__,
            "function": staticmethod(marked),
            "idempotent": idempotent,
            "kit": kit,
            "Config": NoKeys if config is None else config,
        }
        plugin = type(getattr(marked, "__name__", "function"), (FunctionPlugin,), members)
        if config is None:
            FunctionProvider(marked)  # It checks what it is given.
        else:
            _takes_a_configuration(marked)
        marked.__acteon_plugin__ = plugin  # type: ignore[attr-defined]
        return marked

    return mark if function is None else mark(function)


def _takes_a_configuration(function: Callable[..., object]) -> None:
    try:
        inspect.signature(function).bind(None, config=None)
    except TypeError as error:
        raise TypeError(
            f"it is called with the action, and with its configuration as 'config': {error}"
        ) from None


def plugin_of(function: object) -> type[FunctionPlugin] | None:
    """Return the plugin of a function that is marked by `@provider`; None if it is not."""
    found = getattr(function, "__acteon_plugin__", None)
    return found if isinstance(found, type) and issubclass(found, FunctionPlugin) else None
