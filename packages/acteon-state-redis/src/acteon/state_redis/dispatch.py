"""Beginning and settling dispatches: one script call for all of a batch."""

from collections.abc import Sequence
from typing import Any

from attrs import define

from acteon.state import (
    Began,
    Begin,
    Claimed,
    DispatchState,
    Settle,
    StateError,
    StateSerializationError,
    read_claim,
)
from acteon.state_redis.calls import Calls
from acteon.state_redis.errors import answered
from acteon.state_redis.names import Names, decoded, encoded, milliseconds
from acteon.state_redis.scripts import script
from acteon.state_redis.store import busy, limit_text, remaining

_HELD = Began()
_CLAIMED = Began(claim=Claimed.OURS)


@define(eq=False)
class RedisDispatch(DispatchState):
    """Dispatches in Redis, each batch in one trip."""

    calls: Calls
    names: Names

    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        keys: list[bytes] = []
        arguments: list[bytes] = []
        for wanted in batch:
            keys += begin_keys(wanted, self.names)
            arguments += _begin_arguments(wanted)
        # What is counted would be counted twice.
        harmless = not any(wanted.quotas for wanted in batch)
        answers = await self.calls.run(script("begin"), keys, arguments, harmless=harmless)
        place = self.calls.place
        return [
            _began(wanted, answer, place) for wanted, answer in zip(batch, answers, strict=True)
        ]

    async def settle(self, batch: Sequence[Settle]) -> list[bool]:
        keys: list[bytes] = []
        arguments: list[bytes] = []
        for settle in batch:
            keys += settle_keys(settle, self.names)
            arguments += _settle_arguments(settle)
        answers = await self.calls.run(script("settle"), keys, arguments)
        return [bool(answer) for answer in answers]


def begin_keys(wanted: Begin, names: Names) -> list[bytes]:
    """Return the names of all that `wanted` needs, in the script's order."""
    keys = [] if wanted.lock is None or wanted.peek else [names.lock(wanted.lock)]
    if wanted.claim is not None:
        keys.append(names.entry(wanted.claim))
    keys += [names.entry(quota.key) for quota in wanted.quotas]
    keys += [names.entry(key) for key in wanted.reads]
    return keys


def settle_keys(settle: Settle, names: Names) -> list[bytes]:
    """Return the names of all that `settle` needs, in the script's order."""
    keys = [] if settle.lock is None else [names.lock(settle.lock)]
    if settle.claim is not None:
        keys.append(names.entry(settle.claim))
    return keys


def _begin_arguments(wanted: Begin) -> list[bytes]:
    letters = "p" if wanted.peek else "" if wanted.lock is None else "l"
    if wanted.claim is not None:
        letters += "c"
    letters += "q" * len(wanted.quotas) + "r" * len(wanted.reads)
    arguments = [encoded(wanted.token), milliseconds(wanted.lease), letters.encode()]
    for quota in wanted.quotas:
        arguments += (limit_text(quota.limit), milliseconds(quota.window))
    return arguments


def _settle_arguments(settle: Settle) -> list[bytes]:
    letters = ("" if settle.lock is None else "l") + ("" if settle.claim is None else "c")
    text = settle.text or ""
    return [encoded(settle.token), letters.encode(), encoded(text), milliseconds(settle.ttl)]


def _began(wanted: Begin, answer: Any, place: str) -> Began:
    """Return what the script's answer to `wanted` says."""
    if answer == 0:
        return _HELD if wanted.claim is None else _CLAIMED
    try:
        return _told(wanted, answer, place)
    except StateError as error:
        return Began(error=error)


def _told(wanted: Begin, answer: list[Any], place: str) -> Began:
    match answer:
        case [b"busy", int(left)]:
            return Began(busy=busy(left, wanted.lease))
        case [b"held", int(odd), values]:
            claim = Claimed.NONE if wanted.claim is None else Claimed.OURS
            return Began(claim=claim, quota_error=_odd(odd), values=_values(values))
        case [b"claim", int(left), bytes(text), values]:
            claim, detail = read_claim(decoded(text), wanted.token)
            if claim is Claimed.PENDING and left >= 0:
                detail = str(left + 1)
            return Began(claim=claim, detail=detail, values=_values(values))
        case [b"full", int(odd), int(number), int(left), values]:
            refused = number, remaining(left, wanted.quotas[number].window)
            return Began(refused=refused, quota_error=_odd(odd), values=_values(values))
        case [b"wrong", bytes(text)]:
            raise answered(text.decode(errors="replace"), place)
        case _:
            raise StateSerializationError("expected an answer of the script, found something else")


def _odd(odd: int) -> StateError | None:
    return StateSerializationError("expected a count, found something else") if odd else None


def _values(values: Sequence[bytes | None]) -> tuple[str | None, ...]:
    # What was taken along with them is held: a text that is none must not look like a failure.
    return tuple([None if value is None else _readable(value) for value in values])


def _readable(value: bytes) -> str:
    try:
        return decoded(value)
    except StateSerializationError:
        return value.decode(errors="replace")
