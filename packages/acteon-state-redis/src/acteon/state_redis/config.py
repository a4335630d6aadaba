"""What an operator says about Redis."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from attrs import Attribute, field, frozen
from attrs.validators import and_, ge, gt, le, min_len

from acteon.state_redis.urls import Place, parse_url

_WANTED = "acteon.wanted"
"""Metadata: what is told of a key whose value is not, as it may be a secret."""
_URL = "a URL such as redis://redis.example:6379/0"
_CREDENTIAL = "a text"
_LONGEST: Final = timedelta(minutes=5)


def _is_url(_: object, attribute: "Attribute[str]", value: str) -> None:
    try:
        parse_url(value)
    except ValueError as error:
        raise ValueError(f"'{attribute.name}' {error}") from None


_is_span = and_(gt(timedelta(0)), le(_LONGEST))


@frozen(kw_only=True)
class RedisStateConfig:
    """The keys of `[state]` with `backend = "redis"`.

    Attributes:
        url: Where Redis is, see `acteon.state_redis.urls`; credentials may be part of it.
        prefix: What all names in Redis begin with, before a colon.
        username: Who we are, for servers with access control lists.
        password: Our password.
        sentinel_username: Who we are to the Sentinels.
        sentinel_password: Our password there.
        connections: How many connections are open at the most, to each server.
        connect_timeout: How long connecting may take.
        command_timeout: How long a server may take to answer. No call takes longer than both.
        tls_ca_file: Certificates that servers may be certified by, in the place of the system's.
        tls_cert_file: Our own certificate, for servers that ask for one.
        tls_key_file: Its key.
        tls_verify: Whether servers must have a valid certificate for their name.
    """

    url: str = field(
        default="redis://127.0.0.1:6379", validator=_is_url, repr=False, metadata={_WANTED: _URL}
    )
    prefix: str = field(default="acteon", validator=min_len(1))
    username: str | None = None
    password: str | None = field(default=None, repr=False, metadata={_WANTED: _CREDENTIAL})
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False, metadata={_WANTED: _CREDENTIAL})
    connections: int = field(default=4, validator=ge(1))
    connect_timeout: timedelta = field(default=timedelta(seconds=2), validator=_is_span)
    command_timeout: timedelta = field(default=timedelta(seconds=2), validator=_is_span)
    tls_ca_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_verify: bool = True

    @property
    def place(self) -> Place:
        """Where Redis is."""
        return parse_url(self.url)

    def __attrs_post_init__(self) -> None:
        place = self.place
        for name in ("username", "password"):
            if getattr(self, name) is not None and getattr(place, name) is not None:
                raise ValueError(f"'{name}' is set, and 'url' has one, too")
        if self.tls_key_file is not None and self.tls_cert_file is None:
            raise ValueError("'tls_key_file' is of no use without 'tls_cert_file'")
        told = (self.tls_ca_file, self.tls_cert_file, self.tls_key_file)
        if not place.tls and (any(told) or not self.tls_verify):
            raise ValueError("'tls_…' keys are set, but 'url' does not begin with rediss")
