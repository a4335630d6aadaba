"""What can be chosen about the pipeline."""

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum

from attrs import field, frozen
from attrs.validators import ge, gt

from acteon.rules import OnRuleError


class OnUnknown(Enum):
    """What becomes of a claim when nobody knows whether the action was delivered."""

    AUTO = "auto"
    """Given back if the provider is idempotent, kept otherwise."""
    RELEASE = "release"
    """Given back: the next one runs, and may deliver twice."""
    KEEP = "keep"
    """Kept: later ones are told that the delivery is unknown."""


class OnStoreError(Enum):
    """What a throttle does when the store cannot count."""

    ALLOW = "allow"
    DENY = "deny"


@frozen(kw_only=True)
class GatewaySettings:
    """What can be chosen about the pipeline.

    Attributes:
        lease: How long lock and claim of a gateway that died keep others waiting; they are
            renewed every third of it while work runs.
        patience: How long a dispatch waits for another one with its id or key.
        on_unknown: What becomes of claims whose delivery is unknown.
        on_rule_error: What a rule that cannot be evaluated does to the action.
        on_store_error: What a throttle does when the store cannot count.
        environment: Variables that rules see as `env`.
        poll: How often the toggles of other gateways are looked for.
        look: How often watched rule files are looked at though no change of them was reported.
    """

    lease: timedelta = field(default=timedelta(seconds=30), validator=gt(timedelta(0)))
    patience: timedelta = field(default=timedelta(seconds=5), validator=ge(timedelta(0)))
    on_unknown: OnUnknown = OnUnknown.AUTO
    on_rule_error: OnRuleError = OnRuleError.FAIL
    on_store_error: OnStoreError = OnStoreError.ALLOW
    environment: Mapping[str, str] = field(factory=dict[str, str])
    poll: timedelta = field(default=timedelta(seconds=1), validator=gt(timedelta(0)))
    look: timedelta = field(default=timedelta(seconds=1), validator=ge(timedelta(milliseconds=1)))
