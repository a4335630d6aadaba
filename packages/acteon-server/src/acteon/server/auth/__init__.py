"""Who sent a request, and what they may do."""

from acteon.server.auth.errors import ForbiddenError, UnauthorizedError, UnavailableError
from acteon.server.auth.grants import EVERYTHING, Grant
from acteon.server.auth.principal import (
    ANYBODY,
    PRINCIPAL,
    Principal,
    principal_of,
    trusted,
)
from acteon.server.auth.roles import PERMISSIONS, Permission, Role

__all__ = [
    "ANYBODY",
    "EVERYTHING",
    "PERMISSIONS",
    "PRINCIPAL",
    "ForbiddenError",
    "Grant",
    "Permission",
    "Principal",
    "Role",
    "UnauthorizedError",
    "UnavailableError",
    "principal_of",
    "trusted",
]
