"""PostgreSQL from Debian's package, with a cluster of its own; pgbouncer in front of it."""

import signal
import socket
import struct
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from servers import process
from servers.install import program, user_for
from servers.process import Program, Server

NAME: Final = "acteon"  # user, password and database


@contextmanager
def running(*, settings: Mapping[str, str] | None = None, port: int = 0) -> Generator[Server]:
    """Run a PostgreSQL whose user, password and database are `acteon`.

    Args:
        settings: As in postgresql.conf. Commits are durable unless `fsync` is `off` here.
        port: Where it listens; 0 stands for a free one.
    """
    user = user_for("postgres")

    def prepare(folder: Path, ports: Sequence[int]) -> Program:
        return _postgres(folder, ports[0], settings or {}, user)

    _program("postgres")  # brings the user, too
    with process.running("postgres", prepare, ports=[port], user=user) as server:
        yield server


@contextmanager
def pgbouncer(server: Server, *, port: int = 0) -> Generator[Server]:
    """Run a pgbouncer that gives a connection of `server` to each transaction.

    Args:
        server: The PostgreSQL behind it.
        port: Where it listens; 0 stands for a free one.
    """
    command = program("pgbouncer", "pgbouncer")
    user = user_for("postgres")

    def prepare(folder: Path, ports: Sequence[int]) -> Program:
        users, file = folder / "users.txt", folder / "pgbouncer.ini"
        users.write_text(f'"{NAME}" "{NAME}"\n')
        file.write_text(
            f"[databases]\n{NAME} = host={server.host} port={server.port} dbname={NAME}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {ports[0]}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {users}\n"
            "pool_mode = transaction\ndefault_pool_size = 20\nmax_client_conn = 1000\n"
            "server_login_retry = 1\n"
        )
        return _program_of("pgbouncer", (command, str(file)), ports[0], user, signal.SIGTERM)

    with process.running("pgbouncer", prepare, ports=[port], user=user) as pooler:
        yield pooler


def _postgres(folder: Path, port: int, settings: Mapping[str, str], user: str | None) -> Program:
    data, postgres = folder / "data", _program("postgres")
    if not data.exists():
        password = folder / "password"
        password.write_text(NAME)
        password.chmod(0o644)  # in a folder that its user alone can enter
        command = [_program("initdb"), f"--pgdata={data}", f"--pwfile={password}", "--no-sync"]
        options = [f"--username={NAME}", "--auth=scram-sha-256", "--encoding=UTF8"]
        process.run([*command, *options, "--locale=C.UTF-8"], user=user)
        single = [postgres, "--single", "-D", str(data), "-c", "fsync=off", "postgres"]
        process.run(single, user=user, stdin=f"CREATE DATABASE {NAME}\n")
    given = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
    options = [f"--{name}={value}" for name, value in {**given, **settings}.items()]
    # Its other way to stop waits until the last client is gone.
    serve = (postgres, "-D", str(data), *options)
    return _program_of("PostgreSQL", serve, port, user, signal.SIGINT)


def _program_of(
    name: str, command: tuple[str, ...], port: int, user: str | None, stop: signal.Signals
) -> Program:
    return Program(
        name=name,
        command=command,
        port=port,
        urls=(f"postgres://{NAME}:{NAME}@127.0.0.1:{port}/{NAME}",),
        answers=lambda: _asks_for_password(port),
        user=user,
        stop_signal=stop,
    )


def _asks_for_password(port: int) -> bool:
    """Return whether the server accepts clients: while it starts up it answers with an error."""
    # https://www.postgresql.org/docs/current/protocol-message-formats.html, StartupMessage
    body = struct.pack("!i", 3 << 16) + f"user\0{NAME}\0database\0{NAME}\0\0".encode()
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(struct.pack("!i", len(body) + 4) + body)
        return connection.recv(1) == b"R"


def _program(name: str) -> str:
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    newest_first = sorted(versions, key=lambda path: float(path.parent.name), reverse=True)
    return program(name, "postgresql", folders=newest_first)
