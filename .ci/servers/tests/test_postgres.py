"""PostgreSQL alone, and behind pgbouncer."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from servers import postgres

pytestmark = pytest.mark.server

Gone = Callable[[int, Path], None]


def test_it_keeps_its_data_over_a_stop_and_a_kill(assert_gone: Gone) -> None:
    with postgres.running() as server:
        with psycopg.connect(server.url, autocommit=True) as client:
            client.execute("CREATE TABLE kept (at text)")
            client.execute("INSERT INTO kept VALUES ('stop')")
            server.stop()  # without waiting for this client
        server.start()
        with psycopg.connect(server.url, autocommit=True) as client:
            client.execute("INSERT INTO kept VALUES ('kill')")
            server.kill()
        server.start()
        with psycopg.connect(server.url) as client:
            assert client.execute("SELECT at FROM kept").fetchall() == [("stop",), ("kill",)]
        pid = server.pid

    assert pid is not None
    assert_gone(pid, server.folder)


def test_commits_are_durable_unless_it_is_told_otherwise() -> None:
    with postgres.running() as server, psycopg.connect(server.url) as client:
        assert client.execute("SHOW fsync").fetchone() == ("on",)
    with (
        postgres.running(settings={"fsync": "off", "max_connections": "20"}) as server,
        psycopg.connect(server.url) as client,
    ):
        assert client.execute("SHOW fsync").fetchone() == ("off",)
        assert client.execute("SHOW max_connections").fetchone() == ("20",)


def test_it_wants_the_password() -> None:
    with postgres.running() as server:
        url = server.url.replace("acteon:acteon", "acteon:wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url)


def test_a_connection_that_was_made_before_hangs_while_it_is_frozen() -> None:
    with postgres.running() as server, psycopg.connect(server.url, autocommit=True) as client:
        server.freeze()
        client.pgconn.send_query(b"SELECT 1")
        client.pgconn.flush()
        states = {
            Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
            for pid in [client.info.backend_pid, server.pid]
        }
        assert states == {"T"}
        server.thaw()

        result = client.pgconn.get_result()
        assert result is not None
        assert result.get_value(0, 0) == b"1"
        assert client.pgconn.get_result() is None


def test_pgbouncer_gives_a_server_connection_to_each_transaction() -> None:
    with (
        postgres.running() as server,
        postgres.pgbouncer(server) as pooler,
        psycopg.connect(pooler.url, autocommit=True) as one,
        psycopg.connect(pooler.url, autocommit=True) as other,
    ):
        backend = "SELECT pg_backend_pid()"
        first, second = one.execute(backend).fetchone(), other.execute(backend).fetchone()

        assert first == second
        assert pooler.url != server.url
