"""How many requests callers and tenants may send, counted for all nodes together."""

from acteon.server.ratelimit.errors import RateLimitedError
from acteon.server.ratelimit.limiter import RateLimiter, Standing
from acteon.server.ratelimit.limitfile import configured_limits, parse_limits, read_limits
from acteon.server.ratelimit.limits import CallerLimits, Limits, TenantLimits, Tier

__all__ = [
    "CallerLimits",
    "Limits",
    "RateLimitedError",
    "RateLimiter",
    "Standing",
    "TenantLimits",
    "Tier",
    "configured_limits",
    "parse_limits",
    "read_limits",
]
