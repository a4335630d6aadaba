"""Connections of an HTTP client that pass an `AddressGuard`."""

import errno
import socket
from ipaddress import IPv4Address, ip_address
from typing import Any

from aiohttp import TCPConnector, ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from acteon.provider.addresses import AddressGuard
from acteon.provider.errors import ProviderConfigurationError

__all__ = ["GuardedResolver", "guarded_connector", "host_refusal", "with_plain_host"]

_AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


def guarded_connector(
    guard: AddressGuard, *, limit: int, resolver: AbstractResolver | None = None
) -> TCPConnector:
    """Return a connector that connects to what `guard` lets through, and to nothing else.

    Names are looked up once a connection: the addresses that were checked are those that are
    connected to. A host without any allowed address fails with a `ProviderConfigurationError`;
    for hosts that are addresses themselves, ask `host_refusal` before.

    Args:
        guard: Judges the addresses.
        limit: Connections at a time; further calls wait.
        resolver: Looks names up; the system does without one.
    """

    def open_socket(info: _AddressInfo) -> socket.socket:
        # The last line: whichever way an address came here, this is the one connected to.
        family, kind, protocol, _, address = info
        if guard.refusal(str(address[0])) is not None:
            raise OSError(errno.EACCES, "refused by the address guard")
        return socket.socket(family, kind, protocol)

    return TCPConnector(
        limit=limit,
        resolver=GuardedResolver(guard, resolver or ThreadedResolver()),
        socket_factory=open_socket,
    )


class GuardedResolver(AbstractResolver):
    """Looks names up and leaves out the addresses that the guard refuses.

    Args:
        guard: Judges the addresses.
        names: Looks the names up; closed with this one.
    """

    def __init__(self, guard: AddressGuard, names: AbstractResolver) -> None:
        self._guard = guard
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            found = await self._names.resolve(host, port, family)
        except UnicodeError:
            # From the codec of `getaddrinfo`: an empty label, or one of more than 63 bytes.
            raise socket.gaierror(socket.EAI_NONAME, "no name that can be looked up") from None
        refusals = [self._guard.refusal(result["host"]) for result in found]
        passed = [result for result, why in zip(found, refusals, strict=True) if why is None]
        if not passed and refusals:
            raise ProviderConfigurationError(refusals[0] or "")
        return passed

    async def close(self) -> None:
        await self._names.close()


def with_plain_host(url: URL) -> URL:
    """Return `url` with a host such as `2130706433`, `0x7f.1` or `127.1` written out as IPv4.

    The C library takes all of these for addresses, so they are to be judged as such.
    """
    host = (url.raw_host or "").rstrip(".")
    try:
        return url.with_host(str(IPv4Address(socket.inet_aton(host))))
    except OSError:
        return url


def host_refusal(guard: AddressGuard, url: URL) -> str | None:
    """Return why the host of `url` may not be connected to, if it is a refused address."""
    try:
        ip_address((url.raw_host or "").partition("%")[0])
    except ValueError:
        return None
    return guard.refusal(url.raw_host or "")
