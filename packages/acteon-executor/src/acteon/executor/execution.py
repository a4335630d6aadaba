"""What came of calling a provider."""

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from attrs import define, field, frozen

from acteon.core import Failed, ProviderResponse


class Certainty(Enum):
    """What is known of a delivery when all attempts are over."""

    DELIVERED = "delivered"
    """The receiver said so, for all of the action or a part of it."""

    NOT_DELIVERED = "not_delivered"
    """No attempt delivered anything."""

    UNKNOWN = "unknown"
    """At least one attempt may have delivered it, and none is known to have."""


@frozen
class Execution:
    """What came of an action.

    Attributes:
        result: The provider's answer, or why there is none.
        certainty: What is known of the delivery.
        attempts: How many calls were made.
    """

    result: ProviderResponse | Failed
    certainty: Certainty
    attempts: int


@define(eq=False)
class Progress:
    """How far a delivery has come; what is known of it if its caller is cancelled midway.

    Attributes:
        attempts: How many calls were made.
        calling: Whether one is under way.
        doubtful: Whether one that has ended may have delivered the action.
        give_up: Asked before every call but the first: whether no other one is to be made.
    """

    attempts: int = 0
    calling: bool = False
    doubtful: bool = False
    give_up: Callable[[], bool] = field(default=lambda: False, kw_only=True)

    @property
    def in_doubt(self) -> bool:
        """Whether the action may have been delivered without anybody knowing."""
        return self.calling or self.doubtful


class AttemptObserver(Protocol):
    """Is told of every call of a provider."""

    def attempted(self, provider: str, result: str, seconds: float) -> None:
        """Take note of one call; must not raise.

        Args:
            provider: The name of the provider.
            result: `success`, `failure` or `partial` for an answer, `cancelled`, or the code of
                the error in lower case: `timeout`, `connection`, ….
            seconds: How long it took.
        """
        ...
