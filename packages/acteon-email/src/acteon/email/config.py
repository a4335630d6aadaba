"""What an operator says about a mail server."""

import ipaddress
import re
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from attrs import Attribute, field, frozen
from attrs.validators import ge

from acteon.email.addresses import parse_mailbox

TlsMode = Literal["none", "starttls", "implicit", "opportunistic"]

_LONGEST = 86_400.0
_IMPLICIT_PORT = 465
_HOST = re.compile(
    r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?|[0-9a-fA-F:.]+(?:%\w+)?", re.ASCII
)
_HELO = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[A-Za-z0-9:.]+\]", re.ASCII)
_WANTED = "acteon.wanted"
"""Metadata: what is told of a key whose value is not, as it may be a secret."""
_CREDENTIAL = {_WANTED: "a text that is not empty, without NUL"}


def _is_host(_: object, attribute: "Attribute[str]", value: str) -> None:
    if not _HOST.fullmatch(value):
        raise ValueError(f"'{attribute.name}' must be the name or address of a host, not {value!r}")


def _is_port(_: object, attribute: "Attribute[int]", value: int) -> None:
    if not 1 <= value <= 65_535:
        raise ValueError(f"'{attribute.name}' must be from 1 to 65535, not {value}")


def _is_sender(_: object, attribute: "Attribute[str]", value: str) -> None:
    try:
        parse_mailbox(value)
    except ValueError as error:
        raise ValueError(f"'{attribute.name}' must be an address: {error}") from None


def _are_senders(
    _: object, attribute: "Attribute[tuple[str, ...]]", value: tuple[str, ...]
) -> None:
    try:
        for each in value:
            allowed_sender(each)
    except ValueError as error:
        raise ValueError(
            f"'{attribute.name}' must list addresses, or @ with a domain: {error}"
        ) from None


def _is_credential(_: object, attribute: "Attribute[str | None]", value: str | None) -> None:
    if value is not None and (not value or "\0" in value):
        raise ValueError(f"'{attribute.name}' must be {_CREDENTIAL[_WANTED]}")


def _is_helo(_: object, attribute: "Attribute[str | None]", value: str | None) -> None:
    if value is not None and not _HELO.fullmatch(value):
        raise ValueError(f"'{attribute.name}' must be the name of a host, not {value!r}")


def _is_span(_: object, attribute: "Attribute[float]", value: float) -> None:
    if not 0 < value <= _LONGEST:
        raise ValueError(
            f"'{attribute.name}' must be above 0 and at most {_LONGEST:.0f} seconds, not {value:g}"
        )


def _span(default: float) -> Any:
    return field(default=default, validator=_is_span)


@frozen(kw_only=True)
class EmailConfig:
    """The keys of a `[[providers]]` of type `email`.

    Attributes:
        smtp_host: The mail server.
        smtp_port: Its port.
        from_address: Who mails are from: `noreply@example.com` or `Shop <noreply@example.com>`.
        allowed_senders: Who else a payload may name in `from`: addresses, or `@example.com` for
            all of a domain.
        username: For SMTP AUTH; needs a password, too.
        password: For SMTP AUTH; needs a user name, too.
        smtp_password: Another name of `password`.
        tls: Whether the connection is encrypted: with TLS from the start on port 465, on any other
            after STARTTLS, without which nothing is sent.
        tls_mode: More exactly than `tls`: `"none"`, `"starttls"`, `"implicit"` (TLS from the
            start), or `"opportunistic"` (STARTTLS if the server offers it).
        verify: Whether the server's certificate must be valid and name `smtp_host`.
        ca_cert_path: Who is trusted to certify the server, instead of the system's authorities.
        client_cert_path: What we show the server, with its key unless that is in another file.
        client_key_path: The key of that certificate.
        allow_insecure_auth: Whether credentials may be sent unencrypted to another machine.
        local_hostname: What this machine calls itself in EHLO; without it, its host name if that
            has a domain, else its address.
        allow_partial: Whether a message goes to those recipients that the server accepts if it
            refuses others; otherwise one refusal means that nobody gets it.
        timeout_seconds: The time for one attempt, all included. It must lie below the limit of
            the caller (`[executor] timeout_seconds`): only this one knows how far the attempt came.
        connect_timeout_seconds: The part of it that connecting, TLS and AUTH may take.
        command_timeout_seconds: How long the server may take to answer any command but the
            message itself.
        max_connections: Connections at a time; further mails wait, within their time.
        idle_seconds: How long a connection is kept for the next mail.
        max_recipients: How many recipients one mail may have.
        max_message_bytes: How long a message may be as it is sent; attachments grow by 37 %.
        email_backend: There is only this one.
    """

    smtp_host: str = field(validator=_is_host)
    from_address: str = field(validator=_is_sender)
    smtp_port: int = field(default=587, validator=_is_port)
    username: str | None = field(default=None, validator=_is_credential, metadata=_CREDENTIAL)
    password: str | None = field(
        default=None, validator=_is_credential, repr=False, metadata=_CREDENTIAL
    )
    smtp_password: str | None = field(
        default=None, validator=_is_credential, repr=False, metadata=_CREDENTIAL
    )
    tls: bool = True
    tls_mode: TlsMode | None = None
    verify: bool = True
    ca_cert_path: Path | None = None
    client_cert_path: Path | None = None
    client_key_path: Path | None = None
    allow_insecure_auth: bool = False
    local_hostname: str | None = field(default=None, validator=_is_helo)
    allowed_senders: tuple[str, ...] = field(default=(), validator=_are_senders)
    allow_partial: bool = False
    timeout_seconds: float = _span(20.0)
    connect_timeout_seconds: float = _span(10.0)
    command_timeout_seconds: float = _span(10.0)
    max_connections: int = field(default=10, validator=ge(1))
    idle_seconds: float = _span(60.0)
    max_recipients: int = field(default=100, validator=ge(1))
    max_message_bytes: int = field(default=10_485_760, validator=ge(1024))
    email_backend: Literal["smtp"] = "smtp"

    def __attrs_post_init__(self) -> None:
        if self.password is not None and self.smtp_password is not None:
            raise ValueError("'password' and 'smtp_password' are the same: give one of them")
        if (self.username is None) != (self.secret is None):
            given, missing = ("password", "username") if self.secret else ("username", "password")
            raise ValueError(f"'{given}' needs '{missing}', too")
        if not self.tls and self.tls_mode not in (None, "none"):
            raise ValueError(f"'tls' is false, and 'tls_mode' is {self.tls_mode!r}: give one")
        if self.client_key_path is not None and self.client_cert_path is None:
            raise ValueError("'client_key_path' needs 'client_cert_path', too")
        encrypted = self.security != "none"  # or, if that is open, the connection will tell
        if self.username is not None and not self.may_log_in(self.smtp_host, encrypted=encrypted):
            raise ValueError(
                f"credentials would go to {self.smtp_host} unencrypted: turn 'tls' on, or set "
                "'allow_insecure_auth' to true"
            )

    @property
    def secret(self) -> str | None:
        """The password."""
        return self.smtp_password if self.password is None else self.password

    @property
    def security(self) -> TlsMode:
        """How the connection is encrypted."""
        if self.tls_mode is not None:
            return self.tls_mode
        if not self.tls:
            return "none"
        return "implicit" if self.smtp_port == _IMPLICIT_PORT else "starttls"

    @property
    def server(self) -> str:
        """Host and port, for texts."""
        host = f"[{self.smtp_host}]" if ":" in self.smtp_host else self.smtp_host
        return f"{host}:{self.smtp_port}"

    def may_log_in(self, peer: str, *, encrypted: bool) -> bool:
        """Return whether credentials may go over a connection to the host or address `peer`."""
        return encrypted or self.allow_insecure_auth or _is_this_machine(peer)

    @property
    def timeout(self) -> timedelta:
        """The time for one attempt."""
        return timedelta(seconds=self.timeout_seconds)

    @property
    def connect_timeout(self) -> timedelta:
        """The time for connecting."""
        return timedelta(seconds=self.connect_timeout_seconds)

    @property
    def command_timeout(self) -> timedelta:
        """The time for one command."""
        return timedelta(seconds=self.command_timeout_seconds)

    @property
    def idle_time(self) -> timedelta:
        """How long a connection is kept."""
        return timedelta(seconds=self.idle_seconds)


def _is_this_machine(host: str) -> bool:
    """Return whether `host` is an address of this machine alone, or its name `localhost`."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def allowed_sender(text: str) -> str:
    """Return the address or `@domain` that `text` allows, as mailboxes have it.

    Raises:
        ValueError: It is neither.
    """
    if text.startswith("@"):
        return f"@{parse_mailbox(f'postmaster{text}').domain}"
    return parse_mailbox(text).address


def own_name(address: str) -> str:
    """Return what this machine calls itself in EHLO if nobody says, without asking the network.

    Args:
        address: Its end of the connection.
    """
    name = socket.gethostname()
    if "." in name and _HELO.fullmatch(name):
        return name
    plain = address.partition("%")[0]
    return f"[IPv6:{plain}]" if ":" in plain else f"[{plain}]"
