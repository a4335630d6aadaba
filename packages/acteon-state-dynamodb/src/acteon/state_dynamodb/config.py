"""What an operator says about the table."""

import re
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen
from attrs.validators import and_, ge, le

_LONGEST: Final = 3600.0
_TABLE: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}", re.ASCII)
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_REGION: Final = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)


def _is_address(_: object, attribute: "Attribute[str | None]", value: str | None) -> None:
    if value is None:
        return
    wanted = f"'{attribute.name}' must be a URL such as http://localhost:8000"
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(wanted) from None
    if "@" in parts.netloc:
        # The text does not show the value: it may hold a password.
        raise ValueError(
            f"{wanted}, without credentials: those come from the environment, as with all of AWS"
        )
    if not usable or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(f"{wanted}: {value!r}")


def _is_table(_: object, attribute: "Attribute[str]", value: str) -> None:
    if not _TABLE.fullmatch(value):
        raise ValueError(
            f"'{attribute.name}' must be 3 to 255 letters, digits and '_', '-', '.': {value!r}"
        )


def _is_prefix(_: object, attribute: "Attribute[str]", value: str) -> None:
    if not _PREFIX.fullmatch(value):
        raise ValueError(
            f"'{attribute.name}' must be at most 64 letters, digits and '_', '-', '.': {value!r}"
        )


def _is_region(_: object, attribute: "Attribute[str]", value: str) -> None:
    if not _REGION.fullmatch(value):
        raise ValueError(f"'{attribute.name}' must be a region such as eu-central-1: {value!r}")


def _is_span(_: object, attribute: "Attribute[float]", value: float) -> None:
    if not 0 < value <= _LONGEST:
        raise ValueError(
            f"'{attribute.name}' must be above 0 and at most {_LONGEST:.0f} seconds: {value:g}"
        )


def _seconds(default: float) -> Any:
    return field(default=default, validator=_is_span)


@frozen(kw_only=True)
class DynamoDBStateConfig:
    """The keys of `[state]` with `backend = "dynamodb"`.

    Attributes:
        url: Where DynamoDB is, if it is not the region's public endpoint: DynamoDB Local, or a
            VPC endpoint. With it, made-up credentials are used if none are found.
        region: The AWS region of the table.
        table_name: The table.
        prefix: What all its partition keys begin with; fleets that share a table need their own.
        create_table: Whether a missing table is made; None: if there is a `url`.
        fused: Whether a dispatch begins with one transaction, or with a write for each of its
            parts: more calls, but half the write units.
        pool_size: Calls at a time at the most, per process.
        connect_timeout_seconds: The time for connecting.
        command_timeout_seconds: The time until an answer comes. Then the call fails; whether it
            was carried out is unknown.
    """

    url: str | None = field(default=None, validator=_is_address)
    region: str = field(default="us-east-1", validator=_is_region)
    table_name: str = field(default="acteon", validator=_is_table)
    prefix: str = field(default="acteon", validator=_is_prefix)
    create_table: bool | None = None
    fused: bool = True
    pool_size: int = field(default=32, validator=and_(ge(1), le(512)))
    connect_timeout_seconds: float = _seconds(1.0)
    command_timeout_seconds: float = _seconds(2.0)

    @property
    def creates(self) -> bool:
        """Whether a missing table is made."""
        return self.url is not None if self.create_table is None else self.create_table

    @property
    def where(self) -> str:
        """Where the table is, for messages."""
        return f"dynamodb at {self.url}" if self.url else f"dynamodb in {self.region}"

    @property
    def patience(self) -> timedelta:
        """How long one call may take in all, waiting for its turn included."""
        return 2 * timedelta(seconds=self.connect_timeout_seconds + self.command_timeout_seconds)
