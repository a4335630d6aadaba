"""Where requests come from that proxies have passed on."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

from attrs import frozen
from starlette.types import Scope

_FORWARDED: Final = b"x-forwarded-for"


@frozen
class Proxies:
    """The proxies whose word is taken for where a request comes from.

    Attributes:
        networks: Where they are.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def within(cls, networks: Iterable[str]) -> Self:
        """Return the proxies in `networks`, such as `10.0.0.0/8`.

        Raises:
            ValueError: One of them is no network.
        """
        return cls(tuple(ip_network(text) for text in networks))

    def client(self, scope: Scope) -> tuple[str, int] | None:
        """Return address and port that the request of `scope` comes from.

        What `X-Forwarded-For` says is believed from its end, as far as it was written by one of
        these proxies: what stands before that may have been made up by the client. The port is
        then 0.
        """
        client: tuple[str, int] | None = scope.get("client")
        if client is None or not self.has(client[0]):
            return client
        found = client
        for text in reversed(_forwarded(scope)):
            address = _address(text)
            if address is None:
                break
            found = (address, 0)
            if not self.has(address):
                break
        return found

    def has(self, address: str) -> bool:
        """Return whether one of the proxies has `address`."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self.networks)


def _forwarded(scope: Scope) -> list[str]:
    given = b",".join(value for name, value in scope["headers"] if name == _FORWARDED)
    return given.decode("latin-1").split(",")


def _address(text: str) -> str | None:
    """Return the address in `text`, which may have a port behind it; None if there is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None
