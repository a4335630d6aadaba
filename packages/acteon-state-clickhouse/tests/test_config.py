"""What can be configured, and what cannot."""

from pathlib import Path
from typing import Any

import pytest

from acteon.core import STATE, ConfigError, load_plugin
from acteon.state import StatePlugin
from acteon.state_clickhouse import ClickHouseStateConfig, ClickHouseStatePlugin
from acteon.state_clickhouse.layout import name_of

SECRET = "hush"


def test_the_plugin_is_found_by_its_name() -> None:
    assert load_plugin(STATE, "clickhouse", StatePlugin) is ClickHouseStatePlugin


async def test_without_leave_for_weak_locks_it_does_not_open() -> None:
    with pytest.raises(ConfigError, match=r"redis, postgres or dynamodb.*allow_weak_locks = true"):
        async with ClickHouseStatePlugin.open(ClickHouseStateConfig()):
            pass


@pytest.mark.parametrize(
    ("url", "port", "secure", "database"),
    [
        ("clickhouse://db.example", 9000, False, "default"),
        ("clickhouse://db.example:9010/acteon", 9010, False, "acteon"),
        ("clickhouses://db.example/acteon", 9440, True, "acteon"),
        ("http://db.example:8123", 9000, False, "default"),
        ("http://db.example", 9000, False, "default"),
        ("https://db.example:8443/acteon", 9440, True, "acteon"),
    ],
)
def test_urls_name_native_ports(url: str, port: int, secure: bool, database: str) -> None:
    address = ClickHouseStateConfig(url=url).address
    assert (address.host, address.port) == ("db.example", port)
    assert (address.secure, address.database) == (secure, database)


def test_the_port_of_another_http_server_is_refused_with_a_hint() -> None:
    with pytest.raises(
        ValueError, match="write clickhouse://HOST:PORT with the port of that, mostly 9000"
    ):
        ClickHouseStateConfig(url=f"http://acteon:{SECRET}@db.example:18123")


@pytest.mark.parametrize(
    "url",
    [
        f"redis://u:{SECRET}@localhost",
        f"clickhouse://u:{SECRET}@localhost:port",
        f"clickhouse://u:{SECRET}@",
        f"clickhouse://u:{SECRET}@localhost/a-b",
        f"clickhouse://u:{SECRET}@localhost/a?secure=1",
        f"clickhouse://u:{SECRET}@localhost:9000]/",
    ],
)
def test_other_urls_are_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="clickhouse://user:password@host:9000/database") as raised:
        ClickHouseStateConfig(url=url)
    assert SECRET not in str(raised.value)


def test_secrets_do_not_show() -> None:
    config = ClickHouseStateConfig(url=f"clickhouse://u:{SECRET}@localhost", password=SECRET)
    assert SECRET not in repr(config)
    assert SECRET not in repr(config.address)
    assert config.address.password == SECRET


def test_credentials_may_stand_apart_from_the_url() -> None:
    config = ClickHouseStateConfig(
        url="clickhouse://one:1@localhost/one", database="two", username="two", password="2"
    )
    address = config.address
    assert (address.database, address.user, address.password) == ("two", "two", "2")


def test_escapes_in_credentials_are_undone() -> None:
    address = ClickHouseStateConfig(url="clickhouse://a%40b:p%2F@localhost").address
    assert (address.user, address.password) == ("a@b", "p/")


@pytest.mark.parametrize(
    "keys",
    [{"tls_ca_file": Path("ca.pem")}, {"tls_cert_file": Path("cert.pem")}, {"tls_verify": False}],
)
def test_keys_for_tls_are_refused_without_tls(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="does not begin with clickhouses or https"):
        ClickHouseStateConfig(url="clickhouse://localhost", **keys)


def test_a_key_without_its_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="'tls_cert_file'"):
        ClickHouseStateConfig(url="clickhouses://localhost", tls_key_file=Path("key.pem"))


async def test_a_missing_file_for_tls_is_told() -> None:
    config = ClickHouseStateConfig(
        url="clickhouses://localhost", tls_ca_file=Path("/nowhere/ca.pem"), allow_weak_locks=True
    )
    with pytest.raises(ConfigError, match=r"/nowhere/ca\.pem, which is no file"):
        async with ClickHouseStatePlugin.open(config):
            pass


@pytest.mark.parametrize("prefix", ["", "1st", "a-b", "a b", "x" * 65, "a;DROP"])
def test_a_prefix_is_a_name(prefix: str) -> None:
    with pytest.raises(ValueError, match="'prefix'"):
        ClickHouseStateConfig(prefix=prefix)


@pytest.mark.parametrize("seconds", [0, -1, 1e9, float("nan")])
def test_times_have_bounds(seconds: float) -> None:
    with pytest.raises(ValueError, match="'command_timeout_seconds'"):
        ClickHouseStateConfig(command_timeout_seconds=seconds)


def test_names_that_are_too_long_or_odd_are_hashed_apart() -> None:
    odd = ["", "\ud800", "\ud801", "x" * 1025, "x" * 1026, "sha256:x"]
    names = [name_of(text) for text in odd]
    assert all(name.startswith("sha256:") for name in names)
    assert len(set(names)) == len(odd)
    assert name_of("a:b") == "a:b"
