"""What an operator may write, and how mistakes are told."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import STATE, load_plugin
from acteon.state import StatePlugin
from acteon.state_redis import RedisStateConfig, RedisStatePlugin
from acteon.state_redis.urls import Mode, Place, parse_url

HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
ADDRESSES = st.tuples(HOSTS, st.integers(1, 65535))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def test_it_is_found_by_its_name_and_is_shared() -> None:
    assert load_plugin(STATE, "redis", StatePlugin) is RedisStatePlugin
    assert RedisStatePlugin.shared


def test_the_defaults_lead_to_the_server_of_this_machine() -> None:
    assert RedisStateConfig().place == Place(mode=Mode.SINGLE, hosts=(("127.0.0.1", 6379),))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://", Place(mode=Mode.SINGLE, hosts=(("localhost", 6379),))),
        ("redis://h/", Place(mode=Mode.SINGLE, hosts=(("h", 6379),))),
        ("rediss://h:1/2", Place(mode=Mode.SINGLE, tls=True, hosts=(("h", 1),), database=2)),
        ("redis://:p@h", Place(mode=Mode.SINGLE, hosts=(("h", 6379),), password="p")),
        ("redis://u@h", Place(mode=Mode.SINGLE, hosts=(("h", 6379),), username="u")),
        ("unix:///run/r.sock?db=1", Place(mode=Mode.SOCKET, path="/run/r.sock", database=1)),
        ("unix://:p@/r", Place(mode=Mode.SOCKET, path="/r", password="p")),
        (
            "redis+sentinel://a,b:1/shop",
            Place(mode=Mode.SENTINEL, hosts=(("a", 26379), ("b", 1)), service="shop"),
        ),
        (
            "rediss+cluster://a,[::1]:7001",
            Place(mode=Mode.CLUSTER, tls=True, hosts=(("a", 6379), ("::1", 7001))),
        ),
    ],
)
def test_a_url_leads_to_a_place(url: str, place: Place) -> None:
    assert parse_url(url) == place


@given(
    hosts=st.lists(ADDRESSES, min_size=1, max_size=4),
    service=TEXTS,
    database=st.integers(0, 99),
    username=st.none() | TEXTS,
    password=st.none() | TEXTS,
)
def test_every_part_of_a_url_comes_through(
    hosts: list[tuple[str, int]],
    service: str,
    database: int,
    username: str | None,
    password: str | None,
) -> None:
    told = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in hosts)
    user = quote(username or "", safe="")
    user += "" if password is None else ":" + quote(password, safe="")
    url = f"redis+sentinel://{user}{'@' if user else ''}{told}/{quote(service, safe='')}/{database}"
    place = parse_url(url)
    assert (place.mode, place.hosts) == (Mode.SENTINEL, tuple(hosts))
    assert (place.service, place.database) == (service, database)
    assert (place.username, place.password) == (username, password)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("localhost:6379", "must begin with one of redis://"),
        ("http://h", "must begin with one of redis://"),
        ("redis://h:0", "must name hosts and ports"),
        ("redis://h:65536", "must name hosts and ports"),
        ("redis://h:port", "must name hosts and ports"),
        ("redis://a b", "must name hosts and ports"),
        ("redis://a,b", "must name one host"),
        ("redis://h/one", "must end with the number of the database"),
        ("redis://h/1/2", "must end with the number of the database"),
        ("redis://h?timeout=1", "must not have a query"),
        ("redis://h#1", "must not have a query or a fragment"),
        ("unix://h/r.sock", "must name the path of a socket"),
        ("unix://", "must name the path of a socket"),
        ("unix:///r?db=one", "must end with the number of the database"),
        ("redis+sentinel://h", "must name the service"),
        ("redis+sentinel://h/s/1/2", "must end with the number of the database"),
        ("redis+cluster://h/1", "must not name a database"),
    ],
)
def test_a_url_that_leads_nowhere_is_told(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=rf"^'url' {told}"):
        RedisStateConfig(url=url)


def test_secrets_are_not_shown() -> None:
    config = RedisStateConfig(url="redis://u@h", password="geheim", sentinel_password="secret")
    assert "geheim" not in repr(config)
    assert "secret" not in repr(config)
    with_credentials = RedisStateConfig(url="redis://user:geheim@h")
    assert "geheim" not in repr(with_credentials)
    assert str(with_credentials.place) == "redis at h:6379"
    with pytest.raises(ValueError, match="must name hosts") as caught:
        RedisStateConfig(url="redis://user:ge heim/x@h:1")
    assert "heim" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://[::1]:1", "redis at [::1]:1"),
        ("unix:///run/r.sock", "redis at /run/r.sock"),
        ("redis+sentinel://a,b/shop", "redis service 'shop' of the sentinels at a:26379,b:26379"),
        ("redis+cluster://a,b", "redis cluster at a:6379,b:6379"),
    ],
)
def test_a_place_can_be_told(url: str, text: str) -> None:
    assert str(parse_url(url)) == text


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"url": "redis://u:p@h", "password": "p"}, "'password' is set, and 'url' has one, too"),
        ({"url": "redis://u@h", "username": "u"}, "'username' is set, and 'url' has one, too"),
        ({"tls_ca_file": Path("ca.pem")}, "'url' does not begin with rediss"),
        ({"tls_verify": False}, "'url' does not begin with rediss"),
        ({"url": "rediss://h", "tls_key_file": Path("k")}, "of no use without 'tls_cert_file'"),
        ({"prefix": ""}, "'prefix'"),
        ({"connections": 0}, "'connections' must be >= 1"),
        ({"connect_timeout": timedelta(0)}, "'connect_timeout' must be > 0"),
        ({"command_timeout": timedelta(hours=1)}, "'command_timeout' must be <= 0:05"),
    ],
)
def test_what_cannot_be_used_is_told(keys: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        RedisStateConfig(**keys)  # type: ignore[arg-type]  # that is what is wrong with some
