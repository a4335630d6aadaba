"""What is made at the start, and what is said when that cannot be."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from attrs import evolve

from acteon.audit import AuditQuery, AuditStorageError, AuditStore
from acteon.audit.testing import make_record
from acteon.audit_postgres import Layout, PostgresAuditConfig, PostgresAuditPlugin
from acteon.audit_postgres.layout import COLUMNS, INDEXES, KEY, Month
from acteon.audit_postgres.partitions import TURN
from acteon.core import ConfigError
from servers.ports import reserved
from servers.process import Server

pytestmark = pytest.mark.server

Execute = Callable[[str], list[tuple[object, ...]]]
Until = Callable[[str], Awaitable[None]]

PASSWORD = "s3cret-of-mine"
COMMAND = [sys.executable, "-m", "acteon.audit_postgres"]


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


async def refusal(config: PostgresAuditConfig, kind: type[Exception] = ConfigError) -> str:
    """Return what is said by way of refusing `config`: one line without a secret."""
    with pytest.raises(kind) as raised:
        await PostgresAuditPlugin.open(config).__aenter__()
    text = str(raised.value)
    assert "\n" not in text
    assert PASSWORD not in text
    return text


async def works(store: AuditStore) -> bool:
    """Return whether `store` can do what it is there for."""
    record = make_record()
    before = (await store.query(AuditQuery())).total
    await store.write([record])
    assert await store.erase([record.id]) == 1
    await store.clean_up(datetime(2025, 6, 1, tzinfo=UTC))
    return (await store.query(AuditQuery())).total == before + 1


async def test_what_is_there_is_left_as_it_is(config: PostgresAuditConfig) -> None:
    record = make_record()
    async with PostgresAuditPlugin.open(config) as store:
        await store.write([record])
    async with PostgresAuditPlugin.open(config) as store:
        assert await store.get(record.id) == record


async def test_what_a_later_version_wants_more_is_added(
    config: PostgresAuditConfig, execute: Execute
) -> None:
    record = make_record()
    async with PostgresAuditPlugin.open(config) as store:
        await store.write([record])
    layout = Layout.of(config)
    execute(f"DROP INDEX {layout.name('audit_tenant')}, {layout.name('audit_expiry')}")
    execute(f"ALTER TABLE {layout.name('audit')} ADD COLUMN note text DEFAULT 'ours'")
    async with PostgresAuditPlugin.open(config) as store:
        assert await store.get(record.id) == record
        assert await works(store)
    assert execute(f"SELECT to_regclass('{layout.name('audit_tenant')}') IS NULL") == [(False,)]
    assert execute(f"SELECT to_regclass('{layout.name('audit_expiry')}') IS NULL") == [(False,)]


async def test_two_prefixes_share_nothing(config: PostgresAuditConfig) -> None:
    other = evolve(config, prefix=f"{config.prefix}_other")
    async with PostgresAuditPlugin.open(config) as one, PostgresAuditPlugin.open(other) as two:
        await one.write([make_record()])
        assert (await two.query(AuditQuery())).total == 0


async def test_a_schema_of_its_own_is_used(config: PostgresAuditConfig, execute: Execute) -> None:
    config = evolve(config, schema="gateway")
    assert "CREATE SCHEMA gateway AUTHORIZATION acteon" in await refusal(config)
    execute("CREATE SCHEMA gateway")
    async with PostgresAuditPlugin.open(config) as store:
        assert await works(store)
    assert execute(f"SELECT count(*) FROM gateway.{config.prefix}_audit") == [(1,)]


async def test_many_that_start_at_once_all_start(config: PostgresAuditConfig) -> None:
    async def start() -> None:
        async with PostgresAuditPlugin.open(config) as store:
            await store.write([make_record()])

    async with asyncio.TaskGroup() as group:
        for _ in range(12):
            group.create_task(start())
    async with PostgresAuditPlugin.open(config) as store:
        assert (await store.query(AuditQuery())).total == 12


async def test_one_process_at_a_time_makes_things(
    server: Server, config: PostgresAuditConfig, execute: Execute, until: Until
) -> None:
    name = Layout.of(config).name("audit")

    async def start() -> None:
        async with PostgresAuditPlugin.open(config):
            pass

    with psycopg.connect(server.url) as other:
        other.execute(f"SELECT pg_advisory_xact_lock({TURN}, hashtext('{name}'))".encode())
        starting = asyncio.create_task(start())
        await until(
            "EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory' "
            f"AND classid = {TURN})"
        )
        assert execute(f"SELECT to_regclass('{name}') IS NULL") == [(True,)]
        other.rollback()
    await starting
    assert execute(f"SELECT to_regclass('{name}') IS NULL") == [(False,)]


@pytest.mark.parametrize("column", [name for name in COLUMNS if name not in KEY])
async def test_a_table_that_lacks_a_column_is_told_with_what_mends_it(
    config: PostgresAuditConfig, execute: Execute, column: str
) -> None:
    name = Layout.of(config).name("audit")
    record = make_record(caller_id="ann")
    async with PostgresAuditPlugin.open(config) as store:
        await store.write([record])
        execute(f"ALTER TABLE {name} DROP COLUMN {column}")
        with pytest.raises(AuditStorageError) as raised:
            await store.ping()
    told = await refusal(config)
    assert told in str(raised.value)
    assert f"{config.prefix}_audit has no column {column}: have the owner say ALTER TABLE" in told
    execute(told.partition("have the owner say ")[2].partition(", or give")[0])
    async with PostgresAuditPlugin.open(config) as store:
        await store.ping()
        assert await works(store)


async def test_a_table_without_our_key_is_refused(
    config: PostgresAuditConfig, execute: Execute
) -> None:
    async with PostgresAuditPlugin.open(config):
        execute(f"ALTER TABLE {Layout.of(config).name('audit')} DROP COLUMN id CASCADE")
    told = await refusal(config)
    assert f"{config.prefix}_audit has no column id: rename it, or give another 'prefix'" in told


@pytest.mark.parametrize(
    ("column", "kind"),
    [("action_payload", "jsonb"), ("caller_id", "character varying(9)"), ("duration_ms", "int")],
)
async def test_a_column_of_another_type_is_told_with_what_mends_it(
    config: PostgresAuditConfig, execute: Execute, column: str, kind: str
) -> None:
    name = Layout.of(config).name("audit")
    async with PostgresAuditPlugin.open(config) as store:
        execute(f"ALTER TABLE {name} ALTER COLUMN {column} TYPE {kind} USING {column}::{kind}")
        with pytest.raises(AuditStorageError, match=f"the column {column} of"):
            await store.ping()
    told = await refusal(config)
    assert f"{config.prefix}_audit is {'integer' if kind == 'int' else kind}, and not " in told
    execute(told.partition("have the owner say ")[2].partition(", or give")[0])
    async with PostgresAuditPlugin.open(config) as store:
        await store.ping()
        assert await works(store)


async def test_who_may_not_make_tables_is_told_who_can(guest: str) -> None:
    text = await refusal(PostgresAuditConfig(url=guest, prefix="denied"))
    assert "permission denied for schema public" in text
    assert "denied_audit" in text
    assert "python -m acteon.audit_postgres" in text


async def test_a_table_made_by_hand_needs_no_rights_to_make_it(
    guest: str, execute: Execute, caplog: pytest.LogCaptureFixture
) -> None:
    layout = Layout(prefix="given_")
    execute(layout.script())
    execute("GRANT SELECT, INSERT, UPDATE, DELETE ON given_audit TO guest")
    async with PostgresAuditPlugin.open(PostgresAuditConfig(url=guest, prefix="given")) as store:
        assert await works(store)
        assert execute("SELECT count(*) FROM given_audit_default") == [(1,)]
        assert {vars(one)["acteon.hint"] for one in caplog.records} == {
            "have its owner make it: python -m acteon.audit_postgres given_ public 12"
        }
        execute("REVOKE INSERT, UPDATE ON given_audit FROM guest")
        with pytest.raises(AuditStorageError, match=r"GRANT INSERT, UPDATE ON .*given_audit"):
            await store.ping()
        execute("GRANT INSERT, UPDATE ON given_audit TO guest")
        await store.ping()
    execute("DELETE FROM given_audit")
    execute(layout.script())  # once more is harmless
    execute(layout.month_definition(Month(2025, 1)))
    async with PostgresAuditPlugin.open(PostgresAuditConfig(url=guest, prefix="given")) as store:
        assert await works(store)
        assert execute("SELECT count(*) FROM given_audit_2025_01") == [(1,)]
        expired = make_record(expires_at=datetime(2025, 1, 2, tzinfo=UTC))
        await store.write([expired])
        caplog.set_level(logging.DEBUG)
        assert await store.clean_up(datetime(2025, 6, 1, tzinfo=UTC)) == 1
        # It did not even try.
        assert "could not drop the partition of a month" not in caplog.messages
    execute("DROP TABLE given_audit")


def test_the_script_is_what_a_start_runs_and_as_many_months_as_are_wanted() -> None:
    done = subprocess.run([*COMMAND, "given"], check=True, capture_output=True, text=True)
    layout = Layout(prefix="given_")
    assert done.stdout == layout.script()
    assert all(f'"given_{name}"' in done.stdout for name in INDEXES)

    done = subprocess.run([*COMMAND, "a", "b", "14"], check=True, capture_output=True, text=True)
    assert done.stdout.count("PARTITION OF") == 1 + 14
    months = [Month.of(datetime.now(UTC))]
    for _ in range(13):
        months.append(months[-1].next)
    script = Layout("b", "a_").script() + "".join(map(Layout("b", "a_").month_definition, months))
    assert done.stdout == script


@pytest.mark.parametrize("arguments", [["--help"], ["a", "b", "1", "2"], ["1st"], ["a", "b", "x"]])
def test_other_arguments_are_told_how(arguments: list[str]) -> None:
    done = subprocess.run([*COMMAND, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("usage: ")


async def test_a_table_of_another_make_is_refused(
    config: PostgresAuditConfig, execute: Execute
) -> None:
    execute(f"CREATE TABLE {config.prefix}_audit (id text)")
    assert f"{config.prefix}_audit is there, but is no partitioned table" in await refusal(config)


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
    told = await refusal(PostgresAuditConfig(url=_url(server, user=user, database=database)))
    assert text in told
    assert f"127.0.0.1:{server.port}/{database}" in told
    assert "'url'" in told


async def test_a_server_that_is_not_there_is_told_at_once() -> None:
    with reserved() as port:
        pass
    url = f"postgres://acteon:{PASSWORD}@127.0.0.1:{port}/acteon"
    text = await refusal(PostgresAuditConfig(url=url), AuditStorageError)
    assert text.startswith(f"storage error: postgres at 127.0.0.1:{port}/acteon: ")
    assert "Connection refused" in text


async def test_a_database_that_is_not_utf8_is_refused(server: Server, execute: Execute) -> None:
    execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    config = PostgresAuditConfig(url=_url(server, database="latin"))
    assert "in LATIN1; create one in UTF8" in await refusal(config)


async def test_the_time_zone_of_the_server_does_not_matter(
    server: Server, config: PostgresAuditConfig
) -> None:
    with psycopg.connect(server.url, autocommit=True) as owner:
        owner.execute("ALTER ROLE acteon SET timezone = 'Asia/Kolkata'")
        owner.execute("ALTER ROLE acteon SET datestyle = 'SQL, DMY'")
        try:
            async with PostgresAuditPlugin.open(config) as store:
                record = make_record(dispatched_at=datetime(2025, 3, 4, 5, 6, 7, 8, tzinfo=UTC))
                await store.write([record])
                assert (await store.query(AuditQuery())).records == (record,)
        finally:
            owner.execute("ALTER ROLE acteon RESET ALL")
