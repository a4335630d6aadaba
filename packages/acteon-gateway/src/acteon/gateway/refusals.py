"""What keeps an action from running, short of an error."""

import difflib
from datetime import timedelta
from typing import Final

from acteon.core import Action, ActionOutcome, Deduplicated, Failed, Suppressed, Throttled
from acteon.gateway.asking import whole_seconds
from acteon.gateway.errors import InProgressError, RouteNotFoundError
from acteon.provider import ProviderRegistry, RegisteredProvider
from acteon.rules import Decision, Deduplicate, Throttle
from acteon.state import Began, Claimed

LONGEST_ADVICE: Final = timedelta(seconds=5)
LONGEST_NAME: Final = 100
"""Characters of names that are compared with others: it takes the longer, the longer they are."""


def held_back(decision: Decision) -> ActionOutcome | None:
    """Return the outcome of an action that is held back without asking the store."""
    if decision.refused:
        return Suppressed(decision.rule or "")
    quota = decision.quota
    if quota is not None and quota.max_count == 0 and decision.claim is None:
        return Throttled(whole_seconds(quota.window))
    return None


def decided_by(decision: Decision, outcome: object) -> tuple[str, str | None]:
    """Return the verdict and the rule that are to be told about an action that ended in `outcome`.

    Of several rules that act together it is the one that held the action back, if one did.
    """
    if isinstance(outcome, Throttled) and decision.quota is not None:
        return Throttle.verdict, decision.quota.rule
    if isinstance(outcome, Deduplicated) and decision.claim is not None:
        return Deduplicate.verdict, decision.claim.rule
    return decision.verdict, decision.rule


def provider_of(
    providers: ProviderRegistry, action: Action, decision: Decision
) -> RegisteredProvider | Failed:
    """Return who is to deliver `action`, or the outcome if there is nobody of its provider's name.

    Raises:
        RouteNotFoundError: There is nobody of the name that a rule gives.
    """
    route = decision.route
    name = action.provider if route is None else route.target
    provider = providers.get(name)
    if provider is not None:
        return provider
    text = f"provider not found: {name}{_meant(name, providers)}"
    if route is not None:
        raise RouteNotFoundError(text)
    return Failed(
        code="PROVIDER_NOT_FOUND",
        message=text,
        retryable=False,
        attempts=0,
    )


def _meant(name: str, providers: ProviderRegistry) -> str:
    if len(name) > LONGEST_NAME:
        return ""
    close = difflib.get_close_matches(name, providers, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def refused_by(began: Began, lease: timedelta) -> ActionOutcome | None:
    """Return the outcome of an action that the store did not admit; None if it did.

    Args:
        began: What the store said.
        lease: How long a claim lasts whose end is not known.

    Raises:
        InProgressError: Another one with its key is still being delivered.
    """
    match began.claim:
        case Claimed.PENDING:
            raise InProgressError(_worth_asking(began, lease))
        case Claimed.DONE:
            return Deduplicated()
        case Claimed.UNKNOWN:
            return Failed(
                code="DELIVERY_UNKNOWN",
                message="an earlier action with this key may have been delivered: "
                f"it ended {began.detail} without an answer",
                retryable=False,
                attempts=0,
            )
        case Claimed.NONE | Claimed.OURS:
            if began.refused is not None:
                return Throttled(whole_seconds(began.refused[1]))
            return None


def _worth_asking(began: Began, lease: timedelta) -> timedelta:
    """Return when it is worth asking again: soon, and sooner if the other's lease ends sooner."""
    left = timedelta(milliseconds=int(began.detail)) if began.detail.isdecimal() else lease
    return max(timedelta(seconds=1), min(whole_seconds(left), LONGEST_ADVICE))
