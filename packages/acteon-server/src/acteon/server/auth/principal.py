"""Who sent a request, and what they may do."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from acteon.audit import Scope
from acteon.core import ANONYMOUS, Action, Caller
from acteon.server.auth.errors import ForbiddenError
from acteon.server.auth.grants import ANY, EVERYTHING, Grant, scopes_of
from acteon.server.auth.roles import PERMISSIONS, Permission, Role

PRINCIPAL: Final = "acteon.principal"
"""Where the scope of a protected route's request has its `Principal`."""


@frozen(kw_only=True)
class Principal:
    """Somebody who is known, or anybody where nobody is asked.

    Attributes:
        caller: What the audit trail calls them.
        role: What they may do.
        grants: Where they may do it.
        token: The id of the session whose token they showed; None: they showed none.
    """

    caller: Caller
    role: Role
    grants: tuple[Grant, ...] = field(converter=tuple[Grant, ...])
    token: str | None = None

    @property
    def scopes(self) -> tuple[Scope, ...] | None:
        """What queries of theirs are restricted to; None: nothing."""
        return scopes_of(self.grants)

    @property
    def has_everything(self) -> bool:
        """Whether one of the grants covers whatever there is."""
        return self.scopes is None

    @property
    def only_tenant(self) -> str:
        """The one tenant that the grants are for, or `""` if they are for several, or all."""
        tenants = frozenset[str]().union(*(grant.tenants for grant in self.grants))
        return next(iter(tenants)) if len(tenants) == 1 and ANY not in tenants else ""

    def has_tenant(self, tenant: str) -> bool:
        """Return whether something of `tenant` is covered."""
        return any(ANY in grant.tenants or tenant in grant.tenants for grant in self.grants)

    def may(self, permission: Permission) -> bool:
        """Return whether the role allows that."""
        return permission in PERMISSIONS[self.role]

    def covers(self, tenant: str, namespace: str, action_type: str) -> bool:
        """Return whether one single grant is good for such an action."""
        return any(grant.covers(tenant, namespace, action_type) for grant in self.grants)

    def require(self, permission: Permission) -> None:
        """Raise unless the role allows that.

        Raises:
            ForbiddenError: It does not.
        """
        if not self.may(permission):
            raise ForbiddenError(
                f"insufficient permissions: {permission.value} requires admin or operator role"
            )

    def require_everything(self, permission: Permission) -> None:
        """Raise unless the role allows that, and a grant covers whatever there is.

        That is for what concerns all tenants.

        Raises:
            ForbiddenError: It is not so.
        """
        self.require(permission)
        if not self.has_everything:
            raise ForbiddenError(
                f"forbidden: {permission.value} concerns all tenants: it takes a grant for all "
                "tenants, namespaces and actions"
            )

    def require_grant(self, action: Action) -> None:
        """Raise unless a grant covers `action`.

        Raises:
            ForbiddenError: None does.
        """
        if not self.covers(action.tenant, action.namespace, action.action_type):
            raise ForbiddenError(
                f"forbidden: no grant covers tenant={action.tenant}, "
                f"namespace={action.namespace}, action={action.action_type}"
            )


def trusted(caller: Caller) -> Principal:
    """Return `caller` as somebody who may do everything."""
    return Principal(caller=caller, role=Role.ADMIN, grants=(EVERYTHING,))


ANYBODY: Final = trusted(ANONYMOUS)
"""Who asks a server that asks nobody who they are."""


def principal_of(scope: Mapping[str, Any]) -> Principal:
    """Return who sent the request of `scope` to a protected route."""
    principal: Principal = scope[PRINCIPAL]
    return principal
