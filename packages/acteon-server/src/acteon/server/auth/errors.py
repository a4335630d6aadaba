"""How callers are refused."""

from acteon.core import ActeonError


class UnauthorizedError(ActeonError):
    """Nobody knows who the caller is; they are told the text."""

    code = "UNAUTHORIZED"


class ForbiddenError(ActeonError):
    """The caller may not do that; they are told the text."""

    code = "FORBIDDEN"


class UnavailableError(ActeonError):
    """It cannot be found out now who the caller is; they are told the text."""

    code = "STATE_ERROR"
    retryable = True
