"""What each role lets its holder do."""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Role(Enum):
    """What somebody is to the server."""

    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"

    @classmethod
    def named(cls, name: str) -> "Role | None":
        """Return the role of that name, in any case of letters; None if there is none."""
        try:
            return cls(name.lower())
        except ValueError:
            return None


class Permission(Enum):
    """What an endpoint asks of its caller's role.

    Its value begins the sentence that refuses it.
    """

    DISPATCH = "dispatch"
    READ_RULES = "reading rules"
    MANAGE_RULES = "rules management"
    EVALUATE_RULES = "rules evaluation"
    READ_PROVIDERS = "reading providers"
    MANAGE_PROVIDERS = "providers management"
    READ_AUDIT = "reading the audit trail"
    REPLAY = "replay"
    ERASE = "erasing audit payloads"
    READ_DEAD_LETTERS = "reading dead-letter statistics"
    DRAIN_DEAD_LETTERS = "draining dead letters"
    LOG_OUT = "logging out"


_VIEWERS: Final = frozenset(
    {
        Permission.READ_RULES,
        Permission.READ_PROVIDERS,
        Permission.READ_AUDIT,
        Permission.READ_DEAD_LETTERS,
        Permission.LOG_OUT,
    }
)
PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.ADMIN: frozenset(Permission),
    Role.OPERATOR: frozenset(Permission),
    Role.VIEWER: _VIEWERS,
}
"""What each role may do; where, its holder's grants say."""
