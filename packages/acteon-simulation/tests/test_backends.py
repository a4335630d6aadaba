"""Which stores tests can use, and what becomes of tests whose store is missing."""

import os
import socket
import subprocess
import sys
import unittest
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest

from acteon.simulation import BackendUnavailableError, SimulationError
from acteon.simulation.backends import NAMES, AvailableBackends, skip_without
from acteon.simulation.ports import bound
from acteon.simulation.stores import audit_store, state_store
from servers import clickhouse, dynamodb, elasticsearch, postgres, redis
from servers.process import Server

LIMIT = timedelta(seconds=10)
"""For a store that answers on a busy machine."""
SKIPS = (pytest.skip.Exception, unittest.SkipTest)
"""Of all runners: one that a test did not expect would skip it, and not fail it."""


@pytest.fixture
def nobody() -> Iterator[int]:
    """Give a port where nobody listens."""
    with bound() as reserved:
        yield reserved.getsockname()[1]


@pytest.fixture
def silent() -> Iterator[int]:
    """Give a port where somebody listens, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("variables", "name", "url"),
    [
        ({"REDIS_URL": "redis://h"}, "redis", "redis://h"),
        ({"ACTEON_TEST_REDIS_URL": "redis://a", "REDIS_URL": "redis://b"}, "redis", "redis://a"),
        ({"ACTEON_TEST_REDIS_URL": "  ", "REDIS_URL": " redis://b "}, "redis", "redis://b"),
        ({"DATABASE_URL": "postgresql://u:p@h/d"}, "postgres", "postgresql://u:p@h/d"),
        ({"CLICKHOUSE_URL": "clickhouse://h:9001/d"}, "clickhouse", "clickhouse://h:9001/d"),
        ({"CLICKHOUSE_URL": "http://u:p@h:8123/d"}, "clickhouse", "clickhouse://u:p@h/d"),
        ({"CLICKHOUSE_URL": "https://h"}, "clickhouse", "clickhouses://h"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "http://h:8000"}, "dynamodb", "dynamodb+http://h:8000"),
        ({"ACTEON_TEST_DYNAMODB_URL": "dynamodb://eu-west-1"}, "dynamodb", "dynamodb://eu-west-1"),
        ({"ELASTICSEARCH_URL": "https://h"}, "elasticsearch", "elasticsearch+https://h"),
    ],
)
def test_the_environment_names_a_store_as_simulations_take_it(
    variables: Mapping[str, str], name: str, url: str
) -> None:
    found = AvailableBackends.from_env(variables)

    assert found.has(name)
    assert found.require(name) == url
    assert [each for each in NAMES if found.has(each)] == [name]
    store = audit_store if name == "elasticsearch" else state_store
    assert store(url, run="r1").plugin.plugin == name


@pytest.mark.parametrize(
    ("variables", "name", "reason"),
    [
        ({}, "redis", "ACTEON_TEST_REDIS_URL is not set"),
        ({"REDIS_URL": ""}, "redis", "ACTEON_TEST_REDIS_URL is not set"),
        (
            {"DATABASE_URL": "mysql://u:secret@h/d"},
            "postgres",
            "DATABASE_URL does not begin with postgres://, but names something else",
        ),
        (
            {"CLICKHOUSE_URL": "http://u:secret@h:8124"},
            "clickhouse",
            "CLICKHOUSE_URL names an unusual port of HTTP; write clickhouse://HOST:PORT with the "
            "port of the native protocol",
        ),
    ],
)
def test_what_is_not_named_has_a_reason(
    variables: Mapping[str, str], name: str, reason: str
) -> None:
    found = AvailableBackends.from_env(variables)

    assert not found.has(name)
    assert found.reasons[name] == reason


def test_a_missing_store_skips_the_test_that_needs_it() -> None:
    with pytest.raises(SKIPS) as caught:
        AvailableBackends.from_env({}).require("redis")

    assert caught.type is pytest.skip.Exception
    assert str(caught.value) == "Redis not available: ACTEON_TEST_REDIS_URL is not set"


@pytest.mark.parametrize("names", ["redis", " postgres , redis", "all"])
def test_a_missing_store_that_is_required_fails_the_test(names: str) -> None:
    found = AvailableBackends.from_env({"ACTEON_TEST_REQUIRE": names})

    with pytest.raises((BackendUnavailableError, *SKIPS)) as caught:
        found.require("redis")

    assert caught.type is BackendUnavailableError
    assert str(caught.value) == (
        "Redis not available: ACTEON_TEST_REDIS_URL is not set (ACTEON_TEST_REQUIRE names it)"
    )


def test_what_is_required_does_not_make_others_fail() -> None:
    found = AvailableBackends.from_env({"ACTEON_TEST_REQUIRE": "redis"})

    with pytest.raises((BackendUnavailableError, *SKIPS)) as caught:
        found.require("postgres")

    assert caught.type is pytest.skip.Exception


def test_a_name_that_no_store_has_is_a_mistake_and_no_skip() -> None:
    with pytest.raises(SimulationError, match="no store is called 'redsi'; there are redis, "):
        AvailableBackends().require("redsi")
    with pytest.raises(SimulationError, match="ACTEON_TEST_REQUIRE: no store is called 'redsi'"):
        AvailableBackends.from_env({"ACTEON_TEST_REQUIRE": "redsi"})
    with pytest.raises(SimulationError, match="no store is called 'redsi'"):
        skip_without("redsi")


def test_passwords_are_not_shown() -> None:
    found = AvailableBackends.from_env({"REDIS_URL": "redis://:secret@h"})

    assert "secret" not in repr(found)


async def test_what_does_not_answer_is_unavailable_and_says_why(nobody: int) -> None:
    found = await AvailableBackends.from_connections(
        LIMIT,
        {
            "REDIS_URL": f"redis://:secret@127.0.0.1:{nobody}",
            "DATABASE_URL": f"postgres://ann:secret@127.0.0.1:{nobody}/d",
            "CLICKHOUSE_URL": f"clickhouse://ann:secret@127.0.0.1:{nobody}",
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{nobody}",
            "ELASTICSEARCH_URL": f"http://ann:secret@127.0.0.1:{nobody}",
        },
    )

    assert found.urls == {}
    for name, reason in found.reasons.items():
        assert name in reason.lower()
        assert "secret" not in reason
        assert "\n" not in reason
    assert "refused" in found.reasons["postgres"]


async def test_all_are_asked_at_once_and_none_for_longer_than_it_may_take(silent: int) -> None:
    begun = monotonic()

    found = await AvailableBackends.from_connections(
        timedelta(milliseconds=300),
        {
            "REDIS_URL": f"redis://127.0.0.1:{silent}",
            "DATABASE_URL": f"postgres://127.0.0.1:{silent}/d",
            "CLICKHOUSE_URL": f"clickhouse://127.0.0.1:{silent}",
            "ELASTICSEARCH_URL": f"http://127.0.0.1:{silent}",
        },
    )

    assert monotonic() - begun < 3 * 0.3
    assert set(found.reasons) == set(NAMES)
    assert found.reasons["redis"] == "it did not answer within 0.3 s"


async def test_a_url_that_its_store_cannot_use_is_a_reason() -> None:
    found = await AvailableBackends.from_connections(LIMIT, {"REDIS_URL": "redis://h:port"})

    assert found.reasons["redis"].startswith("state: 'url' must name hosts and ports")


STORES: Mapping[str, tuple[Callable[[], AbstractContextManager[Server]], str]] = {
    "redis": (redis.running, "REDIS_URL"),
    "postgres": (postgres.running, "DATABASE_URL"),
    "clickhouse": (clickhouse.running, "CLICKHOUSE_URL"),
    "dynamodb": (dynamodb.running, "AWS_ENDPOINT_URL_DYNAMODB"),
    "elasticsearch": (elasticsearch.running, "ELASTICSEARCH_URL"),
}


@pytest.mark.server
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", STORES)
async def test_a_real_store_is_available_until_it_is_stopped(name: str) -> None:
    running, variable = STORES[name]
    with running() as server:
        environ = {variable: server.url}
        assert (await AvailableBackends.from_connections(LIMIT, environ)).has(name)

        server.stop()

        assert not (await AvailableBackends.from_connections(LIMIT, environ)).has(name)


@pytest.mark.server
async def test_a_cluster_is_asked_as_well() -> None:
    with redis.cluster() as cluster:
        found = await AvailableBackends.from_connections(LIMIT, {"REDIS_URL": cluster.url})

        assert found.require("redis") == cluster.url


TESTS = """
import unittest

from acteon.simulation.backends import skip_without

@skip_without("redis")
def test_sync():
    raise AssertionError("it ran")

class TestAll(unittest.TestCase):
    test_in_a_class = staticmethod(test_sync)

class TestAsync(unittest.IsolatedAsyncioTestCase):
    @skip_without("redis")
    async def test_async(self):
        raise AssertionError("it ran")
"""


class TestTheDecorator:
    """In runs of their own, as others have them."""

    @pytest.fixture
    def run(self, tmp_path: Path) -> Callable[..., str]:
        """Give what runs the tests above with a runner and variables, and returns its report."""
        (tmp_path / "test_it.py").write_text(TESTS)

        def run(*runner: str, **variables: str) -> str:
            ours = ("PYTEST", "ACTEON", "REDIS_URL")
            environ = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
            done = subprocess.run(
                [sys.executable, "-m", *runner],
                cwd=tmp_path,
                env={**environ, **variables},
                capture_output=True,
                text=True,
                timeout=60,
            )
            return done.stdout + done.stderr

        return run

    @pytest.mark.parametrize(
        ("runner", "said"),
        [
            (("pytest", "-p", "no:cacheprovider", "-rs", "test_it.py"), "3 skipped"),
            (("unittest", "-v", "test_it"), "OK (skipped=2)"),
        ],
    )
    def test_it_skips_with_either_runner(
        self, run: Callable[..., str], runner: tuple[str, ...], said: str
    ) -> None:
        report = run(*runner)

        assert said in report
        assert "Redis not available: ACTEON_TEST_REDIS_URL is not set" in report

    def test_a_store_that_is_named_but_away_skips_as_well(
        self, run: Callable[..., str], nobody: int
    ) -> None:
        report = run("unittest", "-v", "test_it", REDIS_URL=f"redis://127.0.0.1:{nobody}")

        assert "OK (skipped=2)" in report
        assert "cannot be reached" in report

    def test_what_is_required_fails(self, run: Callable[..., str]) -> None:
        report = run("unittest", "-v", "test_it", ACTEON_TEST_REQUIRE="redis")

        assert "FAILED (errors=2)" in report
        assert "(ACTEON_TEST_REQUIRE names it)" in report

    @pytest.mark.server
    def test_it_lets_tests_run_whose_store_answers(self, run: Callable[..., str]) -> None:
        with redis.running() as server:
            report = run("unittest", "-v", "test_it", REDIS_URL=server.url)

        assert report.count("AssertionError: it ran") == 2

    def test_it_is_for_functions(self) -> None:
        with pytest.raises(TypeError, match="decorate the tests of the class"):
            skip_without("redis")(unittest.TestCase)

    def test_pytest_is_not_imported(self) -> None:
        program = "import sys, acteon.simulation.backends as b; sys.exit('pytest' in sys.modules)"

        assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
