"""ClickHouse by its two protocols."""

from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from clickhouse_driver import Client

from servers import clickhouse

pytestmark = pytest.mark.server

Gone = Callable[[int, Path], None]


def test_it_keeps_its_data_over_a_stop(assert_gone: Gone) -> None:
    with clickhouse.running() as server:
        with Client.from_url(server.url) as client:
            client.execute("CREATE TABLE kept (at String) ENGINE = MergeTree ORDER BY at")
            client.execute("INSERT INTO kept VALUES", [("stop",)])
        server.stop()
        server.start()
        with Client.from_url(server.url) as client:
            assert client.execute("SELECT at FROM kept") == [("stop",)]
        pid = server.pid

    assert pid is not None
    assert_gone(pid, server.folder)


def test_it_is_the_version_that_the_statements_are_written_for() -> None:
    with (
        clickhouse.running() as server,
        urlopen(f"{server.urls[1]}/?query=SELECT+version()") as answer,
    ):
        assert answer.read().decode().startswith("18.16.")
