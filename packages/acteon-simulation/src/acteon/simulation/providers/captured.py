"""What a provider of a test remembers of a call."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from acteon.core import Action, ProviderResponse

_SHOWN: Final = 10


@frozen(kw_only=True)
class CapturedCall:
    """One call, from its beginning to its end.

    Attributes:
        number: 1 for the first call since the provider was made or cleared.
        attempt: 1 for the first call with this action, 2 for its repetition, ….
        action: As the provider saw it: after rules have modified it.
        started_at: When it began.
        finished_at: When it ended.
        response: What was answered; None if it failed.
        error: What was raised, `asyncio.CancelledError` included; None if it was answered.
        delivered: Whether the delivery took place: also where the answer was lost.
    """

    number: int
    attempt: int
    action: Action
    started_at: datetime
    finished_at: datetime
    response: ProviderResponse | None
    error: BaseException | None
    delivered: bool

    @property
    def ok(self) -> bool:
        """Whether it was answered."""
        return self.error is None

    @property
    def timestamp(self) -> datetime:
        """When it ended."""
        return self.finished_at

    @property
    def duration(self) -> timedelta:
        """How long it took."""
        return self.finished_at - self.started_at


def listed(calls: Iterable[CapturedCall]) -> str:
    """Return `calls` as lines for the text of a failed assertion; empty if there are none."""
    every = list(calls)
    lines = [f"\n  #{call.number} {_shown(call)}" for call in every[:_SHOWN]]
    more = f"\n  and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return "".join([*lines, more])


def _shown(call: CapturedCall) -> str:
    action = call.action
    ended = "" if call.error is None else f" -> {type(call.error).__name__}: {call.error}"
    return (
        f"{action.namespace}/{action.tenant} {action.action_type} payload={action.payload!r}{ended}"
    )
