"""Requests, and the actions in them, against the limits of those who send them and of tenants."""

from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Self

from attrs import frozen
from starlette.types import Scope

from acteon.core import SYSTEM_CLOCK, Clock
from acteon.server.auth import Principal, principal_of
from acteon.server.config import RateLimitSection
from acteon.server.http.answers import Headers
from acteon.server.http.identity import ANSWER_HEADERS, OfTenant
from acteon.server.ratelimit import Limits, RateLimitedError, RateLimiter, Standing
from acteon.server.ratelimit.limits import ANONYMOUS
from acteon.state import StateStore

_PREFIX = b"x-ratelimit-"


@frozen
class RequestLimits:
    """Limits requests, once they are known to come from somebody, and dispatches for tenants.

    Its methods are the `limit` and the `limit_actions` of `create_app`.

    Attributes:
        limits: How many there may be.
        limiter: Counts them.
        by_action: Whether a batch counts as many as it has actions; otherwise as one.
    """

    limits: Limits
    limiter: RateLimiter
    by_action: bool = False

    @classmethod
    def of(
        cls,
        section: RateLimitSection,
        limits: Limits,
        store: StateStore,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """Return what holds requests to `limits` as `[rate_limit]` says, counting in `store`."""
        limiter = RateLimiter(store, section.on_error, clock)
        return cls(limits, limiter, by_action=section.batch_cost == "actions")

    def request(self, scope: Scope, principal: Principal) -> Awaitable[None]:
        """Count a request of `principal`; its answer tells how they stand, whatever it is.

        Raises:
            RateLimitedError: When it is awaited: it is one too many.
        """
        return self._count(scope, principal, 1)

    async def actions(self, scope: Scope, actions: Sequence[OfTenant]) -> None:
        """Count the `actions` of a request, which has been counted as one before.

        Tenants are counted in the order in which they first appear. Those before the one that has
        no room stay counted.

        Raises:
            RateLimitedError: They are too many for whoever sent them, or for a tenant.
        """
        if self.by_action and len(actions) > 1:
            await self._count(scope, principal_of(scope), len(actions), counted=1)
        tenants = self.limits.tenants
        if not tenants.enabled:
            return
        for tenant, number in Counter(action.tenant for action in actions).items():
            amount = number if self.by_action else 1
            standing = await self.limiter.take(f"tenant:{tenant}", tenants.of(tenant), amount)
            if not standing.admitted:
                retryable = amount <= standing.limit
                raise RateLimitedError(standing.reset, retryable=retryable)

    async def _count(
        self, scope: Scope, principal: Principal, cost: int, *, counted: int = 0
    ) -> None:
        """Count what is left of the `cost` of a request, of which `counted` have been."""
        caller = principal.caller.id or ANONYMOUS
        tier = self.limits.callers.of(caller)
        standing = await self.limiter.take(f"caller:{caller}", tier, cost - counted)
        told = _told(standing)
        if ANSWER_HEADERS in scope:
            told += [pair for pair in scope[ANSWER_HEADERS] if not pair[0].startswith(_PREFIX)]
        scope[ANSWER_HEADERS] = told
        if not standing.admitted:
            retryable = cost <= standing.limit
            raise RateLimitedError(standing.reset, limit=standing.limit, retryable=retryable)


def _told(standing: Standing) -> Headers:
    """Return the headers that tell a caller how they stand."""
    headers = [
        (b"x-ratelimit-limit", b"%d" % standing.limit),
        (b"x-ratelimit-remaining", b"%d" % standing.remaining),
    ]
    if standing.admitted:  # Otherwise `Retry-After` says more.
        headers.append((b"x-ratelimit-reset", b"%d" % standing.reset))
    return headers
