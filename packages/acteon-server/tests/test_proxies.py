"""Where a request comes from: what proxies of ours say, and nobody else."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.audit import AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.server.config import ServerSection, parse_config
from acteon.server.http.proxies import Proxies
from acteon.server.testing import OpenApi

PROXIES = Proxies.within(["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"])
ACTION: dict[str, Any] = {
    "id": "a1",
    "namespace": "shop",
    "tenant": "t1",
    "provider": "email",
    "action_type": "send_email",
    "payload": {},
}


def scope(peer: str | None, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", one.encode("latin-1")) for one in forwarded]
    return {"client": peer and (peer, 40123), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", (), ("203.0.113.9", 40123)),
        ("203.0.113.9", ("198.51.100.1",), ("203.0.113.9", 40123)),
        ("10.0.0.1", (), ("10.0.0.1", 40123)),
        ("10.0.0.1", ("198.51.100.1",), ("198.51.100.1", 0)),
        ("::ffff:10.0.0.1", ("198.51.100.1",), ("198.51.100.1", 0)),
        ("10.0.0.1", ("1.1.1.1, 198.51.100.1, 10.2.3.4",), ("198.51.100.1", 0)),
        ("10.0.0.1", ("1.1.1.1", "198.51.100.1,10.2.3.4"), ("198.51.100.1", 0)),
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), ("10.0.0.3", 0)),
        ("10.0.0.1", ("198.51.100.1:5123",), ("198.51.100.1", 0)),
        ("10.0.0.1", ("[2001:db8::7]:5123",), ("2001:db8::7", 0)),
        ("10.0.0.1", ("2001:db8::7",), ("2001:db8::7", 0)),
        ("fd00::1", ("198.51.100.1",), ("198.51.100.1", 0)),
        ("10.0.0.1", ("198.51.100.1, unknown, 10.0.0.2",), ("10.0.0.2", 0)),
        ("10.0.0.1", ("",), ("10.0.0.1", 40123)),
        ("a unix socket", ("198.51.100.1",), ("a unix socket", 40123)),
        (None, ("198.51.100.1",), None),
    ],
)
def test_only_what_proxies_wrote_is_believed(
    peer: str | None, forwarded: tuple[str, ...], client: tuple[str, int] | None
) -> None:
    assert PROXIES.client(scope(peer, *forwarded)) == client


@given(st.lists(st.text(st.characters(max_codepoint=255)), max_size=5))
def test_whatever_a_client_writes_it_is_seen_as_who_it_is(made_up: list[str]) -> None:
    assert PROXIES.client(scope("10.0.0.1", *made_up, "198.51.100.1")) == ("198.51.100.1", 0)


async def test_the_audit_trail_tells_where_a_request_comes_from(open_api: OpenApi) -> None:
    trail = AuditTrail(MemoryAuditStore())
    believed = ServerSection(trusted_proxies=("127.0.0.0/8",))
    async with open_api(audit=trail, server=believed) as api:
        answer = await api.send("POST", "/v1/dispatch", ACTION, x_forwarded_for="198.51.100.1")
        assert answer.status == 200
        record = await trail.latest("a1")
    assert record is not None
    assert json.loads(record.verdict_details)["caller_address"] == "198.51.100.1"


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(Exception, match="trusted_proxies: must hold networks, such as"):
        parse_config('[server]\ntrusted_proxies = ["proxy.example.com"]')
    with pytest.raises(Exception, match=re.escape("for '10.0.0.1/8' write '10.0.0.0/8'")):
        parse_config('[server]\ntrusted_proxies = ["10.0.0.1/8"]')
