"""What an operator may say, and what is told about the rest."""

import re
from typing import Any

import pytest

from acteon.email import EmailConfig

LOGIN: dict[str, Any] = {"username": "shop", "password": "secret"}


def config(**keys: Any) -> EmailConfig:
    usual: dict[str, Any] = {"smtp_host": "mail.example.com", "from_address": "a@b.example"}
    return EmailConfig(**usual | keys)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"smtp_host": ""}, "'smtp_host' must be the name or address of a host, not ''"),
        ({"smtp_host": "a b"}, "'smtp_host' must be the name or address of a host, not 'a b'"),
        ({"smtp_port": 0}, "'smtp_port' must be from 1 to 65535, not 0"),
        ({"smtp_port": 70_000}, "'smtp_port' must be from 1 to 65535, not 70000"),
        ({"from_address": "shop"}, "'from_address' must be an address: 'shop' is none"),
        (
            {"from_address": "a@b, c@d"},
            "'from_address' must be an address: 'a@b, c@d' is more than one",
        ),
        (
            {"allowed_senders": ("@", "a@b")},
            "'allowed_senders' must list addresses, or @ with a domain: 'postmaster@' is none",
        ),
        ({"username": "shop"}, "'username' needs 'password', too"),
        ({"password": "secret"}, "'password' needs 'username', too"),
        ({"username": ""}, "'username' must be a text that is not empty, without NUL"),
        (
            LOGIN | {"smtp_password": "secret"},
            "'password' and 'smtp_password' are the same: give one of them",
        ),
        (
            LOGIN | {"tls": False},
            "credentials would go to mail.example.com unencrypted: turn 'tls' on, or set "
            "'allow_insecure_auth' to true",
        ),
        (
            LOGIN | {"tls_mode": "none"},
            "credentials would go to mail.example.com unencrypted: turn 'tls' on, or set "
            "'allow_insecure_auth' to true",
        ),
        (
            {"tls": False, "tls_mode": "implicit"},
            "'tls' is false, and 'tls_mode' is 'implicit': give one",
        ),
        ({"client_key_path": "x"}, "'client_key_path' needs 'client_cert_path', too"),
        ({"local_hostname": "a b"}, "'local_hostname' must be the name of a host, not 'a b'"),
        (
            {"timeout_seconds": 0},
            "'timeout_seconds' must be above 0 and at most 86400 seconds, not 0",
        ),
        ({"max_connections": 0}, "'max_connections' must be >= 1: 0"),
    ],
)
def test_what_cannot_be_used_is_told(keys: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        config(**keys)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "127.0.0.1", "127.9.9.9", "::1"])
def test_credentials_may_go_to_this_machine_in_clear(host: str) -> None:
    config(**LOGIN, smtp_host=host, tls=False)


def test_credentials_may_go_anywhere_if_the_operator_wants_it() -> None:
    config(**LOGIN, tls=False, allow_insecure_auth=True)


@pytest.mark.parametrize("key", ["password", "smtp_password"])
def test_no_password_is_shown(key: str) -> None:
    found = config(**{"username": "shop", key: "hunter2"})
    assert found.secret == "hunter2"
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("peer", "encrypted", "leave", "may"),
    [
        ("192.0.2.1", True, False, True),
        ("192.0.2.1", False, False, False),
        ("192.0.2.1", False, True, True),
        ("2001:db8::1", False, False, False),
        ("127.0.0.1", False, False, True),
        ("::1", False, False, True),
        ("::ffff:127.0.0.1", False, False, True),
        ("::ffff:192.0.2.1", False, False, False),
    ],
)
def test_the_connection_decides_whether_credentials_go_over_it(
    peer: str, encrypted: bool, leave: bool, may: bool
) -> None:
    found = config(**LOGIN, tls_mode="opportunistic", allow_insecure_auth=leave)
    assert found.may_log_in(peer, encrypted=encrypted) is may


@pytest.mark.parametrize(
    ("host", "server"), [("mail.example.com", "mail.example.com:587"), ("::1", "[::1]:587")]
)
def test_the_server_is_shown_with_its_port(host: str, server: str) -> None:
    assert config(smtp_host=host).server == server
