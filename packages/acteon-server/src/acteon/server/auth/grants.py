"""Where somebody may do what the role allows."""

from collections.abc import Iterable
from typing import Final

from attrs import field, frozen

from acteon.audit import Scope

ANY: Final = "*"


def _frozen(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


@frozen(kw_only=True)
class Grant:
    """Tenants, namespaces and action types that belong together: all three must fit.

    `"*"` in one of them stands for all; there are no other patterns. An empty one fits nothing.

    Attributes:
        tenants: Exact names, or `*`.
        namespaces: Likewise.
        actions: Action types, likewise.
    """

    tenants: frozenset[str] = field(converter=_frozen)
    namespaces: frozenset[str] = field(converter=_frozen)
    actions: frozenset[str] = field(converter=_frozen)

    def covers(self, tenant: str, namespace: str, action_type: str) -> bool:
        """Return whether the grant is good for such an action."""
        return (
            _fits(self.tenants, tenant)
            and _fits(self.namespaces, namespace)
            and _fits(self.actions, action_type)
        )

    @property
    def is_for_everything(self) -> bool:
        """Whether it covers whatever there is."""
        return ANY in self.tenants and ANY in self.namespaces and ANY in self.actions

    @property
    def scope(self) -> Scope:
        """The audit records that it covers."""
        return Scope(
            tenants=_named(self.tenants),
            namespaces=_named(self.namespaces),
            action_types=_named(self.actions),
        )


_ALL: Final = frozenset({ANY})
EVERYTHING: Final = Grant(tenants=_ALL, namespaces=_ALL, actions=_ALL)


def scopes_of(grants: Iterable[Grant]) -> tuple[Scope, ...] | None:
    """Return what a query of the holder of `grants` is restricted to; None: nothing."""
    grants = tuple(grants)
    if any(grant.is_for_everything for grant in grants):
        return None
    return tuple(dict.fromkeys(grant.scope for grant in grants))


def _fits(names: frozenset[str], name: str) -> bool:
    return name in names or ANY in names


def _named(names: frozenset[str]) -> frozenset[str] | None:
    return None if ANY in names else names
