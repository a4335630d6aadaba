"""Functions that are marked as providers."""

from typing import Any

import pytest
from attrs import frozen

from acteon.core import Action
from acteon.provider import FunctionPlugin, ProviderPlugin, plugin_of, provider

ACTION = Action(namespace="n", tenant="t", provider="p", action_type="a", payload={"x": 1})


@frozen(kw_only=True)
class Greeting:
    """How people are greeted."""

    word: str = "Hello"


@provider
def plain(action: Action) -> Any:
    """Say what came."""
    return action.payload


@provider(idempotent=True, config=Greeting, kit="1")
async def greeting(action: Action, config: Greeting) -> str:
    return f"{config.word}, {action.tenant}"


def opened(function: object) -> type[FunctionPlugin]:
    plugin = plugin_of(function)
    assert plugin is not None
    return plugin


async def test_a_marked_function_stays_what_it_is() -> None:
    assert plain(ACTION) == {"x": 1}
    assert plain.__name__ == "plain"
    assert await greeting(ACTION, Greeting()) == "Hello, t"


async def test_it_is_a_plugin() -> None:
    plugin = opened(plain)
    assert issubclass(plugin, ProviderPlugin)
    async with plugin.open("x", plugin.Config()) as found:
        assert (await found.execute(ACTION)).body == {"x": 1}
        assert found.idempotent is False


async def test_it_gets_its_configuration() -> None:
    plugin = opened(greeting)
    assert (plugin.Config, plugin.kit) == (Greeting, "1")
    async with plugin.open("x", Greeting(word="Moin")) as found:
        assert (await found.execute(ACTION)).body == "Moin, t"
        assert found.idempotent is True


def test_what_is_not_marked_is_no_plugin() -> None:
    assert plugin_of(print) is None
    assert plugin_of(Greeting) is None


def takes_nothing() -> None: ...


def takes_two(action: Action, other: str) -> None: ...


def takes_an_action(action: Action) -> None: ...


@pytest.mark.parametrize(
    ("function", "options", "told"),
    [
        (takes_nothing, {}, "it is called with one argument, the action"),
        (takes_two, {}, "it is called with one argument, the action"),
        (takes_an_action, {"config": Greeting}, "it is called with the action, and with its"),
        (takes_an_action, {"config": dict}, "config: <class 'dict'> is no attrs class"),
        (Greeting, {}, "is no function that takes an action"),
    ],
)
def test_what_cannot_be_called_so_is_told_at_once(
    function: Any, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(TypeError) as refused:
        provider(**options)(function)
    assert told in str(refused.value)
