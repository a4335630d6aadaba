"""TLS as the URL asks for it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from acteon.core import ConfigError
from acteon.state import StateConnectionError
from acteon.state_postgres import Connections, PostgresStateConfig, PostgresStatePlugin
from servers import postgres
from servers.process import Server

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a certificate of localhost, signed by itself; its key lies beside it."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(folder / "server.key"), "-out", str(folder / "server.crt")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "server.crt"


@pytest.fixture(scope="module")
def secure(certificate: Path) -> Iterator[Server]:
    """Give a server that speaks TLS."""
    with postgres.running() as server:
        owner = server.folder.stat()
        for name in ("server.crt", "server.key"):
            copy = server.folder / "data" / name
            shutil.copy(certificate.with_name(name), copy)
            copy.chmod(0o600)
            shutil.chown(copy, owner.st_uid, owner.st_gid)
        server.stop()
        with (server.folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write("\nssl = on\n")
        server.start()
        yield server


async def test_a_verified_connection_is_kept(secure: Server, certificate: Path) -> None:
    url = f"{secure.url}?sslmode=verify-full&sslrootcert={certificate}"
    config = PostgresStateConfig(url=url)
    async with PostgresStatePlugin.open(config), Connections(config) as connections:
        sessions = [
            await connections.run(
                b"SELECT pid, version, current_user::text FROM pg_stat_ssl "
                b"WHERE pid = pg_backend_pid()"
            )
            for _ in range(5)
        ]
    assert sessions[0][0][1] == "TLSv1.3"
    assert sessions == [sessions[0]] * 5


async def test_a_server_that_nobody_vouches_for_is_refused(secure: Server) -> None:
    config = PostgresStateConfig(url=f"{secure.url}?sslmode=verify-full&sslrootcert=/none.pem")
    with pytest.raises((StateConnectionError, ConfigError), match=r"root certificate file|verify"):
        await PostgresStatePlugin.open(config).__aenter__()


async def test_a_server_without_tls_is_refused_where_tls_is_wanted(server: Server) -> None:
    config = PostgresStateConfig(url=f"{server.url}?sslmode=require")
    with pytest.raises(StateConnectionError, match="server does not support SSL"):
        await PostgresStatePlugin.open(config).__aenter__()
