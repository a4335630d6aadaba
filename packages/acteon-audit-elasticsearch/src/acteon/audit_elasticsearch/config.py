"""What an operator says about the cluster."""

import re
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

from attrs import Attribute, field, frozen
from attrs.validators import and_, ge, le

_LONGEST: Final = 3600.0
_PREFIX: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:@/?#,%]+)(?::([0-9]{1,5}))?", re.ASCII)
_PORT: Final = 9200
_URL: Final = "a URL such as https://user:password@host:9200"
_WANTED: Final = "acteon.wanted"
"""Metadata: what is told of a key whose value is not, as it may be a secret."""


@frozen(kw_only=True)
class Address:
    """Where the nodes of the cluster listen, and who asks.

    Attributes:
        nodes: The URL of each node, without credentials.
        user: Who asks; None: nobody in particular.
        password: The password of the user.
    """

    nodes: tuple[str, ...]
    user: str | None
    password: str = field(repr=False)

    @property
    def where(self) -> str:
        """The nodes, for messages: not as the URL has them, which may be a secret."""
        return ", ".join(node.partition("://")[2] for node in self.nodes)

    @property
    def secure(self) -> bool:
        """Whether connections are encrypted."""
        return self.nodes[0].startswith("https:")

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return the address that `url` names: several hosts are separated by commas.

        Raises:
            ValueError: It names none; the text says what is wanted, and does not show the URL.
        """
        wanted = f"must be {_URL}"
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ValueError(wanted) from None
        if parts.scheme not in {"http", "https"}:
            raise ValueError(wanted)
        if parts.query or parts.fragment:
            raise ValueError(f"{wanted}, without anything after a '?' or '#'")
        credentials, _, hosts = parts.netloc.rpartition("@")
        user, _, password = credentials.partition(":")
        path = parts.path.rstrip("/")
        nodes: list[str] = []
        for text in hosts.split(","):
            found = _HOST.fullmatch(text)
            port = int((found and found[2]) or _PORT)
            if found is None or not 0 < port < 65536:
                raise ValueError(wanted)
            nodes.append(f"{parts.scheme}://{found[1]}:{port}{path}")
        return cls(
            nodes=tuple(dict.fromkeys(nodes)),
            user=unquote(user) or None,
            password=unquote(password),
        )


def _is_address(_: object, attribute: "Attribute[str]", value: str) -> None:
    try:
        Address.from_url(value)
    except ValueError as error:
        # The text does not show the value: it may hold a password.
        raise ValueError(f"'{attribute.name}' {error}") from None


def _is_prefix(_: object, attribute: "Attribute[str]", value: str) -> None:
    if not _PREFIX.fullmatch(value):
        raise ValueError(
            f"'{attribute.name}' must be at most 64 small letters, digits, '_' and '-', a letter "
            f"first: {value!r}"
        )


def _is_span(_: object, attribute: "Attribute[float]", value: float) -> None:
    if not 0 < value <= _LONGEST:
        raise ValueError(
            f"'{attribute.name}' must be above 0 and at most {_LONGEST:.0f} seconds: {value:g}"
        )


def _secret() -> Any:
    return field(default=None, repr=False, metadata={_WANTED: "a text"})


@frozen(kw_only=True)
class ElasticsearchAuditConfig:
    """The keys of `[audit]` with `backend = "elasticsearch"` that are the backend's own.

    Attributes:
        url: Where the cluster is: `https://user:password@host:9200`; several hosts by commas, and
            a path if there is one.
        prefix: What the names of our indices begin with; `_` is added unless it ends with one.
            `acteon` gives the index `acteon_audit`.
        username: Who asks, if not who is in the URL.
        password: The password of that user, if not that of the URL.
        api_key: An encoded API key, in place of a user.
        tls_ca_file: Certificates that the nodes may be certified by, in place of the usual ones.
        tls_verify: Whether the nodes must have a valid certificate for their name.
        pool_size: Connections at the most, per process and node; they are opened as needed.
        command_timeout_seconds: The time for one request, connecting included. Then it has
            failed; whether it was carried out is unknown.
    """

    url: str = field(validator=_is_address, repr=False, metadata={_WANTED: _URL})
    prefix: str = field(default="acteon_", validator=_is_prefix)
    username: str | None = None
    password: str | None = _secret()
    api_key: str | None = _secret()
    tls_ca_file: Path | None = None
    tls_verify: bool = True
    pool_size: int = field(default=5, validator=and_(ge(1), le(100)))
    command_timeout_seconds: float = field(default=10.0, validator=_is_span)

    def __attrs_post_init__(self) -> None:
        if self.api_key is not None and self.user is not None:
            raise ValueError("'api_key' is set, and a user as well: one of them must go")
        if self.password is not None and self.user is None:
            raise ValueError("'password' is of no use without 'username'")
        if not self.address.secure and (self.tls_ca_file is not None or not self.tls_verify):
            raise ValueError("'tls_…' keys are set, but 'url' does not begin with https")

    @property
    def address(self) -> Address:
        """Where the nodes are."""
        return Address.from_url(self.url)

    @property
    def user(self) -> tuple[str, str] | None:
        """Who asks, and the password."""
        named = self.address
        name = self.username or named.user
        if name is None:
            return None
        return name, named.password if self.password is None else self.password
