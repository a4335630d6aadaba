"""The URLs that say where Redis is.

| form | what is there |
|---|---|
| `redis://[user:password@]host[:port][/db]` | one server |
| `unix://[user:password@]/path/to/socket[?db=n]` | one server on this machine |
| `redis+sentinel://[user:password@]host[:port][,…]/service[/db]` | a service and its Sentinels |
| `redis+cluster://[user:password@]host[:port][,…]` | some nodes of a Cluster |

With `rediss` in the place of `redis` all connections are encrypted.
"""

import re
from enum import Enum
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import evolve, frozen

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\[\]:,@/\s]+)(:(?P<port>[0-9]{1,5}))?")


class Mode(Enum):
    """What a URL leads to."""

    SINGLE = "redis"
    SOCKET = "unix"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_SCHEMES: Final = {
    "redis": (Mode.SINGLE, False),
    "rediss": (Mode.SINGLE, True),
    "unix": (Mode.SOCKET, False),
    "redis+sentinel": (Mode.SENTINEL, False),
    "rediss+sentinel": (Mode.SENTINEL, True),
    "redis+cluster": (Mode.CLUSTER, False),
    "rediss+cluster": (Mode.CLUSTER, True),
}


@frozen(kw_only=True)
class Place:
    """Where Redis is; as text it shows no credentials.

    Attributes:
        mode: What is there.
        tls: Whether connections are encrypted.
        hosts: Hosts and ports, of the Sentinels with `Mode.SENTINEL`.
        path: The path of the socket with `Mode.SOCKET`.
        service: The name that the Sentinels know the servers by.
        database: The number of the database.
        username: Who we are, if the URL says so.
        password: Our password, if the URL has one.
    """

    mode: Mode
    tls: bool = False
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    database: int = 0
    username: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        hosts = ",".join(
            f"{f'[{host}]' if ':' in host else host}:{port}" for host, port in self.hosts
        )
        match self.mode:
            case Mode.SINGLE:
                return f"redis at {hosts}"
            case Mode.SOCKET:
                return f"redis at {self.path}"
            case Mode.SENTINEL:
                return f"redis service {self.service!r} of the sentinels at {hosts}"
            case Mode.CLUSTER:
                return f"redis cluster at {hosts}"


def parse_url(url: str) -> Place:
    """Return the place that `url` names.

    Raises:
        ValueError: It names none. The text does not show the URL, which may hold a password.
    """
    scheme, colon, rest = url.partition("://")
    if not colon or scheme not in _SCHEMES:
        raise ValueError(f"must begin with one of {', '.join(f'{name}://' for name in _SCHEMES)}")
    mode, tls = _SCHEMES[scheme]
    # The schemes are not known to the library, which would leave the query in the path.
    parts = urlsplit(f"http://{rest}")
    username, password, address = _credentials(parts.netloc)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.fragment or set(query) - ({"db"} if mode is Mode.SOCKET else set()):
        raise ValueError("must not have a query or a fragment; encode ? and # as %3F and %23")
    place = Place(mode=mode, tls=tls, username=username, password=password)
    if mode is Mode.SOCKET:
        if address or not parts.path.strip("/"):
            raise ValueError("must name the path of a socket, such as unix:///run/redis.sock")
        return evolve(place, path=unquote(parts.path), database=_number(query.get("db", "")))
    hosts = _hosts(address, SENTINEL_PORT if mode is Mode.SENTINEL else PORT)
    steps = [unquote(step) for step in parts.path.split("/")[1:]]
    if mode is Mode.SINGLE and len(hosts) > 1:
        raise ValueError(
            f"must name one host; several are for {scheme}+sentinel or {scheme}+cluster"
        )
    service = ""
    if mode is Mode.SENTINEL:
        service = steps.pop(0) if steps else ""
        if not service:
            raise ValueError("must name the service: redis+sentinel://host:26379/service")
    if len(steps) > 1:
        raise ValueError("must end with the number of the database")
    database = _number(steps[0] if steps else "")
    if mode is Mode.CLUSTER and database:
        raise ValueError("must not name a database: a Cluster has one only")
    return evolve(place, hosts=hosts, service=service, database=database)


def _credentials(text: str) -> tuple[str | None, str | None, str]:
    """Return username, password and what comes after them."""
    told, at, address = text.rpartition("@")
    if not at:
        return None, None, address
    username, colon, password = told.partition(":")
    return unquote(username) or None, unquote(password) if colon else None, address


def _hosts(text: str, port: int) -> tuple[tuple[str, int], ...]:
    hosts: list[tuple[str, int]] = []
    for one in (text or "localhost").split(","):
        found = _HOST.fullmatch(one)
        if found is None or not 0 < int(found["port"] or port) < 65536:
            raise ValueError("must name hosts and ports, such as redis.example:6379")
        hosts.append((found["host"].strip("[]"), int(found["port"] or port)))
    return tuple(hosts)


def _number(text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError("must end with the number of the database")
    return int(text)
