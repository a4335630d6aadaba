"""Which stores tests can use: what the environment names, and what really answers there.

| store | variables, the first that is set |
|---|---|
| `redis` | `ACTEON_TEST_REDIS_URL`, `REDIS_URL` |
| `postgres` | `ACTEON_TEST_POSTGRES_URL`, `DATABASE_URL` |
| `clickhouse` | `ACTEON_TEST_CLICKHOUSE_URL`, `CLICKHOUSE_URL` |
| `dynamodb` | `ACTEON_TEST_DYNAMODB_URL`, `AWS_ENDPOINT_URL_DYNAMODB` |
| `elasticsearch` | `ACTEON_TEST_ELASTICSEARCH_URL`, `ELASTICSEARCH_URL` |

A test whose store is missing is skipped; but it fails if `ACTEON_TEST_REQUIRE` names the store, as
in `ACTEON_TEST_REQUIRE=redis,postgres`, or says `all`.
"""

import asyncio
import os
import sys
import unittest
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache, wraps
from inspect import iscoroutinefunction
from typing import Any, Final, Self, TypeVar, cast
from urllib.parse import urlsplit

from attrs import field, frozen

from acteon.core import ActeonError
from acteon.simulation.errors import BackendUnavailableError, SimulationError
from acteon.simulation.probes import probe

Probe = Callable[[], Awaitable[None]]
Test = TypeVar("Test", bound=Callable[..., Any])

REQUIRE: Final = "ACTEON_TEST_REQUIRE"
PATIENCE: Final = timedelta(seconds=2)


@frozen
class _Kind:
    """A sort of store.

    Attributes:
        title: What people call it.
        variables: Where its URL is looked for.
        schemes: What a URL of it begins with.
        http: Whether URLs of HTTP mean it as well.
    """

    title: str
    variables: tuple[str, ...]
    schemes: tuple[str, ...]
    http: bool = False


_KINDS: Final[Mapping[str, _Kind]] = {
    "redis": _Kind(
        "Redis",
        ("ACTEON_TEST_REDIS_URL", "REDIS_URL"),
        ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster",
         "rediss+cluster"),
    ),
    "postgres": _Kind(
        "PostgreSQL",
        ("ACTEON_TEST_POSTGRES_URL", "DATABASE_URL"),
        ("postgres", "postgresql"),
    ),
    "clickhouse": _Kind(
        "ClickHouse",
        ("ACTEON_TEST_CLICKHOUSE_URL", "CLICKHOUSE_URL"),
        ("clickhouse", "clickhouses"),
        http=True,
    ),
    "dynamodb": _Kind(
        "DynamoDB",
        ("ACTEON_TEST_DYNAMODB_URL", "AWS_ENDPOINT_URL_DYNAMODB"),
        ("dynamodb", "dynamodb+http", "dynamodb+https"),
        http=True,
    ),
    "elasticsearch": _Kind(
        "Elasticsearch",
        ("ACTEON_TEST_ELASTICSEARCH_URL", "ELASTICSEARCH_URL"),
        ("elasticsearch+http", "elasticsearch+https"),
        http=True,
    ),
}  # fmt: skip
NAMES: Final = tuple(_KINDS)


@frozen(kw_only=True)
class AvailableBackends:
    """The stores that tests can use.

    Attributes:
        urls: By name, where they are, as simulations take it for `state` and `audit`.
        reasons: By name, why others are not among them.
        required: Without which tests fail.
    """

    urls: Mapping[str, str] = field(factory=dict[str, str], repr=False)  # with passwords
    reasons: Mapping[str, str] = field(factory=dict[str, str])
    required: frozenset[str] = frozenset()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Return the stores that `environ` names; whether they answer is not asked.

        Raises:
            SimulationError: `ACTEON_TEST_REQUIRE` names what is no store.
        """
        urls: dict[str, str] = {}
        reasons: dict[str, str] = {}
        for name, kind in _KINDS.items():
            try:
                urls[name] = _url(name, kind, environ)
            except BackendUnavailableError as error:
                reasons[name] = str(error)
        return cls(urls=urls, reasons=reasons, required=_required(environ))

    @classmethod
    async def from_connections(
        cls,
        timeout: timedelta = PATIENCE,  # noqa: ASYNC109 - of each; the others are told of
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """Return the stores that `environ` names and that answer, each within `timeout`.

        Raises:
            SimulationError: `ACTEON_TEST_REQUIRE` names what is no store.
        """
        named = cls.from_env(environ)
        urls, reasons = dict(named.urls), dict(named.reasons)
        probes: dict[str, Probe] = {}
        for name, url in named.urls.items():
            try:
                probes[name] = probe(name, url)
            except ActeonError as error:
                reasons[name] = str(error)
        async with asyncio.TaskGroup() as group:
            asked = {name: group.create_task(_reason(ask, timeout)) for name, ask in probes.items()}
        reasons |= {name: reason for name, task in asked.items() if (reason := task.result())}
        for name in reasons.keys() & urls.keys():
            del urls[name]
        return cls(urls=urls, reasons=reasons, required=named.required)

    def has(self, name: str) -> bool:
        """Return whether tests can use the store `name`.

        Raises:
            SimulationError: There is no store of that name.
        """
        _check(name)
        return name in self.urls

    def require(self, name: str) -> str:
        """Return the URL of the store `name`, or skip the test that asks.

        Raises:
            BackendUnavailableError: It is missing, and `required`.
            SimulationError: There is no store of that name.
        """
        if self.has(name):
            return self.urls[name]
        reason = self.reasons.get(name, "it was not looked for")
        text = f"{_KINDS[name].title} not available: {reason}"
        if name in self.required:
            raise BackendUnavailableError(f"{text} ({REQUIRE} names it)")
        raise _skip(text)


def skip_without(*names: str) -> Callable[[Test], Test]:
    """Return a decorator that skips a test, sync or async, unless these stores answer.

    ```python
    @skip_without("redis")
    def test_one_delivery(): ...
    ```

    Each is asked once per process; `ACTEON_TEST_REQUIRE` turns skips into failures.

    Raises:
        SimulationError: There is no store of one of these names.
    """
    for name in names:
        _check(name)

    def decorate(test: Test) -> Test:
        if isinstance(test, type):
            raise TypeError("skip_without is for functions: decorate the tests of the class")

        @wraps(test)
        def checked(*args: Any, **kwargs: Any) -> Any:
            _require_all(names)
            return test(*args, **kwargs)

        @wraps(test)
        async def checked_async(*args: Any, **kwargs: Any) -> Any:
            await asyncio.to_thread(_found, *_environment())
            _require_all(names)
            return await test(*args, **kwargs)

        return cast("Test", checked_async if iscoroutinefunction(test) else checked)

    return decorate


def _require_all(names: tuple[str, ...]) -> None:
    found = _found(*_environment())
    for name in names:
        found.require(name)


def _environment() -> tuple[tuple[str, str], ...]:
    variables = (REQUIRE, *(each for kind in _KINDS.values() for each in kind.variables))
    return tuple((each, os.environ[each]) for each in variables if each in os.environ)


@cache
def _found(*environment: tuple[str, str]) -> AvailableBackends:
    """Return what answers; from a thread, as the caller may have a loop of its own."""

    def find() -> AvailableBackends:
        return asyncio.run(AvailableBackends.from_connections(environ=dict(environment)))

    with ThreadPoolExecutor(1, "acteon-backends") as thread:
        return thread.submit(find).result()


async def _reason(ask: Probe, within: timedelta) -> str:
    """Return why a store does not answer; empty if it does."""
    try:
        async with asyncio.timeout(within.total_seconds()):
            await ask()
    except TimeoutError:
        return f"it did not answer within {within.total_seconds():g} s"
    except ActeonError as error:
        return str(error)
    return ""


def _url(name: str, kind: _Kind, environ: Mapping[str, str]) -> str:
    for variable in kind.variables:
        url = environ.get(variable, "").strip()
        if url:
            break
    else:
        raise BackendUnavailableError(f"{kind.variables[0]} is not set")
    scheme = url.partition("://")[0].lower()
    if scheme in kind.schemes:
        return url
    if not kind.http or scheme not in {"http", "https"}:
        # The URL is not shown: it may hold a password.
        raise BackendUnavailableError(
            f"{variable} does not begin with {kind.schemes[0]}://, but names something else"
        )
    return _native(url, variable) if name == "clickhouse" else f"{name}+{url}"


def _native(url: str, variable: str) -> str:
    """Return the URL of ClickHouse's native protocol, on its usual port, for one of HTTP."""
    parts = urlsplit(url)
    scheme, usual = ("clickhouse", 8123) if parts.scheme == "http" else ("clickhouses", 8443)
    try:
        odd = parts.port not in {None, usual}
    except ValueError:
        odd = True
    if odd:
        raise BackendUnavailableError(
            f"{variable} names an unusual port of HTTP; write {scheme}://HOST:PORT with the port "
            "of the native protocol"
        )
    return parts._replace(scheme=scheme, netloc=parts.netloc.removesuffix(f":{usual}")).geturl()


def _required(environ: Mapping[str, str]) -> frozenset[str]:
    names = frozenset(filter(None, (each.strip() for each in environ.get(REQUIRE, "").split(","))))
    for name in names - {"all"}:
        _check(name, f"{REQUIRE}: ")
    return frozenset(NAMES) if "all" in names else names


def _check(name: str, where: str = "") -> None:
    if name not in _KINDS:
        raise SimulationError(f"{where}no store is called {name!r}; there are {', '.join(NAMES)}")


def _skip(reason: str) -> BaseException:
    # Not imported here: other runners would not know its skips.
    pytest: Any = sys.modules.get("pytest")
    if pytest is not None and "PYTEST_VERSION" in os.environ:
        skipped: BaseException = pytest.skip.Exception(reason, allow_module_level=True)
        return skipped
    return unittest.SkipTest(reason)
