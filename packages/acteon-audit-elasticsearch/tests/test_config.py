"""What can be configured, and what cannot."""

from pathlib import Path
from typing import Any

import pytest

from acteon.audit_elasticsearch import ElasticsearchAuditConfig, ElasticsearchAuditPlugin, Layout
from acteon.core import ConfigError

SECRET = "hush"
URL = "https://es.example"


@pytest.mark.parametrize(
    ("url", "nodes"),
    [
        ("http://es.example", ["http://es.example:9200"]),
        ("https://es.example:443/", ["https://es.example:443"]),
        ("https://u:p@a:1,b,c:3/es/", ["https://a:1/es", "https://b:9200/es", "https://c:3/es"]),
        ("http://[::1]:9201,[::2]", ["http://[::1]:9201", "http://[::2]:9200"]),
        ("http://a,a:9200", ["http://a:9200"]),
    ],
)
def test_urls_name_nodes(url: str, nodes: list[str]) -> None:
    address = ElasticsearchAuditConfig(url=url).address
    assert list(address.nodes) == nodes
    assert address.where == ", ".join(node.partition("://")[2] for node in nodes)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:9200",
        f"elasticsearch://u:{SECRET}@host",
        f"http://u:{SECRET}@",
        f"http://u:{SECRET}@a,,b",
        f"http://u:{SECRET}@host:port",
        f"http://u:{SECRET}@host:0",
        f"http://u:{SECRET}@host:65536",
        f"http://u:{SECRET}@host?pretty=true",
        f"http://u:{SECRET}@host#here",
        f"http://u:{SECRET}@[::1",
    ],
)
def test_other_urls_are_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"'url' must be a URL such as https://") as raised:
        ElasticsearchAuditConfig(url=url)
    assert SECRET not in str(raised.value)


def test_secrets_do_not_show() -> None:
    config = ElasticsearchAuditConfig(url=f"https://u:{SECRET}@es.example", password=SECRET)
    assert SECRET not in repr(config)
    assert SECRET not in repr(config.address)
    assert SECRET not in config.address.where
    assert SECRET not in repr(ElasticsearchAuditConfig(url=URL, api_key=SECRET))


@pytest.mark.parametrize(
    ("keys", "user"),
    [
        ({"url": URL}, None),
        ({"url": "https://a%40b:p%2F@es.example"}, ("a@b", "p/")),
        ({"url": "https://a:b@es.example", "username": "c", "password": "d"}, ("c", "d")),
        ({"url": URL, "username": "c", "password": "d"}, ("c", "d")),
    ],
)
def test_credentials_may_stand_in_the_url_or_apart(
    keys: dict[str, Any], user: tuple[str, str] | None
) -> None:
    assert ElasticsearchAuditConfig(**keys).user == user


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"url": URL, "username": "u", "api_key": SECRET}, "'api_key' is set, and a user as well"),
        ({"url": URL, "password": SECRET}, "'password' is of no use without 'username'"),
        ({"url": "http://h", "tls_verify": False}, "'url' does not begin with https"),
        ({"url": "http://h", "tls_ca_file": Path("ca.pem")}, "'url' does not begin with https"),
        ({"url": URL, "pool_size": 0}, "'pool_size' must be >= 1: 0"),
        ({"url": URL, "command_timeout_seconds": float("nan")}, "'command_timeout_seconds'"),
        ({"url": URL, "command_timeout_seconds": 3601}, "at most 3600 seconds: 3601"),
    ],
)
def test_what_does_not_go_together_is_refused(keys: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text) as raised:
        ElasticsearchAuditConfig(**keys)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("prefix", ["", "1st", "_a", "Capital", "a b", "a*", "x" * 65])
def test_a_prefix_is_a_name_of_indices(prefix: str) -> None:
    with pytest.raises(ValueError, match="'prefix' must be at most 64 small letters"):
        ElasticsearchAuditConfig(url=URL, prefix=prefix)


def test_the_names_begin_with_the_prefix() -> None:
    config = ElasticsearchAuditConfig(url=URL)
    assert Layout.of(config.prefix).alias == "acteon_audit"
    assert Layout.of("acteon") == Layout.of("acteon_")
    assert Layout.of("a-b").index == "a-b_audit-000001"


async def test_a_missing_file_for_tls_is_told() -> None:
    config = ElasticsearchAuditConfig(url=URL, tls_ca_file=Path("/nowhere/ca.pem"))
    with pytest.raises(ConfigError, match=r"/nowhere/ca\.pem, which is no file"):
        async with ElasticsearchAuditPlugin.open(config):
            pass


async def test_a_file_without_certificates_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("nothing of the kind")
    config = ElasticsearchAuditConfig(url=URL, tls_ca_file=path)
    with pytest.raises(ConfigError, match=r"ca\.pem, which has no certificates"):
        async with ElasticsearchAuditPlugin.open(config):
            pass
