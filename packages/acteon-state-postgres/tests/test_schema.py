"""What is made at the start, and what is said when that cannot be."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from acteon.core import ConfigError
from acteon.state import Begin, Settle, StateBackend, StateConnectionError, StateKey
from acteon.state.testing import together
from acteon.state_postgres import Layout, PostgresStateConfig, PostgresStatePlugin
from servers.ports import reserved
from servers.process import Server

pytestmark = pytest.mark.server

MINUTE = timedelta(minutes=1)
KEY = StateKey("test", "schema", "state", "1")
PASSWORD = "s3cret-of-mine"

Execute = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def execute(server: Server) -> Execute:
    """Give what runs SQL as the owner of the database."""

    def run(statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(server.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def guest(server: Server, execute: Execute) -> Iterator[str]:
    """Give the URL of a role that may use the schema and make nothing."""
    execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    yield _url(server, user=f"guest:{PASSWORD}")
    execute("DROP OWNED BY guest; DROP ROLE guest")


def _url(server: Server, *, user: str = "acteon:acteon", database: str = "acteon") -> str:
    parts = urlsplit(server.url)
    netloc = f"{user}@{server.host}:{server.port}"
    return urlunsplit((parts.scheme, netloc, f"/{database}", "", ""))


async def works(backend: StateBackend) -> bool:
    """Return whether `backend` can do what it is there for."""
    assert backend.dispatch is not None
    await backend.store.set(KEY, "mine", ttl=MINUTE)
    begin = Begin(token="mine", lease=MINUTE, lock="schema", claim=KEY._replace(kind="dedup"))
    (began,) = await backend.dispatch.begin([begin])
    settled = await backend.dispatch.settle(
        [Settle(token="mine", lock=begin.lock, claim=begin.claim)]
    )
    return began.admitted and list(settled) == [True]


@pytest.mark.parametrize("prefix", ["acteon", "acteon_", "Acteon"])
async def test_the_prefix_names_the_tables(server: Server, execute: Execute, prefix: str) -> None:
    async with PostgresStatePlugin.open(
        PostgresStateConfig(url=server.url, prefix=prefix)
    ) as backend:
        await backend.store.set(KEY, prefix, ttl=None)
        await backend.store.increment(KEY._replace(kind="counter"), 3, ttl=None)
    assert execute("SELECT key, value FROM acteon_state WHERE key ~ 'schema' ORDER BY key") == [
        ("test:schema:counter:1", "3"),
        ("test:schema:state:1", prefix),
    ]
    execute("DELETE FROM acteon_state WHERE key ~ 'schema'")


async def test_two_prefixes_share_nothing(server: Server) -> None:
    async with AsyncExitStack() as stack:
        backends = [
            await stack.enter_async_context(
                PostgresStatePlugin.open(PostgresStateConfig(url=server.url, prefix=prefix))
            )
            for prefix in ("one", "two")
        ]
        for number, backend in enumerate(backends):
            await backend.store.set(KEY, str(number), ttl=None)
            assert await backend.locks.try_acquire("schema", str(number), MINUTE) is None
        assert [await one.store.get(KEY) for one in backends] == ["0", "1"]


async def test_a_schema_of_its_own_is_used(server: Server, execute: Execute) -> None:
    config = PostgresStateConfig(url=server.url, schema="gateway")
    with pytest.raises(ConfigError, match="CREATE SCHEMA gateway AUTHORIZATION acteon"):
        await PostgresStatePlugin.open(config).__aenter__()
    execute("CREATE SCHEMA gateway")
    async with PostgresStatePlugin.open(config) as backend:
        assert await works(backend)
    assert execute("SELECT count(*) FROM gateway.acteon_state") == [(1,)]


async def test_many_that_start_at_once_all_start(server: Server) -> None:
    config = PostgresStateConfig(url=server.url, prefix="crowd")

    async def start() -> bool:
        async with PostgresStatePlugin.open(config) as backend:
            await backend.store.ping()
            return True

    assert all(await together(start() for _ in range(12)))


async def test_rows_written_by_hand_are_entries(server: Server, execute: Execute) -> None:
    async with PostgresStatePlugin.open(PostgresStateConfig(url=server.url)) as backend:
        execute(
            "INSERT INTO acteon_state VALUES ('shop:acme:state:mode', 'live', NULL), "
            "('shop:acme:counter:sent', '41', 'infinity') ON CONFLICT DO NOTHING"
        )
        assert backend.dispatch is not None
        counter = StateKey("shop", "acme", "counter", "sent")
        begin = Begin(
            token="mine", lease=MINUTE, reads=(StateKey("shop", "acme", "state", "mode"), counter)
        )
        assert (await backend.dispatch.begin([begin]))[0].values == ("live", "41")
        assert await backend.store.increment(counter, ttl=None) == 42
        assert (await backend.store.take(counter, 42, MINUTE)).remaining == MINUTE
    execute("DELETE FROM acteon_state WHERE key ~ '^shop'")


async def test_who_may_not_make_tables_is_told_who_can(guest: str) -> None:
    config = PostgresStateConfig(url=guest, prefix="denied")
    with pytest.raises(ConfigError) as raised:
        await PostgresStatePlugin.open(config).__aenter__()
    text = str(raised.value)
    assert "permission denied for schema public" in text
    assert "denied_state" in text
    assert "python -m acteon.state_postgres" in text
    assert "\n" not in text
    assert PASSWORD not in text


def test_the_script_is_what_a_start_runs() -> None:
    command = [sys.executable, "-m", "acteon.state_postgres", "given"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == Layout(prefix="given_").script()


async def test_tables_made_by_hand_need_no_rights_to_make_them(
    guest: str, execute: Execute
) -> None:
    script = Layout(prefix="given_").script()
    execute(script)
    execute("GRANT SELECT, INSERT, UPDATE, DELETE ON given_state, given_locks TO guest")
    async with PostgresStatePlugin.open(PostgresStateConfig(url=guest, prefix="given")) as backend:
        assert await works(backend)
    execute(script)  # once more is harmless


def test_the_script_takes_two_names_at_the_most() -> None:
    command = [sys.executable, "-m", "acteon.state_postgres"]
    for arguments in (["--help"], ["a", "b", "c"], ["1st"]):
        done = subprocess.run([*command, *arguments], check=False, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("usage: ")
    done = subprocess.run([*command, "a", "b"], check=True, capture_output=True, text=True)
    assert 'CREATE TABLE IF NOT EXISTS "b"."a_state"' in done.stdout


@pytest.mark.parametrize(
    ("user", "database", "text"),
    [
        (f"acteon:{PASSWORD}", "acteon", 'password authentication failed for user "acteon"'),
        ("acteon:acteon", "nowhere", 'database "nowhere" does not exist'),
    ],
)
async def test_a_wrong_url_is_told_in_a_line(
    server: Server, user: str, database: str, text: str
) -> None:
    config = PostgresStateConfig(url=_url(server, user=user, database=database))
    with pytest.raises(ConfigError) as raised:
        await PostgresStatePlugin.open(config).__aenter__()
    assert text in str(raised.value)
    assert f"127.0.0.1:{server.port}/{database}" in str(raised.value)
    assert "'url'" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert PASSWORD not in str(raised.value)


async def test_a_server_that_is_not_there_is_told_at_once(free_port: int) -> None:
    config = PostgresStateConfig(url=f"postgres://acteon:{PASSWORD}@127.0.0.1:{free_port}/acteon")
    with pytest.raises(StateConnectionError, match="Connection refused") as raised:
        await PostgresStatePlugin.open(config).__aenter__()
    assert PASSWORD not in str(raised.value)


async def test_a_read_only_server_is_told(server: Server, execute: Execute) -> None:
    execute("ALTER DATABASE acteon SET default_transaction_read_only = on")
    try:
        with pytest.raises(ConfigError, match="read-only"):
            await PostgresStatePlugin.open(PostgresStateConfig(url=server.url)).__aenter__()
    finally:
        with psycopg.connect(_url(server, database="postgres"), autocommit=True) as connection:
            connection.execute("ALTER DATABASE acteon RESET default_transaction_read_only")


async def test_a_database_that_is_not_utf8_is_refused(server: Server, execute: Execute) -> None:
    execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(ConfigError, match="in LATIN1; create one in UTF8"):
        await PostgresStatePlugin.open(
            PostgresStateConfig(url=_url(server, database="latin"))
        ).__aenter__()


@pytest.fixture
def free_port() -> int:
    with reserved() as port:
        return port
