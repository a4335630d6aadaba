"""Ports of 127.0.0.1 that nobody else gets."""

import os
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from attrs import define, field

from acteon.simulation.errors import PortExhaustedError

HOST: Final = "127.0.0.1"
FALLBACK: Final = range(18_000, 19_000)
"""Where ports are looked for if the system has none to give."""


def bound(port: int = 0) -> socket.socket:
    """Return a socket that is bound to `port` of 127.0.0.1 but does not listen; 0: any free one.

    While it is open, connections to the port are refused, and nobody else gets it by chance or from
    here. A server that asks for this very port can listen on it nevertheless: see `listening`.

    Raises:
        OSError: The port is taken, or was until a moment ago.
    """
    reserved = socket.socket()
    try:
        reserved.bind((HOST, port))
    except OSError:
        reserved.close()
        raise
    # Only now: two that do not listen could both be bound otherwise.
    _share(reserved)
    return reserved


def listening(port: int) -> socket.socket:
    """Return a socket that listens on `port` of 127.0.0.1, which may be `bound`, as servers do.

    Raises:
        OSError: Somebody else listens there.
    """
    server = socket.socket()
    try:
        _share(server)
        server.bind((HOST, port))
        server.listen()
    except OSError:
        server.close()
        raise
    return server


def _share(taken: socket.socket) -> None:
    if os.name == "posix":  # Elsewhere the option takes ports away from those who listen there.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _ports(given: Iterable[int] | None) -> tuple[int, ...] | None:
    return None if given is None else tuple(given)


@define(eq=False)
class PortAllocator:
    """Reserves ports for servers to come; threads may share it.

    ```python
    with PortAllocator() as ports:
        process = subprocess.Popen(["redis-server", "--port", str(ports.allocate())])
    ```

    A reserved port stays bound, so that it goes to no one else before its server has started.

    Attributes:
        ports: Which ones there are to choose from; None: whichever the system gives.
    """

    ports: tuple[int, ...] | None = field(default=None, converter=_ports)
    _reserved: dict[int, socket.socket] = field(factory=dict[int, socket.socket], init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    @classmethod
    def with_range(cls, start: int, end: int) -> Self:
        """Return an allocator of the ports from `start` up to, and without, `end`."""
        return cls(range(start, end))

    @property
    def allocated_count(self) -> int:
        """How many ports are reserved."""
        return len(self._reserved)

    def allocate(self) -> int:
        """Reserve a port, and return it.

        Raises:
            PortExhaustedError: All are taken.
        """
        with self._lock:
            reserved = self._any()
            port: int = reserved.getsockname()[1]
            self._reserved[port] = reserved
            return port

    def take(self, port: int) -> socket.socket:
        """Return the socket of a reserved port; it is then the caller's, and to be closed there.

        Raises:
            KeyError: The port is not reserved.
        """
        with self._lock:
            return self._reserved.pop(port)

    def release(self, port: int) -> None:
        """Give a port back; does nothing if it is not reserved."""
        with self._lock:
            reserved = self._reserved.pop(port, None)
        if reserved is not None:
            reserved.close()

    def is_allocated(self, port: int) -> bool:
        """Return whether `port` is reserved."""
        return port in self._reserved

    def close(self) -> None:
        """Give all ports back."""
        for port in tuple(self._reserved):
            self.release(port)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _any(self) -> socket.socket:
        for port in (0, *FALLBACK) if self.ports is None else self.ports:
            with suppress(OSError):
                return bound(port)
        among = "" if self.ports is None else f": all {len(self.ports)} given ones are taken"
        raise PortExhaustedError(f"no ports available for allocation{among}")
