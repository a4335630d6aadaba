"""Validators of the sections; their texts are what operators read."""

import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from attrs import Attribute

from acteon.server.lines import shortened

Limit = TypeVar("Limit", int, timedelta)
Validator = Callable[[Any, "Attribute[Any]", Any], None]

_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")


def between(low: Limit, high: Limit) -> Validator:
    """Return a validator of values from `low` to `high`, both included; it lets None pass."""

    def check(_instance: object, attribute: "Attribute[Any]", value: Limit | None) -> None:
        if value is not None and not low <= value <= high:
            unit = " seconds" if isinstance(low, timedelta) else ""
            raise ValueError(
                f"{attribute.name!r} must be between {_number(low)} and {_number(high)}{unit}, "
                f"not {_number(value)}"
            )

    return check


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


def filled(_instance: object, attribute: "Attribute[Any]", value: object) -> None:
    """Refuse an empty or blank text; let None pass."""
    if value is not None and not str(value).strip():
        raise ValueError(f"{attribute.name!r} must not be empty")


def off(what: str) -> Validator:
    """Return a validator of switches that can be written down, but not be turned on."""

    def check(_instance: object, _attribute: "Attribute[Any]", value: bool) -> None:
        if value:
            raise ValueError(f"{what} is not part of this version")

    return check


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
