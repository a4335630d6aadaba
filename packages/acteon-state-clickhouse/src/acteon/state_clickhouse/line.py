"""One connection, as the driver makes it but for its habits."""

# The driver has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportArgumentType=false

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from socket import SHUT_RDWR
from typing import Any, Final

from clickhouse_driver import Client
from clickhouse_driver.connection import Connection

from acteon.state_clickhouse.config import Address, ClickHouseConfig

_LARGEST_STATEMENT: Final = 16 * 1024 * 1024
_ASYNC_INSERTS: Final = (21, 11)
"""The first version that may put an insert off, which would cost time and gain nothing here."""


class _QuietConnection(Connection):  # type: ignore[misc]
    """A connection that is not looked at with a trip before each statement, and logs nothing."""

    def force_connect(self) -> None:
        self.check_query_execution()
        if not self.connected:
            self.connect()

    def connect(self) -> None:
        self.disconnect()
        self._init_connection(*self.hosts[0])

    def disconnect(self) -> None:
        if self.socket is not None:
            with suppress(OSError):
                self.socket.close()
        self.reset_state()


class Line:
    """A connection for one thread at a time; it is made with the first statement."""

    def __init__(self, config: ClickHouseConfig, address: Address) -> None:
        self._connection = _QuietConnection(
            address.host,
            address.port,
            address.database,
            address.user,
            address.password,
            client_name="acteon",
            connect_timeout=config.connect_timeout_seconds,
            send_receive_timeout=config.command_timeout_seconds,
            secure=address.secure,
            verify=config.tls_verify,
            ca_certs=None if config.tls_ca_file is None else str(config.tls_ca_file),
            certfile=None if config.tls_cert_file is None else str(config.tls_cert_file),
            keyfile=None if config.tls_key_file is None else str(config.tls_key_file),
            tcp_keepalive=True,
        )
        self._client: Any = Client(address.host, settings={"max_query_size": _LARGEST_STATEMENT})
        # The driver has no other way to say which class its connection is of.
        self._client.connections = deque([self._connection])
        self._client.connection = self._client.connections.popleft()
        self._connection.context.settings = self._client.settings
        self._connection.context.client_settings = self._client.client_settings

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows that `statement` gives, if any."""
        rows: list[tuple[Any, ...]] = self._client.execute(statement)
        return rows

    def insert(self, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert `rows` all at once."""
        settings = {"async_insert": 0} if self.version() >= _ASYNC_INSERTS else None
        self._client.execute(
            f"INSERT INTO {table} ({columns}) VALUES", list(rows), settings=settings
        )

    def version(self) -> tuple[int, int]:
        """Return the version of the server."""
        if not self._connection.connected:
            self._connection.connect()
        info: Any = self._connection.server_info
        return info.version_major, info.version_minor

    def is_alive(self) -> bool:
        """Return whether it can be used, as far as is known on this side.

        A server that ends it says so, and nothing else comes unasked.
        """
        line = self._connection.socket
        if line is None:
            return False
        with DefaultSelector() as selector:
            selector.register(line, EVENT_READ)
            return not selector.select(0)

    def cut(self) -> None:
        """End what it waits for; for other threads than the one that has it."""
        line = self._connection.socket
        if line is not None:
            with suppress(OSError):
                line.shutdown(SHUT_RDWR)

    def close(self) -> None:
        """End it."""
        self._connection.disconnect()
