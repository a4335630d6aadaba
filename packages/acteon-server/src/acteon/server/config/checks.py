"""Validators of the sections; their texts are what operators read."""

import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

from attrs import Attribute, frozen

from acteon.server.lines import shortened

Limit = TypeVar("Limit", int, timedelta)

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")


@frozen
class Between(Generic[Limit]):
    """A validator of values from `low` to `high`, both included; it lets None pass.

    Attributes:
        low: The least.
        high: The most.
        or_zero: What 0 means where it stands for None.
    """

    low: Limit
    high: Limit
    or_zero: str = ""

    def __call__(self, _instance: object, attribute: "Attribute[Any]", value: Limit | None) -> None:
        if value is not None and not self.low <= value <= self.high:
            unit = " seconds" if isinstance(self.low, timedelta) else ""
            zero = f"0 ({self.or_zero}) or " if self.or_zero else ""
            raise ValueError(
                f"{attribute.name!r} must be {zero}between {_number(self.low)} and "
                f"{_number(self.high)}{unit}, not {_number(value)}"
            )

    def __str__(self) -> str:
        zero = f"0 ({self.or_zero}), " if self.or_zero else ""
        return f"{zero}{_number(self.low)} to {_number(self.high)}"


def between(low: Limit, high: Limit, *, or_zero: str = "") -> Between[Limit]:
    """Return a validator of values from `low` to `high`, both included; it lets None pass.

    Args:
        low: The least.
        high: The most.
        or_zero: What 0 means where it stands for None.
    """
    return Between(low, high, or_zero)


def _number(value: int | timedelta) -> str:
    return f"{value.total_seconds():.15g}" if isinstance(value, timedelta) else str(value)


def bare(host: str) -> str:
    """Return `host` without the brackets of an IPv6 address."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def listenable(_instance: object, attribute: "Attribute[Any]", value: str) -> None:
    """Refuse what is neither an IP address nor a name."""
    try:
        ip_address(bare(value))
    except ValueError:
        if not _HOST_NAME.fullmatch(value):
            raise ValueError(
                f"{attribute.name!r} must be an address or a name, without scheme and port, "
                f"not {shortened(value)!r}"
            ) from None


def networks(_instance: object, attribute: "Attribute[Any]", value: tuple[str, ...]) -> None:
    """Refuse what is neither an address nor a network such as `10.0.0.0/8`."""
    for text in value:
        try:
            ip_network(text)
        except ValueError:
            raise ValueError(f"{attribute.name!r} must hold networks{_meant(text)}") from None


def _meant(text: str) -> str:
    try:
        return f"; for {shortened(text)!r} write '{ip_network(text, strict=False)}'"
    except ValueError:
        return f", such as '10.0.0.0/8', not {shortened(text)!r}"


def filled(_instance: object, attribute: "Attribute[Any]", value: object) -> None:
    """Refuse an empty or blank text; let None pass."""
    if value is not None and not str(value).strip():
        raise ValueError(f"{attribute.name!r} must not be empty")


def names(_instance: object, attribute: "Attribute[Any]", value: Mapping[str, object]) -> None:
    """Refuse what rules could not write behind `env.`."""
    for name in value:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{attribute.name!r} must have names of letters, digits and _, as in env.stage, "
                f"not {shortened(name)!r}"
            )


def origins(_instance: object, attribute: "Attribute[Any]", value: tuple[str, ...] | None) -> None:
    """Refuse what no browser sends as `Origin`: anything but `scheme://host` and a port."""
    for origin in value or ():
        if origin == "*":
            raise ValueError(
                f"{attribute.name!r} must list origins; leave the key out to allow all of them"
            )
        parts = urlsplit(origin)
        if not parts.scheme or f"{parts.scheme}://{parts.netloc}" != origin or not parts.netloc:
            raise ValueError(
                f"{attribute.name!r} must list origins like https://app.example.com, without a "
                f"path, not {shortened(origin)!r}"
            )
