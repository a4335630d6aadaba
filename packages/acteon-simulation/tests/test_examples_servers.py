"""The examples on real stores, as processes, and each a second time."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from servers import clickhouse, dynamodb, elasticsearch, postgres, redis

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

SERVERS: dict[str, Callable[[], Any]] = {
    "redis": redis.running,
    "postgres": postgres.running,
    "dynamodb": dynamodb.running,
    "clickhouse": clickhouse.running,
    "elasticsearch": elasticsearch.running,
}


@pytest.fixture(scope="module")
def url() -> Iterator[Callable[[str], str]]:
    """Give what starts a store once, and tells where it is."""
    with ExitStack() as stack:
        started: dict[str, str] = {}

        def start(name: str) -> str:
            if name not in started:
                started[name] = stack.enter_context(SERVERS[name]()).url
            return started[name]

        yield start


@pytest.mark.parametrize(
    ("name", "state", "audit"),
    [
        ("redis", "redis", None),
        ("dynamodb", "dynamodb", None),
        ("postgres", "postgres", "postgres"),
        ("clickhouse", "clickhouse", "clickhouse"),
        ("elasticsearch", None, "elasticsearch"),
        ("mixed redis-postgres", "redis", "postgres"),
        ("mixed redis-clickhouse", "redis", "clickhouse"),
        ("mixed memory-postgres", None, "postgres"),
        ("mixed memory-clickhouse", None, "clickhouse"),
        ("mixed postgres-elasticsearch", "postgres", "elasticsearch"),
    ],
)
def test_an_example_passes_a_second_time_as_the_first(
    url: Callable[[str], str], name: str, state: str | None, audit: str | None
) -> None:
    where = ["--state-url", url(state)] if state else []
    where += ["--audit-url", url(audit)] if audit else []
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-m", "acteon.simulation", "run", *name.split(), *where],
            capture_output=True,
            text=True,
            timeout=80,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "✗" not in ended.stdout
