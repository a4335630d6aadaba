"""What opens, over TLS and with credentials, and what one is told when it does not."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
import trustme
from attrs import evolve, frozen

from acteon.core import ActeonError
from acteon.state import StateKey
from acteon.state_redis import RedisStateConfig, RedisStatePlugin
from servers import redis
from servers.ports import reserved
from servers.process import Server

pytestmark = pytest.mark.server

KEY = StateKey("shop", "acme", "state", "1")
Logged = Callable[[], list[tuple[str, str]]]
PASSWORD = "s3cret:/@?#"
ENCODED = "s3cret%3A%2F%40%3F%23"


@frozen(kw_only=True)
class Certificates:
    """What servers and clients need for TLS.

    Attributes:
        server: The lines of a server's redis.conf.
        client: What a config says about them.
        stranger: The certificate of an authority that certified nobody here.
    """

    server: tuple[str, ...]
    client: RedisStateConfig
    stranger: Path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    for name, issued in {
        "server": authority.issue_cert("127.0.0.1"),
        "client": authority.issue_cert("gateway.example"),
    }.items():
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        (folder / f"{name}.pem").write_bytes(
            b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        )
    authority.cert_pem.write_to_path(folder / "authority.pem")
    trustme.CA().cert_pem.write_to_path(folder / "stranger.pem")
    return Certificates(
        server=(
            f"tls-cert-file {folder}/server.pem",
            f"tls-key-file {folder}/server.key",
            f"tls-ca-cert-file {folder}/authority.pem",
        ),
        client=RedisStateConfig(
            url="rediss://x",
            tls_ca_file=folder / "authority.pem",
            tls_cert_file=folder / "client.pem",
            tls_key_file=folder / "client.key",
        ),
        stranger=folder / "stranger.pem",
    )


@frozen(kw_only=True)
class Secured:
    """A server that wants TLS and a password, and what its clients need.

    Attributes:
        server: The server; its plain port is for us.
        files: What a config says about certificates.
        stranger: The certificate of an authority that certified nobody here.
    """

    server: Server
    files: RedisStateConfig
    stranger: Path

    @property
    def url(self) -> str:
        """Where it is."""
        return self.server.urls[1]

    @property
    def port(self) -> int:
        """Its port for TLS."""
        return int(self.url.rpartition(":")[2])


@pytest.fixture(scope="module")
def secured(certificates: Certificates) -> Iterator[Secured]:
    users = (
        f'user default on ">{PASSWORD}" ~* &* +@all',
        f'user gateway on ">{PASSWORD}" ~acteon:* +@all -@dangerous',
        f'user reader on ">{PASSWORD}" ~acteon:* +@read',
    )
    with redis.running(config=users, tls=certificates.server) as server:
        yield Secured(server=server, files=certificates.client, stranger=certificates.stranger)


async def opens(config: RedisStateConfig) -> None:
    async with RedisStatePlugin.open(config) as backend:
        await backend.store.set(KEY, "mine", ttl=timedelta(hours=1))
        assert await backend.store.get(KEY) == "mine"


async def refused(config: RedisStateConfig) -> str:
    """Return what one is told, which must be one line without a secret."""
    with pytest.raises(ActeonError) as caught:
        await opens(config)
    # The client does not wait for the end of connections that it gives up; under TLS that takes
    # an answer of the server.
    await asyncio.sleep(0.1)
    told = str(caught.value)
    assert "\n" not in told
    assert PASSWORD not in told
    assert ENCODED not in told
    return told


async def test_certificates_and_credentials_in_keys_open_it(secured: Secured) -> None:
    await opens(evolve(secured.files, url=secured.url, username="gateway", password=PASSWORD))


async def test_credentials_may_be_part_of_the_url(secured: Secured) -> None:
    address = f"127.0.0.1:{secured.port}"
    await opens(evolve(secured.files, url=f"rediss://:{ENCODED}@{address}"))
    await opens(evolve(secured.files, url=f"rediss://gateway:{ENCODED}@{address}/0"))


async def test_who_does_not_verify_needs_no_authority(secured: Secured) -> None:
    await opens(
        evolve(
            secured.files, url=secured.url, password=PASSWORD, tls_ca_file=None, tls_verify=False
        )
    )


async def test_an_unknown_certificate_is_refused(secured: Secured) -> None:
    config = evolve(secured.files, url=secured.url, password=PASSWORD)
    for authority in (None, secured.stranger):
        told = await refused(evolve(config, tls_ca_file=authority))
        assert "its certificate is refused" in told
        assert "set 'tls_ca_file'" in told


async def test_a_certificate_must_be_for_the_host(secured: Secured) -> None:
    told = await refused(
        evolve(secured.files, url=f"rediss://localhost:{secured.port}", password=PASSWORD)
    )
    assert "its certificate is refused" in told
    assert "localhost" in told


async def test_a_server_that_wants_a_certificate_says_no(secured: Secured) -> None:
    told = await refused(
        evolve(
            secured.files,
            url=secured.url,
            password=PASSWORD,
            tls_cert_file=None,
            tls_key_file=None,
        )
    )
    assert f"redis at 127.0.0.1:{secured.port}" in told


async def test_a_plain_connection_to_a_port_for_tls_is_told(secured: Secured) -> None:
    told = await refused(RedisStateConfig(url=f"redis://127.0.0.1:{secured.port}"))
    assert f"redis at 127.0.0.1:{secured.port} cannot be reached" in told


@pytest.mark.parametrize(
    ("username", "password"),
    [(None, None), (None, "wrong"), ("nobody", PASSWORD)],
    ids=["none", "wrong password", "wrong user"],
)
async def test_wrong_credentials_are_told(
    secured: Secured, username: str | None, password: str | None
) -> None:
    told = await refused(
        evolve(secured.files, url=secured.url, username=username, password=password)
    )
    assert "refuses the username and password" in told


async def test_a_user_who_may_not_write_is_told(secured: Secured) -> None:
    told = await refused(
        evolve(secured.files, url=secured.url, username="reader", password=PASSWORD)
    )
    assert "does not permit it" in told


async def test_files_that_are_no_certificates_are_told(secured: Secured, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no certificate")
    config = evolve(secured.files, url=secured.url, password=PASSWORD)
    for path in (tmp_path / "text", tmp_path / "missing"):
        assert "'tls_ca_file' cannot be used" in await refused(evolve(config, tls_ca_file=path))
        told = await refused(evolve(config, tls_cert_file=path))
        assert "'tls_cert_file' and 'tls_key_file' cannot be used" in told


async def test_where_nobody_listens_is_told(logged: Logged) -> None:
    with reserved() as port:
        told = await refused(RedisStateConfig(url=f"redis://127.0.0.1:{port}"))
        assert told == (
            f"connection error: redis at 127.0.0.1:{port} cannot be reached: connection refused"
        )
        for scheme in ("redis", "rediss"):
            told = await refused(RedisStateConfig(url=f"{scheme}+sentinel://127.0.0.1:{port}/shop"))
            assert told.endswith(f"{port} cannot be reached: connection refused")
            told = await refused(RedisStateConfig(url=f"{scheme}+cluster://127.0.0.1:{port}"))
            assert told == (
                f"connection error: redis cluster at 127.0.0.1:{port} cannot be reached: "
                "connection refused"
            )
    assert logged() == []  # Whoever opens it tells it.


async def test_a_host_that_there_is_not_is_told() -> None:
    told = await refused(RedisStateConfig(url="redis://redis.invalid"))
    assert told.startswith("connection error: redis at redis.invalid:6379 cannot be reached: ")
    assert "error -" not in told


async def test_a_server_that_is_no_redis_is_told() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as web:
        port = web.sockets[0].getsockname()[1]
        told = await refused(RedisStateConfig(url=f"redis://127.0.0.1:{port}"))
    assert "does not speak Redis's protocol" in told


async def test_a_database_that_there_is_not_is_told(server: Server) -> None:
    await opens(RedisStateConfig(url=f"{server.url}/15"))
    assert "no database of that number" in await refused(RedisStateConfig(url=f"{server.url}/16"))


async def test_one_server_is_no_cluster(server: Server) -> None:
    told = await refused(RedisStateConfig(url=f"redis+cluster://127.0.0.1:{server.port}"))
    assert told.endswith("is none; redis:// leads to a single server")


async def test_a_service_that_no_sentinel_knows_is_told(sentinel: redis.Sentinel) -> None:
    url = sentinel.url.rpartition("/")[0]
    told = await refused(RedisStateConfig(url=f"{url}/other"))
    assert "redis service 'other'" in told
    assert "knows its primary" in told


async def test_sentinels_have_credentials_of_their_own() -> None:
    with redis.sentinel(replicas=1) as sentinel:
        for node in sentinel.sentinels:
            redis.ask(node.port, "ACL", "SETUSER", "default", "resetpass", ">watching")
        for node in sentinel.nodes:
            redis.ask(node.port, "CONFIG", "SET", "requirepass", PASSWORD)
        config = RedisStateConfig(url=sentinel.url, password=PASSWORD)
        await opens(evolve(config, sentinel_password="watching"))
        for wrong in (None, "wrong"):
            told = await refused(evolve(config, sentinel_password=wrong))
            assert "they refuse 'sentinel_username' and 'sentinel_password'" in told
        told = await refused(evolve(config, sentinel_password="watching", password="wrong"))
        assert "refuses the username and password" in told


async def test_a_cluster_has_credentials() -> None:
    with redis.cluster() as cluster:
        for node in cluster.nodes:
            redis.ask(node.port, "CONFIG", "SET", "requirepass", PASSWORD)
        await opens(RedisStateConfig(url=cluster.url, password=PASSWORD))
        told = await refused(RedisStateConfig(url=cluster.url, password="wrong"))
        assert "refuses the username and password" in told


async def test_a_socket_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with redis.running(config=(f"unixsocket {path}",)):
        await opens(RedisStateConfig(url=f"unix://{path}?db=3"))


async def test_clusters_and_sentinels_are_reached_over_tls(certificates: Certificates) -> None:
    secret = f"{PASSWORD} in clear"  # what the servers themselves use does not matter here
    users = (
        "user default on nopass ~* &* +@all",
        f'user gateway on "#{sha256(secret.encode()).hexdigest()}" ~acteon:* +@all -@dangerous',
    )
    ours = evolve(certificates.client, username="gateway", password=secret)
    with redis.cluster(config=users, tls=certificates.server) as cluster:
        await opens(evolve(ours, url=cluster.tls_url))
        told = await refused(evolve(ours, url=cluster.tls_url, tls_ca_file=certificates.stranger))
        assert "certificate" in told
    with redis.sentinel(replicas=1, config=users, tls=certificates.server) as sentinel:
        await opens(evolve(ours, url=sentinel.tls_url))
        told = await refused(evolve(ours, url=sentinel.tls_url, tls_ca_file=certificates.stranger))
        assert "certificate" in told
        told = await refused(evolve(ours, url=f"{sentinel.tls_url}s"))
        assert "no sentinel that answers knows its primary" in told


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        (("maxmemory 100mb", "maxmemory-policy allkeys-lru"), True),
        (("maxmemory 100mb", "maxmemory-policy volatile-ttl"), True),
        (("maxmemory 100mb", "maxmemory-policy noeviction"), False),
        (("maxmemory 0", "maxmemory-policy allkeys-lru"), False),
        (
            (
                "maxmemory 100mb",
                "maxmemory-policy allkeys-lru",
                "user default on nopass ~* &* +@all -info",
            ),
            False,
        ),
    ],
)
async def test_a_server_that_may_drop_locks_is_told_of(
    settings: tuple[str, ...], warned: bool, logged: Logged
) -> None:
    with redis.running(config=settings) as server:
        await opens(RedisStateConfig(url=server.url))
    assert logged() == (
        [
            (
                "WARNING",
                "redis drops locks and claims when its memory is full;"
                " its setting 'maxmemory-policy' should be 'noeviction'",
            )
        ]
        if warned
        else []
    )
