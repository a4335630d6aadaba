"""Rules as data."""

from datetime import UTC, timedelta, tzinfo
from enum import Enum
from typing import Any, ClassVar

from attrs import field, frozen
from attrs.validators import and_, ge, gt, lt, optional

from acteon.rules.expression import Expression

MAX_DURATION = timedelta(days=365_000)


@frozen
class Allow:
    """The action runs; later rules are not asked."""

    verdict: ClassVar[str] = "allow"


@frozen
class Deny:
    """The action does not run, as it must not."""

    verdict: ClassVar[str] = "deny"


@frozen
class Suppress:
    """The action does not run, as it need not."""

    verdict: ClassVar[str] = "suppress"


@frozen(kw_only=True)
class Deduplicate:
    """Of several actions with one key, one runs.

    Attributes:
        ttl: How long a delivered one keeps others from running; None: for ever.
        key: Gives the text that makes two actions the same; None: their `dedup_key`, or else `id`.
    """

    verdict: ClassVar[str] = "deduplicate"

    ttl: timedelta | None = field(
        default=None, validator=optional(and_(gt(timedelta(0)), lt(MAX_DURATION)))
    )
    key: Expression | None = None


@frozen(kw_only=True)
class Reroute:
    """Another provider delivers the action.

    Attributes:
        target: Its name.
        changes: A merge patch (RFC 7396) that gives the payload the shape that it takes: a value of
            JSON, or an expression that gives one.
    """

    verdict: ClassVar[str] = "reroute"

    target: str
    changes: Any = field(factory=dict[str, Any])


@frozen(kw_only=True)
class Throttle:
    """At most so many actions run in a window of time; the rest is refused.

    Attributes:
        max_count: How many; 0 refuses all.
        window: How long a window lasts.
        key: Gives the text that names what is counted; None: all that match, together.
    """

    verdict: ClassVar[str] = "throttle"

    max_count: int = field(validator=ge(0))
    window: timedelta = field(validator=and_(gt(timedelta(0)), lt(MAX_DURATION)))
    key: Expression | None = None


@frozen(kw_only=True)
class Modify:
    """The payload is changed.

    Attributes:
        changes: A merge patch (RFC 7396): a value of JSON, or an expression that gives one.
    """

    verdict: ClassVar[str] = "modify"

    changes: Any


class OnRuleError(Enum):
    """What follows when a rule cannot be evaluated."""

    FAIL = "fail"
    """The dispatch fails."""
    SKIP = "skip"
    """The rule is passed over as if it did not match."""
    DENY = "deny"
    """The action is refused."""


Effect = Allow | Deny | Suppress | Deduplicate | Reroute | Throttle | Modify


def _only_what_adds_up_continues(rule: "Rule", _: object, value: bool) -> None:
    if value and isinstance(rule.effect, Allow | Deny | Suppress):
        raise ValueError(f"rule {rule.name!r}: {rule.effect.verdict} cannot continue")


@frozen(kw_only=True)
class Rule:
    """A condition and what follows when it is true.

    Attributes:
        name: What people and the audit trail call it; need not be unique.
        condition: When it is true, by truthiness, the rule matches.
        effect: What follows.
        priority: Rules are asked in ascending order; of equal ones, the one loaded first.
        description: For people.
        enabled: Whether it is asked at all.
        continues: Whether rules after it are asked as well when it matches; only for
            deduplicate, throttle, modify and reroute.
        timezone: Where `time` is told for its condition.
        shadow: Whether it is only tried: when it matches, that is recorded, and nothing follows.
        on_error: What follows when it cannot be evaluated; None: what the set of rules says. A
            rule that is only tried is always passed over.
        source: The file that it came from, or empty.
        line: Its line there, or 0.
    """

    name: str
    condition: Expression
    effect: Effect
    priority: int = 0
    description: str | None = None
    enabled: bool = True
    continues: bool = field(default=False, validator=_only_what_adds_up_continues)
    timezone: tzinfo = UTC
    shadow: bool = False
    on_error: OnRuleError | None = None
    source: str = ""
    line: int = 0
