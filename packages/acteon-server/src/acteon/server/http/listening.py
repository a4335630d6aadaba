"""Sockets to listen on."""

import errno
import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Final

from acteon.core import ConfigError

_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


@contextmanager
def listening(host: str, port: int) -> Generator[list[socket.socket]]:
    """Give sockets bound to all addresses of `host`; whoever uses them lets them listen.

    They are bound before anything else is opened, so that a port that is taken is known at once.

    Args:
        host: An address, in brackets or not, or a name.
        port: The port; 0 takes any one that is free.

    Raises:
        ConfigError: They cannot be bound.
    """
    name = host.removeprefix("[").removesuffix("]")
    with ExitStack() as stack:
        try:
            yield _bound(stack, name, port)
        except socket.gaierror as error:
            raise ConfigError(
                f"cannot listen on {host}: {error.strerror}; write an address of this machine, "
                "such as --host 127.0.0.1"
            ) from None


def url_of(bound: socket.socket, scheme: str = "http") -> str:
    """Return the URL under which what listens on `bound` is reached."""
    host, port = bound.getsockname()[:2]
    named = f"[{host}]" if bound.family == socket.AF_INET6 else host
    return f"{scheme}://{named}:{port}"


def give_up_after(listener: socket.socket, limit: timedelta) -> None:
    """Let the kernel reset connections whose other end takes nothing for `limit`.

    Without that, clients that never read their answers would hold them, and their connections,
    for ever. Only Linux offers it; connections inherit it.

    Args:
        listener: What the connections come in by.
        limit: The time, measured from the last byte that was taken.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        milliseconds = max(1, min(int(limit.total_seconds() * 1000), 2**31 - 1))
        listener.setsockopt(socket.IPPROTO_TCP, option, milliseconds)


def _bound(stack: ExitStack, host: str, port: int) -> list[socket.socket]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # IPv4 first: the first address is the one that is announced.
    addresses = sorted(dict.fromkeys((family, place) for family, _, _, _, place in found))
    sockets: list[socket.socket] = []
    for family, place in addresses:
        # All share the port that the first one got.
        wanted = sockets[0].getsockname()[1] if sockets else port
        try:
            one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            stack.callback(one.close)
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Connections inherit it. Event loops set it only where the protocol is named, and
            # without it each answer in two parts waits 40 ms for the client's acknowledgement.
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((place[0], wanted, *place[2:]))
        except OSError as error:
            if error.errno in _NOT_HERE and len(addresses) > 1:
                continue
            raise ConfigError(
                f"cannot listen on {host}:{wanted}: {error.strerror}{hint_on(error)}"
            ) from None
        sockets.append(one)
    if not sockets:
        raise ConfigError(
            f"cannot listen on {host}: none of its addresses is this machine's; write one that is, "
            "such as --host 127.0.0.1"
        )
    return sockets


def hint_on(error: OSError) -> str:
    """Return what helps whoever cannot listen for the reason `error`."""
    match error.errno:
        case errno.EADDRINUSE:
            return "; another program listens there: stop it, or choose another port: --port 8081"
        case errno.EACCES:
            return "; this port is for the superuser: choose one above 1023: --port 8080"
        case errno.EADDRNOTAVAIL:
            return "; write an address of this machine, such as --host 127.0.0.1"
        case _:
            return ""
