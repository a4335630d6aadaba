"""Both clients can do the same, and importing them costs what it must."""

import inspect
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from typing import Any

from acteon.client import ActeonClient, AsyncActeonClient

ONLY_ASYNC = {"aclose"}


def public(kind: type[Any]) -> dict[str, Any]:
    return {name: member for name, member in inspect.getmembers(kind) if not name.startswith("_")}


def test_they_have_the_same_methods() -> None:
    assert set(public(AsyncActeonClient)) - set(public(ActeonClient)) == ONLY_ASYNC
    assert set(public(ActeonClient)) <= set(public(AsyncActeonClient))


def test_each_method_takes_and_gives_the_same() -> None:
    for name, method in {**public(ActeonClient), "__init__": ActeonClient.__init__}.items():
        other = getattr(AsyncActeonClient, name)
        if isinstance(method, property):
            assert isinstance(other, property), name
            continue
        ours, theirs = inspect.signature(method), inspect.signature(other)
        differing = {
            each for each in ours.parameters if ours.parameters[each] != theirs.parameters[each]
        }
        assert differing <= {"http_client"}, name
        assert list(ours.parameters) == list(theirs.parameters), name
        given, awaited = ours.return_annotation, theirs.return_annotation
        if getattr(given, "__origin__", None) is Generator:
            assert awaited.__origin__ is AsyncGenerator, name
            assert awaited.__args__ == given.__args__, name
        else:
            assert given == awaited, name


def test_what_is_awaited_is_what_does_something() -> None:
    for name, method in public(AsyncActeonClient).items():
        if name not in ("base_url", "from_env"):
            assert inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method), name


def test_importing_it_brings_nothing_of_a_server_and_aiohttp_only_when_it_is_asked_for() -> None:
    program = (
        "import sys, acteon.client\n"
        "acteon.client.ActeonClient\n"
        "ours = {name.split('.')[1] for name in sys.modules if name.startswith('acteon.')}\n"
        "assert ours == {'core', 'client'}, ours\n"
        "assert 'aiohttp' not in sys.modules\n"
        "from acteon.client import AsyncActeonClient\n"
        "assert 'aiohttp' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
