"""The plugin and its configuration, without a server."""

import re
from datetime import timedelta

import pytest

from acteon.core import STATE, load_plugin
from acteon.state import StatePlugin
from acteon.state_postgres import Layout, PostgresStateConfig, PostgresStatePlugin

URL = "postgres://acteon:s3cret@db.example:5433/acteon"


def test_it_is_found_by_its_name() -> None:
    assert load_plugin(STATE, "postgres", StatePlugin) is PostgresStatePlugin
    assert PostgresStatePlugin.shared


def test_the_configuration_has_durations_and_no_secret_in_its_text() -> None:
    config = PostgresStateConfig(
        url=URL,
        connect_timeout_seconds=1.5,
        command_timeout_seconds=2.5,
        sweep_interval_seconds=3.5,
    )
    assert config.connect_timeout == timedelta(seconds=1.5)
    assert config.command_timeout == timedelta(seconds=2.5)
    assert config.sweep_interval == timedelta(seconds=3.5)
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "postgresql://localhost/acteon?sslmode=verify-full&sslrootcert=/ca.pem",
        "postgres://one:5432,two:5433/acteon?target_session_attrs=read-write",
        "postgres:///acteon?host=/run/postgresql",
    ],
)
def test_these_urls_are_taken(url: str) -> None:
    assert PostgresStateConfig(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis://:s3cret@localhost",
        "host=localhost password=s3cret",
        "postgres://acteon:s3cret%zz@localhost/acteon",
        "postgres://acteon:s3cret@localhost/acteon?pool=5",
        "postgres://acteon:s3cret@localhost:port:1/acteon",
    ],
)
def test_other_urls_are_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"^'url' must be a URL such as postgres://") as raised:
        PostgresStateConfig(url=url)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sslmod=require", "libpq has no parameter 'sslmod'; did you mean 'sslmode'?"),
        ("sslmode=require&poolsize=5", "libpq has no parameter 'poolsize'"),
        ("s3cret@db/acteon?sslmod=x", "none but libpq's parameters"),
    ],
)
def test_a_parameter_that_libpq_does_not_know_is_named(query: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)) as raised:
        PostgresStateConfig(url=f"postgres://acteon:a%2Fb@localhost/acteon?{query}")
    assert "\n" not in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("name", ["", "1st", "a-b", 'a"b', "a b", "é", "x" * 41])
def test_names_that_need_quoting_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="'prefix' must be at most 40 letters"):
        PostgresStateConfig(url=URL, prefix=name)
    with pytest.raises(ValueError, match="'schema' must be at most 40 letters"):
        PostgresStateConfig(url=URL, schema=name)


@pytest.mark.parametrize("seconds", [0, -1, 3601, float("inf"), float("nan")])
def test_absurd_times_are_refused(seconds: float) -> None:
    for name in ("connect", "command"):
        with pytest.raises(ValueError, match=f"'{name}_timeout_seconds' must be above 0"):
            PostgresStateConfig(url=URL, **{f"{name}_timeout_seconds": seconds})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prefix", "table"),
    [
        ("acteon", "acteon_state"),
        ("acteon_", "acteon_state"),
        ("Acteon", "acteon_state"),
        ("_", "_state"),
        ("x" * 40, "x" * 40 + "_state"),
    ],
)
def test_the_prefix_begins_all_names(prefix: str, table: str) -> None:
    layout = Layout.of(PostgresStateConfig(url=URL, prefix=prefix))
    assert layout.name("state").as_string() == f'"public"."{table}"'
    assert layout.script().count(layout.prefix) > 5
