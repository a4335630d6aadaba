"""Which addresses are connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address

import pytest
from aiohttp import ClientConnectorDNSError, ClientConnectorError, ClientSession
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from acteon.core import Action
from acteon.provider import AddressGuard, ProviderConfigurationError, ProviderError
from acteon.provider.guarded import (
    GuardedResolver,
    guarded_connector,
    host_refusal,
    with_plain_host,
)
from acteon.provider.testing import Receiver
from acteon.provider.webhook import WebhookProvider

Open = Callable[..., Awaitable[WebhookProvider]]

HOSTS = [
    ("127.0.0.1", "loopback"),
    ("127.1", "loopback"),
    ("127.0.1", "loopback"),
    ("2130706433", "loopback"),
    ("0x7f000001", "loopback"),
    ("0x7F.0.0.1", "loopback"),
    ("017700000001", "loopback"),
    ("0177.0.0.01", "loopback"),
    ("127.0.0.1.", "loopback"),
    ("127。0。0。1", "loopback"),
    ("\uff11\uff12\uff17.0.0.1", "loopback"),
    ("localhost", "loopback"),
    ("LOCALHOST", "loopback"),
    ("0.0.0.0", "unspecified"),
    ("0", "unspecified"),
    ("10.1.2.3", "private"),
    ("172.31.255.255", "private"),
    ("192.168.0.1", "private"),
    ("100.64.0.1", "private"),
    ("169.254.1.1", "link-local"),
    ("224.0.0.1", "multicast"),
    ("255.255.255.255", "reserved"),
    ("198.51.100.1", "reserved"),
    ("[::1]", "loopback"),
    ("[::]", "unspecified"),
    ("[::ffff:127.0.0.1]", "loopback"),
    ("[::ffff:7f00:1]", "loopback"),
    ("[::127.0.0.1]", "loopback"),
    ("[::ffff:0:127.0.0.1]", "loopback"),
    ("[2002:7f00:1::]", "loopback"),
    ("[2002:c0a8:1::1]", "private"),
    ("[64:ff9b::10.0.0.1]", "private"),
    ("[64:ff9b:1::1]", "private"),
    ("[fe80::1]", "link-local"),
    ("[fe80::1%251]", "link-local"),
    ("[fec0::1]", "private"),
    ("[fd12::1]", "private"),
    ("[ff02::1]", "multicast"),
    ("[2001:db8::1]", "reserved"),
    ("[64:ff9b:1::a00:1]", "private"),
    ("[64:ff9b:1::169.254.169.254]", "private"),
    ("[2001:0:1::1]", "reserved"),
    ("[2001:0:a9fe:a9fe::1]", "reserved"),
    ("[4000::1]", "reserved"),
    ("[2a00::5efe:10.0.0.1]", "private"),
    ("169.254.169.254", "cloud metadata"),
    ("2852039166", "cloud metadata"),
    ("[::ffff:169.254.169.254]", "cloud metadata"),
    ("[fd00:ec2::254]", "cloud metadata"),
    ("100.100.100.200", "cloud metadata"),
    ("168.63.129.16", "cloud metadata"),
]


@pytest.mark.parametrize(("host", "kind"), HOSTS)
async def test_a_special_address_is_refused_and_not_connected_to(
    webhook: Open, receiver: Receiver, action: Action, host: str, kind: str
) -> None:
    url = f"http://{host}:{receiver.port}/hook?token=hush"
    provider = await webhook(url=url, allow_networks=())
    for call in (provider.execute(action), provider.health_check()):
        with pytest.raises(ProviderConfigurationError) as refusal:
            await call
        text = str(refusal.value)
        assert text.startswith("invalid configuration: the host has ")
        assert kind in text
        assert "allow_networks" in text
        assert "hush" not in text
        assert not refusal.value.retryable
        assert refusal.value.delivery == "none"
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost", "[::ffff:127.0.0.1]"]
)
async def test_an_allowed_one_is_connected_to_in_every_spelling(
    webhook: Open, receiver: Receiver, action: Action, host: str
) -> None:
    provider = await webhook(
        url=f"http://{host}:{receiver.port}/hook", allow_networks=("127.0.0.0/8",)
    )
    await provider.execute(action)
    assert receiver.connections == 1


@pytest.mark.parametrize(
    ("address", "allowed", "passes"),
    [
        ("8.8.8.8", (), True),
        ("2a00:1450::1", (), True),
        ("2002:808:808::1", (), True),
        ("64:ff9b::8.8.8.8", (), True),
        ("10.0.0.1", ("10.0.0.0/8",), True),
        ("10.0.0.1", ("10.0.0.1",), True),
        ("10.0.0.2", ("10.0.0.1",), False),
        ("::ffff:10.0.0.1", ("10.0.0.0/8",), True),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("::1", ("127.0.0.0/8",), False),
        ("127.0.0.1", ("0.0.0.0/0",), True),
        ("169.254.169.254", ("0.0.0.0/0",), False),
        ("169.254.169.254", ("169.254.0.0/16",), False),
        ("169.254.169.254", ("169.254.169.254/31",), False),
        ("169.254.169.254", ("169.254.169.254",), True),
        ("::ffff:169.254.169.254", ("::/0",), False),
        ("fd00:ec2::254", ("fd00::/8",), False),
        ("fd00:ec2::254", ("fd00:ec2::254/128",), True),
        ("168.63.129.16", (), False),
        # The translator of a network: prefixes of 96, 48, 56 and 64 bits.
        ("64:ff9b:1::8.8.8.8", ("64:ff9b:1::/48",), True),
        ("64:ff9b:1::10.0.0.1", ("64:ff9b:1::/48",), False),
        ("64:ff9b:1::10.0.0.1", ("10.0.0.0/8",), False),
        ("64:ff9b:1::10.0.0.1", ("64:ff9b:1::/48", "10.0.0.0/8"), True),
        ("64:ff9b:1:ffff:ff:ff:a9fe:a9fe", ("64:ff9b:1::/48",), False),
        ("64:ff9b:1:a00:0:100::", ("64:ff9b:1::/48",), False),
        ("64:ff9b:1:a00:0:100::", ("64:ff9b:1::/48", "10.0.0.0/8"), True),
        ("64:ff9b:1:a9fe:a9:fe00::", ("::/0", "0.0.0.0/0"), False),
        ("64:ff9b:1:a9fe:a9:fe00:0:1", ("::/0", "0.0.0.0/0"), False),
        ("64:ff9b:1:5a9:fe:a9fe::", ("::/0", "0.0.0.0/0"), False),
        ("64:ff9b:1:505:a9:fea9:fe00:0", ("::/0", "0.0.0.0/0"), False),
        # Teredo: the server, and the client behind it, whose bits are inverted.
        ("2001:0:808:808:0:1:f7f7:f7f7", ("2001::/32",), True),
        ("2001:0:a00:1:0:1:f7f7:f7f7", ("2001::/32",), False),
        ("2001:0:808:808:0:1:f5ff:fffe", ("2001::/32",), False),
        ("2001:0:808:808:0:1:f5ff:fffe", ("2001::/32", "10.0.0.0/8"), True),
        ("2001:0:808:808:0:1:f5ff:fffe", ("10.0.0.0/8",), False),
        ("2001:0:a9fe:a9fe:0:1:f7f7:f7f7", ("::/0", "0.0.0.0/0"), False),
        ("2001:0:808:808:0:1:5601:5601", ("::/0", "0.0.0.0/0"), False),
    ],
)
def test_entries_allow_what_they_name(address: str, allowed: tuple[str, ...], passes: bool) -> None:
    assert (AddressGuard.from_texts(allowed).refusal(address) is None) is passes


@given(st.ip_addresses())
def test_a_guard_without_entries_lets_only_global_addresses_through(
    address: IPv4Address | IPv6Address,
) -> None:
    if AddressGuard().refusal(str(address)) is None:
        if isinstance(address, IPv6Address):  # Releases of Python differ on what wraps another.
            address = address.sixtofour or address.ipv4_mapped or address
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_all_its_spellings(address: IPv4Address) -> None:
    guard = AddressGuard()
    plain = host_refusal(guard, URL(f"http://{address}/"))
    number = int(address)
    for host in (str(number), hex(number), f"0{number:o}", f"{number >> 24}.{number & 0xFFFFFF}"):
        assert host_refusal(guard, with_plain_host(URL(f"http://{host}/"))) == plain
    for wrapped in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert guard.refusal(wrapped) == plain


class Names(AbstractResolver):
    """Gives each of `answers` once, in order."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in self.answers.pop(0)
        ]

    async def close(self) -> None:
        return


async def test_of_the_addresses_of_a_name_the_refused_ones_are_left_out() -> None:
    names = GuardedResolver(AddressGuard(), Names(["10.0.0.1", "8.8.8.8", "::1"]))
    assert [result["host"] for result in await names.resolve("h", 80)] == ["8.8.8.8"]


async def test_a_name_that_changes_to_a_special_address_is_refused() -> None:
    names = GuardedResolver(AddressGuard(), Names(["8.8.8.8"], ["127.0.0.1"]))
    await names.resolve("h", 80)
    with pytest.raises(ProviderConfigurationError, match="loopback"):
        await names.resolve("h", 80)


async def test_a_name_without_addresses_is_no_matter_of_the_guard() -> None:
    assert await GuardedResolver(AddressGuard(), Names([])).resolve("h", 80) == []


@pytest.mark.parametrize("host", ["a..b", ".example", "x" * 64])
async def test_what_cannot_be_looked_up_has_no_address(host: str) -> None:
    connector = guarded_connector(AddressGuard(), limit=1)
    async with ClientSession(connector=connector) as session:
        with pytest.raises(ClientConnectorDNSError, match="no name that can be looked up"):
            await session.get(f"http://{host}/")


async def test_the_connector_refuses_what_nobody_checked_before(receiver: Receiver) -> None:
    connector = guarded_connector(AddressGuard(), limit=1)
    async with ClientSession(connector=connector) as session:
        with pytest.raises(ClientConnectorError) as refusal:
            await session.get(receiver.url)
    assert "refused by the address guard" in str(refusal.value.os_error)
    assert receiver.connections == 0


async def test_a_refused_name_is_refused_for_all_who_asked_at_once(
    webhook: Open, receiver: Receiver, action: Action
) -> None:
    provider = await webhook(url=f"http://localhost:{receiver.port}/", allow_networks=())

    async def code() -> str:
        try:
            await provider.execute(action)
        except ProviderError as error:
            return error.code
        return "none"

    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(code()) for _ in range(10)]
    assert {call.result() for call in calls} == {"CONFIGURATION"}
