"""How many requests callers, and tenants, may send."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any, Final

from attrs import Attribute, field, frozen

from acteon.server.config.checks import between

ANONYMOUS: Final = "_anonymous"
"""The caller that counts for all who do not say who they are."""

_SECOND: Final = timedelta(seconds=1)
_YEAR: Final = timedelta(days=365)
_MOST: Final = 2**63 - 1


def _whole_seconds(_: object, attribute: "Attribute[Any]", value: timedelta) -> None:
    if value % _SECOND:
        raise ValueError(
            f"{attribute.name!r} must be a whole number of seconds, not {value.total_seconds():g}"
        )


def _is_somebody(_: object, attribute: "Attribute[Any]", value: Mapping[str, object]) -> None:
    for name in ("", ANONYMOUS):
        if name in value:
            raise ValueError(
                f"{attribute.name!r} are for callers with a name, which {name!r} is not; "
                "write [callers.anonymous]"
            )


@frozen(kw_only=True)
class Tier:
    """How many requests somebody may send.

    Attributes:
        requests_per_window: The most in one window; 0 refuses all.
        window: How long a window is; whole seconds.
    """

    requests_per_window: int = field(default=1000, validator=between(0, _MOST))
    window: timedelta = field(
        default=timedelta(seconds=60), validator=[between(_SECOND, _YEAR), _whole_seconds]
    )

    @cached_property
    def seconds(self) -> int:
        """How long a window is, in seconds."""
        return self.window // _SECOND


def _anonymous() -> Tier:
    return Tier(requests_per_window=100)


def _tenant() -> Tier:
    return Tier(requests_per_window=10_000)


@frozen(kw_only=True)
class CallerLimits:
    """`[callers]`: who may send how many requests.

    Attributes:
        default: Callers that are not named below.
        anonymous: All together who do not say who they are.
        overrides: Others, by name.
    """

    default: Tier = field(factory=Tier)
    anonymous: Tier = field(factory=_anonymous)
    overrides: Mapping[str, Tier] = field(factory=dict[str, Tier], validator=_is_somebody)

    def of(self, caller: str) -> Tier:
        """Return the tier of `caller`, whose name is empty if they did not say it."""
        if not caller or caller == ANONYMOUS:
            return self.anonymous
        return self.overrides.get(caller, self.default)


@frozen(kw_only=True)
class TenantLimits:
    """`[tenants]`: for whom how many dispatches may be sent.

    Attributes:
        enabled: Whether that is limited.
        default: Tenants that are not named below.
        overrides: Others, by name.
    """

    enabled: bool = False
    default: Tier = field(factory=_tenant)
    overrides: Mapping[str, Tier] = field(factory=dict[str, Tier])

    def of(self, tenant: str) -> Tier:
        """Return the tier of `tenant`."""
        return self.overrides.get(tenant, self.default)


@frozen(kw_only=True)
class Limits:
    """All limits there are."""

    callers: CallerLimits = field(factory=CallerLimits)
    tenants: TenantLimits = field(factory=TenantLimits)
