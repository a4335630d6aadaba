"""What came of calling a provider."""

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Protocol

from attrs import define, field, frozen

from acteon.core import Failed, ProviderResponse
from acteon.provider import MemberEnd, Settled

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Certainty(Enum):
    """What is known of a delivery when all attempts are over."""

    DELIVERED = "delivered"
    """The receiver said so, for all of the action or a part of it."""

    NOT_DELIVERED = "not_delivered"
    """No attempt delivered anything."""

    UNKNOWN = "unknown"
    """At least one attempt may have delivered it, and none is known to have."""


@frozen(slots=False)  # There is one for every dispatch, and it is made much faster so.
class Execution:
    """What came of an action.

    Attributes:
        result: The provider's answer, or why there is none.
        certainty: What is known of the delivery.
        attempts: How many calls were made.
        provider: Who answered, or failed last: who was to deliver, or the fallback.
        fallback: Why that is the fallback; None if it is not.
        members: What came of each member of a group.
    """

    result: ProviderResponse | Failed
    certainty: Certainty
    attempts: int
    provider: str = field(default="", kw_only=True)
    fallback: str | None = field(default=None, kw_only=True)
    members: tuple[MemberEnd, ...] = field(default=(), kw_only=True)


@define(eq=False)
class Progress:
    """How far a delivery has come; what is known of it if its caller is cancelled midway.

    Attributes:
        attempts: How many calls were made.
        calling: Whether one is under way.
        doubtful: Whether one that has ended may have delivered the action.
        called: Who was called last: who was to deliver, or a fallback.
        members: The same for each member of a group.
        ends: What came of those whose calls are over.
        settled: Members of a group that earlier dispatches of the action settled, and how.
        give_up: Asked before every call but the first: whether no other one is to be made.
    """

    attempts: int = 0
    calling: bool = False
    doubtful: bool = False
    called: str = field(default="", init=False)
    members: Mapping[str, "Progress"] = field(default=NOTHING, init=False)
    ends: Mapping[str, MemberEnd] = field(default=NOTHING, init=False)
    settled: Mapping[str, Settled] = field(default=NOTHING, kw_only=True)
    give_up: Callable[[], bool] = field(default=lambda: False, kw_only=True)

    def ended(self, end: MemberEnd) -> None:
        """Take note of what came of a member."""
        self.ends = {**self.ends, end.member: end}

    @property
    def in_doubt(self) -> bool:
        """Whether the action may have been delivered without anybody knowing."""
        return self.calling or self.doubtful or any(each.in_doubt for each in self.members.values())

    @property
    def known(self) -> tuple[MemberEnd, ...]:
        """What came of the members of a group by now; the calls under way ended without one."""
        interrupted = (
            MemberEnd(
                name,
                Failed(
                    code="CANCELLED",
                    message="nobody waited for the end of the call",
                    retryable=False,
                    attempts=part.attempts,
                ),
                attempts=part.attempts,
                doubtful=True,
                by=part.called,
            )
            for name, part in self.members.items()
            if name not in self.ends and part.in_doubt
        )
        earlier = (how.end(name) for name, how in self.settled.items())
        return (*self.ends.values(), *interrupted, *earlier)


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
