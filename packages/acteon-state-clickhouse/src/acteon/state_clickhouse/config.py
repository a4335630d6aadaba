"""What an operator says about the server."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import Attribute, evolve, field, frozen
from attrs.validators import and_, ge, le, optional

from acteon.core import ConfigError

_LONGEST: Final = 3600.0
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_URL: Final = "a URL such as clickhouse://user:password@host:9000/database"
_WANTED: Final = "acteon.wanted"
"""Metadata: what is told of a key whose value is not, as it may be a secret."""
_HTTP_PORTS: Final = {"http": 8123, "https": 8443}
_NATIVE_PORTS: Final = {"clickhouse": 9000, "http": 9000, "clickhouses": 9440, "https": 9440}
_SECURE: Final = frozenset({"clickhouses", "https"})


@frozen(kw_only=True)
class Address:
    """Where the server listens for the native protocol, and who asks.

    Attributes:
        host: The server's name or address.
        port: The port of the native protocol.
        secure: Whether it is encrypted.
        user: Who asks.
        password: The password of the user.
        database: The database of the tables.
        was_http: Whether the URL named HTTP, whose port this is not.
    """

    host: str
    port: int
    secure: bool
    user: str
    password: str = field(repr=False)
    database: str
    was_http: bool

    @property
    def where(self) -> str:
        """The address, for messages."""
        return f"{self.host}:{self.port}/{self.database}"

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return the address that `url` names.

        Raises:
            ValueError: It names none; the text says what is wanted, and does not show the URL.
        """
        wanted = f"must be {_URL}"
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme, parts.hostname, parts.port
        except ValueError:
            raise ValueError(wanted) from None
        if scheme not in _NATIVE_PORTS or not host or port == 0:
            raise ValueError(wanted)
        if parse_qsl(parts.query, keep_blank_values=True) or parts.fragment:
            raise ValueError(f"{wanted}, without anything after a '?' or '#'")
        database = unquote(parts.path.removeprefix("/")) or "default"
        if not _NAME.fullmatch(database):
            raise ValueError(f"{wanted}; the database's name has letters, digits and '_' only")
        was_http = scheme in _HTTP_PORTS
        return cls(
            host=host,
            port=_NATIVE_PORTS[scheme] if was_http or port is None else port,
            secure=scheme in _SECURE,
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            database=database,
            was_http=was_http,
        )


def _is_address(_: object, attribute: "Attribute[str]", value: str) -> None:
    try:
        Address.from_url(value)
    except ValueError as error:
        # The text does not show the value: it may hold a password.
        raise ValueError(f"'{attribute.name}' {error}") from None


def _check_http_port(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in _HTTP_PORTS or parts.port in {None, _HTTP_PORTS[parts.scheme]}:
        return
    native = "clickhouses" if parts.scheme in _SECURE else "clickhouse"
    # Neither host nor port: a text that repeats what a URL holds is not shown to anybody.
    raise ValueError(
        f"'url' names a port of HTTP, not {_HTTP_PORTS[parts.scheme]}; the native protocol is "
        f"spoken here: write {native}://HOST:PORT with the port of that, mostly "
        f"{_NATIVE_PORTS[parts.scheme]}"
    )


def _is_name(_: object, attribute: "Attribute[str]", value: str) -> None:
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"'{attribute.name}' must be at most 64 letters, digits and '_', no digit first: "
            f"{value!r}"
        )


def _is_span(_: object, attribute: "Attribute[float]", value: float) -> None:
    if not 0 < value <= _LONGEST:
        raise ValueError(
            f"'{attribute.name}' must be above 0 and at most {_LONGEST:.0f} seconds: {value:g}"
        )


def name(default: str) -> Any:
    """Return the field of what is part of a name."""
    return field(default=default, validator=_is_name)


def seconds(default: float) -> Any:
    """Return the field of a time limit."""
    return field(default=default, validator=_is_span)


@frozen(kw_only=True)
class ClickHouseConfig:
    """How to reach a server; what uses it for something has further keys.

    Attributes:
        url: Where the server is: `clickhouse://user:password@host:9000/database`, or
            `clickhouses://` with TLS. `http://host:8123` means the native port of that host.
        database: The database of the tables, if not that of the URL; it must exist.
        username: Who asks, if not who is in the URL.
        password: The password of that user, if not that of the URL.
        tls_ca_file: Certificates that the server may be certified by, in the place of the
            usual ones.
        tls_cert_file: Our own certificate, for servers that ask for one.
        tls_key_file: Its key.
        tls_verify: Whether the server must have a valid certificate for its name.
        prefix: What the names of the tables begin with; `_` is added unless it ends with one.
        pool_size: Statements at a time at the most, per process.
        connect_timeout_seconds: The time for connecting.
        command_timeout_seconds: The time until a statement is answered. Then it fails; whether
            it was carried out is unknown.
    """

    url: str = field(validator=_is_address, repr=False, metadata={_WANTED: _URL})
    database: str | None = field(default=None, validator=optional(_is_name))
    username: str | None = None
    password: str | None = field(default=None, repr=False, metadata={_WANTED: "a text"})
    tls_ca_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_verify: bool = True
    prefix: str = name("acteon")
    pool_size: int = field(default=8, validator=and_(ge(1), le(128)))
    connect_timeout_seconds: float = seconds(2.0)
    command_timeout_seconds: float = seconds(3.0)

    def __attrs_post_init__(self) -> None:
        # Not by the validator of 'url', whose text is replaced by what is wanted.
        _check_http_port(self.url)
        if self.tls_key_file is not None and self.tls_cert_file is None:
            raise ValueError("'tls_key_file' is of no use without 'tls_cert_file'")
        if not Address.from_url(self.url).secure and (any(self.tls_files) or not self.tls_verify):
            raise ValueError(
                "'tls_…' keys are set, but 'url' does not begin with clickhouses or https"
            )

    @property
    def tls_files(self) -> tuple[Path | None, ...]:
        """The files for TLS: authorities, certificate, key."""
        return self.tls_ca_file, self.tls_cert_file, self.tls_key_file

    @property
    def address(self) -> Address:
        """Where the server is, and who asks."""
        named = Address.from_url(self.url)
        return evolve(
            named,
            user=self.username or named.user,
            password=named.password if self.password is None else self.password,
            database=self.database or named.database,
        )

    @property
    def patience(self) -> timedelta:
        """How long one statement may take in all, waiting for its turn included."""
        return timedelta(seconds=self.connect_timeout_seconds + self.command_timeout_seconds)

    def check_files(self) -> None:
        """Raise `ConfigError` if a file that is named is none."""
        for path in self.tls_files:
            if path is not None and not path.is_file():
                raise ConfigError(f"clickhouse: a 'tls_…' key names {path}, which is no file")


@frozen(kw_only=True)
class ClickHouseStateConfig(ClickHouseConfig):
    """The keys of `[state]` with `backend = "clickhouse"`: those of the server, and these.

    Attributes:
        allow_weak_locks: Whether locks may be what ClickHouse can give. Without it the backend
            is not opened.
        sweep_interval_seconds: The time between two removals of what has expired.
    """

    url: str = field(
        default="clickhouse://localhost:9000",
        validator=_is_address,
        repr=False,
        metadata={_WANTED: _URL},
    )
    allow_weak_locks: bool = False
    sweep_interval_seconds: float = seconds(600.0)

    @property
    def sweep_interval(self) -> timedelta:
        """The time between two removals of what has expired."""
        return timedelta(seconds=self.sweep_interval_seconds)
