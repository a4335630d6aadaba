"""What an operator says about the database."""

import re
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final

from attrs import Attribute, field, frozen
from attrs.validators import ge
from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict

_LONGEST: Final = 3600.0
_MOST_LETTERS: Final = 40
"""Of a prefix: PostgreSQL cuts names at 63, and this leaves room for what follows."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_URL: Final = "a URL such as postgres://user:password@host:5432/database"
_UNREADABLE: Final = (
    "percent-encode special characters of the user and the password, and use none but libpq's "
    "parameters after a '?'"
)
_WANTED: Final = "acteon.wanted"
"""Metadata: what is told of a key whose value is not, as it may be a secret."""


def _is_postgres_url(_: object, attribute: "Attribute[str]", value: str) -> None:
    # The texts do not show the value, nor the driver's, which quotes it: it holds a password.
    if not value.startswith(("postgres://", "postgresql://")):
        raise ValueError(f"'{attribute.name}' must be {_URL}")
    try:
        ports = str(conninfo_to_dict(value).get("port", "")).split(",")
    except (ProgrammingError, UnicodeError):
        raise ValueError(
            f"'{attribute.name}' must be {_URL}; {_unknown_parameter(value) or _UNREADABLE}"
        ) from None
    if not all(port == "" or (port.isdecimal() and 0 < int(port) < 65536) for port in ports):
        raise ValueError(f"'{attribute.name}' must be {_URL}; its port is no number up to 65535")


def _unknown_parameter(url: str) -> str | None:
    """Return what to say of the parameter of `url` that libpq does not know, if there is one."""
    query = url.partition("?")[2]
    if "@" in query:
        return None  # It may be the end of a password, which is not shown.
    known = [one.keyword.decode() for one in pq.Conninfo.get_defaults()]
    for parameter in query.split("&"):
        name = parameter.partition("=")[0]
        if name.isidentifier() and name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            return f"libpq has no parameter {name!r}{hint}"
    return None


def _is_name(_: object, attribute: "Attribute[str]", value: str) -> None:
    if not _NAME.fullmatch(value) or len(value) > _MOST_LETTERS:
        raise ValueError(
            f"'{attribute.name}' must be at most {_MOST_LETTERS} letters, digits and '_', no digit "
            f"first: {value!r}"
        )


def _is_span(_: object, attribute: "Attribute[float]", value: float) -> None:
    if not 0 < value <= _LONGEST:
        raise ValueError(
            f"'{attribute.name}' must be above 0 and at most {_LONGEST:.0f} seconds: {value:g}"
        )


def seconds(default: float) -> Any:
    """Return a field for a time of at most an hour."""
    return field(default=default, validator=_is_span)


def _folded(name: str) -> str:
    """Return `name` as PostgreSQL takes it where it is not quoted."""
    return name.lower()


@frozen(kw_only=True)
class PostgresConfig:
    """Where a database is, and the limits of those who use it.

    Attributes:
        url: `postgres://user:password@host:5432/database`, with libpq's parameters after a `?`.
        prefix: What the names of our tables and functions begin with.
        schema: The schema that they are in.
        pool_size: Connections at the most.
        connect_timeout_seconds: The time for connecting to one host, and for waiting until a
            connection is free.
        command_timeout_seconds: The time for one statement.
    """

    url: str = field(validator=_is_postgres_url, repr=False, metadata={_WANTED: _URL})
    prefix: str = field(default="acteon_", validator=_is_name, converter=_folded)
    schema: str = field(default="public", validator=_is_name, converter=_folded)
    pool_size: int = field(default=10, validator=ge(1))
    connect_timeout_seconds: float = seconds(2.0)
    command_timeout_seconds: float = seconds(3.0)

    @property
    def connect_timeout(self) -> timedelta:
        """The time for connecting."""
        return timedelta(seconds=self.connect_timeout_seconds)

    @property
    def command_timeout(self) -> timedelta:
        """The time for one statement."""
        return timedelta(seconds=self.command_timeout_seconds)


@frozen(kw_only=True)
class PostgresStateConfig(PostgresConfig):
    """The keys of `[state]` with `backend = "postgres"`.

    Attributes:
        url: Where the database is: `postgres://user:password@host:5432/database`, with libpq's
            parameters after a `?`, such as `sslmode=verify-full`; several hosts by commas.
        prefix: What the names of our tables and functions begin with; `_` is added unless it
            ends with one. `acteon` gives the tables `acteon_state` and `acteon_locks`.
        schema: The schema that they are in; it must exist.
        pool_size: Connections at the most, per process; they are opened as they are needed.
        connect_timeout_seconds: The time for connecting to one host, and for waiting until a
            connection is free.
        command_timeout_seconds: The time for one statement. Then its connection is closed; what
            became of the statement is unknown.
        sweep_interval_seconds: The time between two removals of what has expired.
    """

    sweep_interval_seconds: float = seconds(60.0)

    @property
    def sweep_interval(self) -> timedelta:
        """The time between two removals of what has expired."""
        return timedelta(seconds=self.sweep_interval_seconds)
