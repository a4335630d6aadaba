"""The plugin and its configuration, without a server."""

from datetime import timedelta

import pytest

from acteon.audit import AuditPlugin
from acteon.audit_postgres import Layout, PostgresAuditConfig, PostgresAuditPlugin
from acteon.core import AUDIT, load_plugin

URL = "postgres://acteon:s3cret@db.example:5433/acteon"


def test_it_is_found_by_its_name() -> None:
    assert load_plugin(AUDIT, "postgres", AuditPlugin) is PostgresAuditPlugin


def test_the_configuration_has_durations_and_no_secret_in_its_text() -> None:
    config = PostgresAuditConfig(url=URL, connect_timeout_seconds=1.5, command_timeout_seconds=2.5)
    assert config.connect_timeout == timedelta(seconds=1.5)
    assert config.command_timeout == timedelta(seconds=2.5)
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize(
    "url", ["", "http://:s3cret@localhost", "postgres://a:s3cret%zz@localhost"]
)
def test_other_urls_are_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"^'url' must be a URL such as postgres://") as raised:
        PostgresAuditConfig(url=url)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("name", ["", "1st", 'a"b', "a{b}", "x" * 41])
def test_names_that_need_quoting_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="'prefix' must be at most 40 letters"):
        PostgresAuditConfig(url=URL, prefix=name)
    with pytest.raises(ValueError, match="'schema' must be at most 40 letters"):
        PostgresAuditConfig(url=URL, schema=name)


@pytest.mark.parametrize("seconds", [0, -1, 3601, float("nan")])
def test_absurd_times_are_refused(seconds: float) -> None:
    for name in ("connect", "command"):
        with pytest.raises(ValueError, match=f"'{name}_timeout_seconds' must be above 0"):
            PostgresAuditConfig(url=URL, **{f"{name}_timeout_seconds": seconds})  # type: ignore[arg-type]


def test_a_pool_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="'pool_size' must be >= 1: 0"):
        PostgresAuditConfig(url=URL, pool_size=0)


@pytest.mark.parametrize(
    ("prefix", "table"),
    [
        ("acteon", "acteon_audit"),
        ("acteon_", "acteon_audit"),
        ("Acteon", "acteon_audit"),
        ("x" * 40, "x" * 40 + "_audit"),
    ],
)
def test_the_prefix_begins_all_names(prefix: str, table: str) -> None:
    layout = Layout.of(PostgresAuditConfig(url=URL, prefix=prefix))
    assert layout.name("audit") == f'"public"."{table}"'
    assert layout.script().count(f'"{layout.prefix}') > 12
