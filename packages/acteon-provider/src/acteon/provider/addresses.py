"""Which addresses a gateway connects to when somebody else chose the host.

Whoever may set a URL could otherwise reach what only the gateway's machine can reach: its own
services, the private network, the metadata of the cloud. So special addresses are refused
unless the operator allows their network, in whichever form they are written.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

from attrs import frozen

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google, Azure, OpenStack, DigitalOcean, …
        "169.254.170.2",  # AWS ECS
        "169.254.170.23",  # AWS EKS
        "169.254.42.42",  # Scaleway
        "169.254.0.23",  # Tencent
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "168.63.129.16",  # Azure, its wire server; looks like a public address
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS EKS
        "fd20:ce::254",  # Google
        "fd00:42::42",  # Scaleway
    )
)
"""Where clouds hand credentials to whoever asks."""


@frozen
class AddressGuard:
    """Tells special addresses from public ones.

    Attributes:
        allowed: Networks whose special addresses may be connected to all the same. An address of
            a cloud's metadata service needs an entry of its own, `/32` or `/128`.
    """

    allowed: tuple[Network, ...] = ()

    @classmethod
    def from_texts(cls, networks: Iterable[str]) -> Self:
        """Return the guard that allows `networks`, such as `10.0.0.0/8` or `fd00::1`.

        Raises:
            ValueError: One of them is no network.
        """
        return cls(tuple(_network(text) for text in networks))

    def refusal(self, address: str) -> str | None:
        """Return why nothing may be sent to `address`, or None if it may.

        Args:
            address: An IP address as sockets know it, with or without a zone.
        """
        for target in _targets(ip_address(address.partition("%")[0])):
            if target in METADATA:
                if ip_network(target) not in self.allowed:
                    return (
                        "the host has the address of a cloud metadata service, which only an "
                        "entry for exactly this address in 'allow_networks' permits"
                    )
                continue
            kind = _kind(target)
            if kind is not None and not any(target in network for network in self.allowed):
                return (
                    f"the host has {kind} address, which only an entry in 'allow_networks' permits"
                )
        return None

    def leave_for(self, address: str) -> str | None:
        """Return the network that would have to be allowed for `address`; None if it may already.

        Raises:
            ValueError: It is no IP address.
        """
        target = ip_address(address)
        if self.refusal(address) is None:
            return None
        loopback = target.is_loopback and target.version == 4
        return "127.0.0.0/8" if loopback else str(ip_network(target))


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"must hold networks, such as '127.0.0.0/8' for this machine, not {text!r}"
        ) from None
    raise ValueError(f"must hold networks; for {text!r} write '{meant}'")


_TRANSLATED = (
    bytes(12),  # ::a.b.c.d, IPv4-compatible
    bytes(10) + b"\xff\xff",  # ::ffff:a.b.c.d, IPv4-mapped
    bytes(8) + b"\xff\xff\x00\x00",  # ::ffff:0:a.b.c.d, IPv4-translated (RFC 2765)
    b"\x00\x64\xff\x9b" + bytes(8),  # 64:ff9b::a.b.c.d, NAT64 (RFC 6052)
)
_OURS = (IPv6Address("::"), IPv6Address("::1"))
_LOCAL_NAT64 = b"\x00\x64\xff\x9b\x00\x01"  # 64:ff9b:1::/48 (RFC 8215)
_TEREDO = b"\x20\x01\x00\x00"
_6TO4 = b"\x20\x02"
_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


def _targets(address: Address) -> tuple[Address, ...]:
    """Return whom packets to `address` may reach: it, or IPv4 addresses that it wraps, or both.

    An address of a network whose gateways may unwrap it, or not, stands for all of them.
    """
    # Not as `ipaddress` has it: of late that looks into mapped addresses, too.
    if isinstance(address, IPv4Address) or address in _OURS:
        return (address,)
    packed = address.packed
    if packed[:12] in _TRANSLATED:
        return (IPv4Address(packed[12:]),)
    if packed[:2] == _6TO4:
        return (IPv4Address(packed[2:6]),)
    if packed[:6] == _LOCAL_NAT64:
        return (address, *_embedded(packed))
    if packed[:4] == _TEREDO:
        client = bytes(byte ^ 0xFF for byte in packed[12:])
        return (address, IPv4Address(packed[4:8]), IPv4Address(client))
    if packed[8:12] in _ISATAP:
        return (address, IPv4Address(packed[12:]))
    return (address,)


def _embedded(packed: bytes) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses at the places where translators look (RFC 6052, 2.2).

    The prefix that the network chose has 48, 56, 64 or 96 bits, and nobody here knows which. Of
    four readings up to three are wrong; what begins with zero no translator sends anywhere.
    """
    spread = packed[6:8] + packed[9:]  # The byte after the 64th bit is never part of the address.
    places = (spread[0:4], spread[1:5], spread[2:6], packed[12:])
    return tuple(IPv4Address(place) for place in places if place[0])


_GLOBAL_UNICAST = IPv6Network("2000::/3")
_KINDS: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "an unspecified"),
        ("127.0.0.0/8", "a loopback"),
        ("169.254.0.0/16", "a link-local"),
        ("10.0.0.0/8", "a private"),
        ("172.16.0.0/12", "a private"),
        ("192.168.0.0/16", "a private"),
        ("100.64.0.0/10", "a private"),
        ("198.18.0.0/15", "a private"),
        ("192.0.0.0/24", "a reserved"),
        ("192.0.2.0/24", "a reserved"),
        ("192.88.99.0/24", "a reserved"),
        ("198.51.100.0/24", "a reserved"),
        ("203.0.113.0/24", "a reserved"),
        ("224.0.0.0/4", "a multicast"),
        ("240.0.0.0/4", "a reserved"),
        ("::/128", "an unspecified"),
        ("::1/128", "a loopback"),
        ("fe80::/10", "a link-local"),
        ("fc00::/7", "a private"),
        ("fec0::/10", "a private"),
        ("64:ff9b:1::/48", "a private"),
        ("ff00::/8", "a multicast"),
        ("2001::/23", "a reserved"),
        ("2001:db8::/32", "a reserved"),
        ("3fff::/20", "a reserved"),
    )
)
# A list of our own: what `ipaddress` calls private differs between releases of Python.


def _kind(address: Address) -> str | None:
    """Return what kind of special address it is, with its article, or None for a public one."""
    for network, kind in _KINDS:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return "a reserved"
    return None
