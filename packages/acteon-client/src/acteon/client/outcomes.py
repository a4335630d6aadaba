"""Outcomes as servers tell them, those of servers to come included."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, cast

import msgspec
from attrs import field, frozen

from acteon.client.answers import read_error
from acteon.core import (
    ActionOutcome,
    AnyOutcome,
    Deduplicated,
    Executed,
    Failed,
    ProviderResponse,
    Rerouted,
    ResponseStatus,
    Suppressed,
    Throttled,
)


@frozen
class UnknownOutcome(AnyOutcome):
    """What a newer server says that this client does not know.

    Attributes:
        name: What the server calls it.
        raw: All that it says about it.
    """

    name: str
    raw: Any

    tag: ClassVar[str] = "unknown"

    def as_json(self) -> Any:
        return self.name if self.raw is None else {self.name: self.raw}


Outcome = ActionOutcome | UnknownOutcome
"""What became of an action, as far as this client knows."""


@frozen
class ItemError:
    """Why one action of a batch reached no outcome.

    Attributes:
        message: What is wrong, for people.
        code: What kind of failure it is, in capitals; empty if the server did not say.
        retryable: Whether the same action may succeed later.
        cause: The exception that the whole request ended in, if it did.
    """

    message: str
    code: str = ""
    retryable: bool = False
    cause: Exception | None = field(default=None, eq=False, repr=False)


@frozen
class BatchResult:
    """What became of one action of a batch: either `outcome` or `error` is there."""

    outcome: Outcome | None = None
    error: ItemError | None = None

    @property
    def is_success(self) -> bool:
        """Whether there is an outcome, which may be `Failed`."""
        return self.outcome is not None

    @property
    def is_error(self) -> bool:
        """Whether there is none."""
        return self.error is not None

    def to_dict(self) -> Any:
        """Return it as the server tells it."""
        if self.outcome is not None:
            return self.outcome.as_json()
        assert self.error is not None
        return {
            "error": self.error.message,
            "code": self.error.code,
            "retryable": self.error.retryable,
        }


@frozen(kw_only=True)
class DryRun:
    """What would become of an action that was dispatched now.

    Attributes:
        verdict: What the rules decide.
        matched_rule: The rule that decides, if one does.
        would_be_provider: Who would be called; None if nobody would.
        outcome: How it would end if the provider took the call: `executed`, ….
        retry_after: When the quota opens again, if it is used up.
        shadowed: Rules in shadow mode that would have matched, and what they stand for.
    """

    verdict: str
    matched_rule: str | None = None
    would_be_provider: str | None = None
    outcome: str
    retry_after: timedelta | None = None
    shadowed: tuple[tuple[str, str], ...] = ()


@frozen
class PreviewResult:
    """What would become of one action of a batch: either `dry_run` or `error` is there."""

    dry_run: DryRun | None = None
    error: ItemError | None = None


def read_outcome(value: Any) -> Outcome:
    """Return the outcome that the decoded JSON `value` tells.

    Raises:
        msgspec.ValidationError: It tells none.
    """
    name, told = _tagged(value)
    match name:
        case "Executed":
            return Executed(_response(told))
        case "Deduplicated":
            return Deduplicated()
        case "Suppressed":
            return Suppressed(_text(told, "rule"))
        case "Rerouted":
            members = _members(told)
            return Rerouted(
                _text(told, "original_provider"),
                _text(told, "new_provider"),
                _response(members.get("response")),
            )
        case "Throttled":
            return Throttled(_duration(_members(told).get("retry_after")))
        case "Failed":
            return _failed(_members(told))
        case _:
            return UnknownOutcome(name, told)


def read_item(value: Any) -> BatchResult:
    """Return what the decoded JSON `value`, an item of a batch, tells; raises likewise."""
    error = _item_error(value)
    return BatchResult(read_outcome(value)) if error is None else BatchResult(error=error)


def read_dry_run(value: Any) -> DryRun:
    """Return what a dry run's decoded answer tells; raises likewise."""
    name, told = _tagged(value)
    if name != "DryRun":
        raise msgspec.ValidationError(f"expected DryRun, got {name}: was the action dispatched?")
    members = _members(told)
    wait = members.get("retry_after")
    shadowed = members.get("shadowed", ())
    return DryRun(
        verdict=_text(told, "verdict"),
        matched_rule=members.get("matched_rule"),
        would_be_provider=members.get("would_be_provider"),
        outcome=_text(told, "outcome"),
        retry_after=None if wait is None else _duration(wait),
        shadowed=tuple((_text(one, "rule"), _text(one, "verdict")) for one in shadowed),
    )


def read_preview(value: Any) -> PreviewResult:
    """Return what the decoded JSON `value`, an item of a dry run's batch, tells; likewise."""
    error = _item_error(value)
    return PreviewResult(read_dry_run(value)) if error is None else PreviewResult(error=error)


def _item_error(value: Any) -> ItemError | None:
    if not (isinstance(value, dict) and "error" in value):
        return None
    said = read_error(cast("object", value))
    if said is None:
        return ItemError(str(cast("dict[str, Any]", value)["error"]))
    return ItemError(said.message, said.code or "", said.retryable or False)


def _tagged(value: Any) -> tuple[str, Any]:
    if isinstance(value, str):
        return value, None
    members = _members(value)
    if len(members) != 1:
        raise msgspec.ValidationError(f"expected one outcome, got the members {sorted(members)}")
    return next(iter(members.items()))


def _members(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise msgspec.ValidationError(f"expected an object, got {type(value).__name__}")
    return cast("dict[str, Any]", value)


def _text(value: Any, name: str) -> str:
    text = _members(value).get(name)
    if not isinstance(text, str):
        raise msgspec.ValidationError(f"`{name}`: expected a text, got {type(text).__name__}")
    return text


@frozen
class _Response:
    status: ResponseStatus
    body: Any = None
    headers: Mapping[str, str] | None = None


def _response(value: Any) -> ProviderResponse:
    told = msgspec.convert(value, _Response)
    return ProviderResponse(told.status, told.body, told.headers or {})


@frozen
class _Duration:
    secs: int
    nanos: int = 0


def _duration(value: Any) -> timedelta:
    told = msgspec.convert(value, _Duration)
    try:
        return timedelta(seconds=told.secs, microseconds=told.nanos / 1000)
    except OverflowError:
        return timedelta.max


@frozen(kw_only=True)
class _Failed:
    code: str
    message: str
    retryable: bool = False
    attempts: int = 0
    details: dict[str, Any] | None = None


def _failed(value: Mapping[str, Any]) -> Failed:
    told = msgspec.convert(value, _Failed)
    return Failed(
        code=told.code,
        message=told.message,
        retryable=told.retryable,
        attempts=told.attempts,
        details=told.details,
    )
