"""Real servers, one of each kind for all tests, and what opens a backend on them."""

import logging
from collections.abc import Callable, Iterator

import pytest

from servers import redis
from servers.process import Server


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server that tests share, and leave running."""
    with redis.running() as server:
        yield server


@pytest.fixture(scope="session")
def cluster() -> Iterator[redis.Cluster]:
    """A Cluster that tests share, and leave running."""
    with redis.cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def sentinel() -> Iterator[redis.Sentinel]:
    """Sentinels and their servers, which tests share and leave running."""
    with redis.sentinel() as sentinel:
        yield sentinel


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server of one test alone, to be stopped and frozen."""
    with redis.running() as server:
        yield server


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    """What gives the levels and messages that operators see, whoever logged them."""
    caplog.set_level(logging.INFO)

    def logged() -> list[tuple[str, str]]:
        assert not [record for record in caplog.records if record.exc_info]
        return [(record.levelname, record.getMessage()) for record in caplog.records]

    return logged
