"""What the rules decided about one action."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from attrs import field, frozen


class StateRead(NamedTuple):
    """An entry of the action's namespace and tenant that a rule reads."""

    kind: str
    id: str


class StateNotReadError(Exception):
    """A decision needs entries that were not given; read them and decide again.

    No failure: it says what to read first. Not an `ActeonError`, as it never leaves the gateway.

    Attributes:
        reads: What is needed, at least.
    """

    def __init__(self, reads: tuple[StateRead, ...]) -> None:
        super().__init__(reads)
        self.reads = reads


StateValues = Mapping[StateRead, str | None]
"""The entries that were read, with their values; None for one that is not there."""


class MatchedRule(NamedTuple):
    """A rule that matched, and what it stands for."""

    rule: str
    verdict: str


@frozen
class WantedClaim:
    """Of several actions with one key, one is to run.

    Attributes:
        rule: The rule that says so.
        key: The key; None: the action's `dedup_key`, or else its `id`.
        ttl: How long a delivered one counts; None: for ever.
    """

    rule: str
    key: str | None
    ttl: timedelta | None


@frozen
class WantedQuota:
    """At most `max_count` actions are to run in a window.

    Attributes:
        rule: The rule that says so.
        key: What is counted apart within the rule; None: nothing.
        max_count: How many; 0 refuses all.
        window: How long a window lasts.
    """

    rule: str
    key: str | None
    max_count: int
    window: timedelta


@frozen
class WantedRoute:
    """Another provider is to deliver.

    Attributes:
        rule: The rule that says so.
        target: The provider's name.
        changes: A merge patch for the payload.
    """

    rule: str
    target: str
    changes: Any


@frozen(kw_only=True)
class Decision:
    """What the rules decided about one action: what holds it back, and what is done to it.

    Attributes:
        verdict: The kind of the rule that decided: the one that ended the evaluation, else the
            first that matched; `allow` if none did.
        rule: Its name, or None.
        matched: All rules that matched, in order.
        refused: Whether the action must not run (`deny`, `suppress`; `rule` is the one).
        modified: Whether `modify` rules changed the payload.
        payload: If so, the payload after all changes; otherwise None, it is the action's.
        claim: The claim to be held first, if any.
        quota: The quota that must have room, if any.
        route: Where it goes instead, if anywhere.
        errors: Rules that could not be evaluated and were passed over, with the reason.
        shadowed: Rules that are only tried and would have matched, in order.
    """

    verdict: str = "allow"
    rule: str | None = None
    matched: tuple[MatchedRule, ...] = ()
    refused: bool = False
    modified: bool = False
    payload: Any = field(default=None, repr=False)
    claim: WantedClaim | None = None
    quota: WantedQuota | None = None
    route: WantedRoute | None = None
    errors: tuple[tuple[str, str], ...] = ()
    shadowed: tuple[MatchedRule, ...] = ()
