"""How a dispatch ends that reaches no outcome."""

from datetime import timedelta

from acteon.core import ActeonError
from acteon.state import StateError


class GatewayError(ActeonError):
    """A dispatch reached no outcome; the text is what clients are told."""

    code = "GATEWAY_ERROR"


class LockError(GatewayError):
    """The lock of the action's id could not be had."""

    code = "LOCK_FAILED"
    retryable = True

    def __init__(self, reason: StateError) -> None:
        super().__init__(f"lock acquisition failed: {reason}")
        self.reason = reason


class StateFailedError(GatewayError):
    """The state store failed; `retryable` is as the store said."""

    code = "STATE_ERROR"

    def __init__(self, reason: StateError) -> None:
        super().__init__(f"state error: {reason}")
        self.reason = reason
        self.retryable = reason.retryable


class UnforeseenError(GatewayError):
    """Something is wrong in the gateway itself; what, is in its log."""

    code = "INTERNAL"

    def __init__(self) -> None:
        super().__init__("internal error")


class RuleFailedError(GatewayError):
    """A rule could not be evaluated."""

    code = "RULE_ERROR"

    def __init__(self, reason: object) -> None:
        super().__init__(f"rule error: {reason}")


class RouteNotFoundError(GatewayError):
    """A rule sends the action to a provider that there is not."""

    code = "PROVIDER_NOT_FOUND"


class InProgressError(GatewayError):
    """Another action with the same key is still being delivered.

    Attributes:
        retry_after: When it is worth asking again, in whole seconds.
    """

    code = "IN_PROGRESS"
    retryable = True

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__("another action with the same deduplication key is still being delivered")
        self.retry_after = retry_after


class DrainingError(GatewayError):
    """The gateway is shutting down and takes no more."""

    code = "SHUTTING_DOWN"
    retryable = True

    def __init__(self, text: str = "the gateway is shutting down") -> None:
        super().__init__(text)


class NotOpenError(DrainingError):
    """The gateway is not open yet, or not any more."""

    code = "NOT_OPEN"

    def __init__(
        self, text: str = "the gateway is not open: use it inside its `with` block"
    ) -> None:
        super().__init__(text)


class RulesNotLoadedError(GatewayError):
    """The rule files cannot be used; the rules are as they were."""

    code = "CONFIGURATION"

    def __init__(self, reason: object) -> None:
        super().__init__(f"configuration error: {reason}")


class RuleNotFoundError(GatewayError):
    """There is no rule of that name."""

    code = "NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"rule not found: {name}")


class ProviderUnknownError(GatewayError):
    """There is no provider of that name that this can be done to."""

    code = "NOT_FOUND"
