"""What became of an action."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from operator import methodcaller
from typing import Any, ClassVar, TypeVar

from attrs import field, frozen

T = TypeVar("T")

__tracebackhide__ = methodcaller("errisinstance", AssertionError)
"""Has pytest show the line of a test whose assertion failed, and none of these."""


class ResponseStatus(StrEnum):
    """How a provider judged a call that it did answer."""

    SUCCESS = "success"
    FAILURE = "failure"
    PARTIAL = "partial"


@frozen
class ProviderResponse:
    """What a provider answered.

    Attributes:
        status: `SUCCESS`, or `FAILURE` and `PARTIAL` for an answer that says no or half.
        body: Anything that JSON can say.
        headers: What else is worth telling, text to text.
    """

    status: ResponseStatus = ResponseStatus.SUCCESS
    body: Any = None
    headers: Mapping[str, str] = field(factory=lambda: {})

    def as_json(self) -> dict[str, Any]:
        return {
            "body": self.body,
            "headers": dict(self.headers),
            "status": self.status.value,
        }


class AnyOutcome:
    """What every outcome can be asked, so that programs need no list of classes.

    `assert_…` returns the outcome if it is of that kind, and raises an `AssertionError` otherwise:
    `outcome.assert_suppressed().rule`.

    Attributes:
        tag: Its kind in one word, as audit records have it: `executed`, `deduplicated`, ….
    """

    __slots__ = ()

    tag: ClassVar[str]

    def is_executed(self) -> bool:
        return isinstance(self, Executed)

    def is_deduplicated(self) -> bool:
        return isinstance(self, Deduplicated)

    def is_suppressed(self) -> bool:
        return isinstance(self, Suppressed)

    def is_rerouted(self) -> bool:
        return isinstance(self, Rerouted)

    def is_throttled(self) -> bool:
        return isinstance(self, Throttled)

    def is_failed(self) -> bool:
        return isinstance(self, Failed)

    def assert_executed(self) -> "Executed":
        return self._insist(Executed)

    def assert_deduplicated(self) -> "Deduplicated":
        return self._insist(Deduplicated)

    def assert_suppressed(self) -> "Suppressed":
        return self._insist(Suppressed)

    def assert_rerouted(self) -> "Rerouted":
        return self._insist(Rerouted)

    def assert_throttled(self) -> "Throttled":
        return self._insist(Throttled)

    def assert_failed(self) -> "Failed":
        return self._insist(Failed)

    def _insist(self, kind: type[T]) -> T:
        if not isinstance(self, kind):
            raise AssertionError(f"expected {kind.__name__}, got {self!r}")
        return self


@frozen
class Executed(AnyOutcome):
    """The action's own provider took the call."""

    response: ProviderResponse

    tag: ClassVar[str] = "executed"

    def as_json(self) -> Any:
        return {"Executed": self.response.as_json()}


@frozen
class Deduplicated(AnyOutcome):
    """An earlier action with the same key is known to have succeeded."""

    tag: ClassVar[str] = "deduplicated"

    def as_json(self) -> Any:
        return "Deduplicated"


@frozen
class Suppressed(AnyOutcome):
    """A rule held the action back."""

    rule: str

    tag: ClassVar[str] = "suppressed"

    def as_json(self) -> Any:
        return {"Suppressed": {"rule": self.rule}}


@frozen
class Rerouted(AnyOutcome):
    """A rule sent the action to another provider, which took the call."""

    original_provider: str
    new_provider: str
    response: ProviderResponse

    tag: ClassVar[str] = "rerouted"

    def as_json(self) -> Any:
        return {
            "Rerouted": {
                "new_provider": self.new_provider,
                "original_provider": self.original_provider,
                "response": self.response.as_json(),
            }
        }


@frozen
class Throttled(AnyOutcome):
    """A rule's quota was used up.

    Attributes:
        retry_after: Time until the quota opens again.
    """

    retry_after: timedelta

    tag: ClassVar[str] = "throttled"

    def as_json(self) -> Any:
        whole = self.retry_after // timedelta(seconds=1)
        rest = self.retry_after - timedelta(seconds=whole)
        nanos = rest // timedelta(microseconds=1) * 1000
        return {"Throttled": {"retry_after": {"nanos": nanos, "secs": whole}}}


@frozen(kw_only=True)
class Failed(AnyOutcome):
    """The action was not delivered, or nobody knows whether it was.

    Attributes:
        code: What kind of failure, in capitals: `TIMEOUT`, `CONNECTION`, `DELIVERY_UNKNOWN`, …
        message: What happened, for people.
        retryable: Whether sending the action again may succeed and cannot do harm.
        attempts: How many calls to the provider were made.
        details: What else is worth telling, such as what came of each member of a group.
    """

    code: str
    message: str
    retryable: bool
    attempts: int
    details: Mapping[str, Any] | None = None

    tag: ClassVar[str] = "failed"

    def as_json(self) -> Any:
        told: dict[str, Any] = {
            "attempts": self.attempts,
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
        }
        if self.details is not None:
            told["details"] = self.details
        return {"Failed": told}


ActionOutcome = Executed | Deduplicated | Suppressed | Rerouted | Throttled | Failed
"""What became of an action: exactly one of six."""
