"""What one dispatch asks of the state store: one trip to begin it, one to settle it.

A *claim* on a key says that an action is being delivered, or was. It is written in two phases:
`begin` makes it pending, under a lease; `settle` ends it in one of three ways (`Ending`). Claims
are entries of the store with one of three texts:

| text | meaning |
|---|---|
| `pending:<token>` | being delivered by the holder of the token; expires with the lease |
| `done` | delivered; expires with the time that the settle named |
| `unknown:<instant>` | nobody knows whether it was delivered; expires likewise |
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from typing import Any, ClassVar

from attrs import Attribute, field, frozen

from acteon.state.errors import StateError, StateSerializationError
from acteon.state.keys import StateKey

PENDING = "pending:"
DONE = "done"
UNKNOWN = "unknown:"


@frozen
class Quota:
    """At most `limit` in `window`, counted in the entry `key`; see `StateStore.take`."""

    key: StateKey
    limit: int
    window: timedelta


def _all_differ(_: object, attribute: "Attribute[Any]", quotas: tuple[Quota, ...]) -> None:
    if len(quotas) > 1 and len({quota.key for quota in quotas}) < len(quotas):
        raise ValueError(f"{attribute.name} must each count in an entry of its own")


@frozen(kw_only=True)
class Begin:
    """What one dispatch wants before it may run; all of it or nothing.

    Beginning again with the same token is harmless: what it holds already it keeps, and the
    leases start again. This is how leases are renewed, and how a lost answer is asked for again.

    Attributes:
        token: Names the one who begins; unique.
        lease: How long lock and claim last unless renewed or settled.
        lock: The lock to take, if any.
        claim: The key to claim, if any.
        quotas: What must have room; only if all have, one is counted in each. Their keys differ.
        reads: Entries whose values are wanted as well.
        peek: Change nothing, only tell how things stand: the lock is left out, a claim that
            could be had is told as had, a quota with room as admitting.
    """

    token: str
    lease: timedelta
    lock: str | None = None
    claim: StateKey | None = None
    quotas: tuple[Quota, ...] = field(default=(), validator=_all_differ)
    reads: tuple[StateKey, ...] = ()
    peek: bool = False


class Claimed(Enum):
    """How the wanted claim stands."""

    NONE = "none"
    """None was asked for, or it was not taken: the lock was not free, or a quota had no room."""
    OURS = "ours"
    """It is held now, under the lease."""
    PENDING = "pending"
    """Another one is delivering."""
    DONE = "done"
    """An earlier one was delivered."""
    UNKNOWN = "unknown"
    """An earlier one ended without anybody knowing whether it was delivered."""


@frozen(kw_only=True)
class Began:
    """How a `Begin` went.

    Unless `admitted`, nothing is held that was not held before, and nothing was counted; the
    values were read all the same if the lock was free.

    Attributes:
        busy: How long the lock's other holder has it at the most; None if the lock is held now
            (or none was asked for).
        claim: How the claim stands.
        detail: With `PENDING`, the milliseconds until that lease ends, if known; with
            `UNKNOWN`, the instant as text; otherwise empty.
        refused: The quota that has no room, by its place, and the time until its window closes.
        quota_error: Why a quota could not be asked; the others were, and nothing was undone.
        values: What was read, in the order of `reads`.
        error: Why this element failed by itself; what it holds then is unknown, and the other
            attributes say nothing.
    """

    busy: timedelta | None = None
    claim: Claimed = Claimed.NONE
    detail: str = ""
    refused: tuple[int, timedelta] | None = None
    quota_error: StateError | None = None
    values: tuple[str | None, ...] = ()
    error: StateError | None = None

    @property
    def admitted(self) -> bool:
        """Whether all that was asked for is held."""
        return (
            self.busy is None
            and self.refused is None
            and (self.claim is Claimed.OURS or self.claim is Claimed.NONE)
            and self.error is None
        )


def read_claim(text: str, token: str) -> tuple[Claimed, str]:
    """Return how the claim with the value `text` stands for the holder of `token`, and its detail.

    Raises:
        StateSerializationError: The text is not a claim's.
    """
    if text == DONE:
        return Claimed.DONE, ""
    if text.startswith(PENDING):
        return (Claimed.OURS if text[len(PENDING) :] == token else Claimed.PENDING), ""
    if text.startswith(UNKNOWN):
        return Claimed.UNKNOWN, text[len(UNKNOWN) :]
    raise StateSerializationError(
        f"expected a claim, found a text of {len(text)} characters that is none"
    )


class Ending(Enum):
    """How a claim ends."""

    RELEASE = "release"
    """It is given back: nothing was delivered, another action may run."""
    DONE = "done"
    """It was delivered: later actions are duplicates."""
    UNKNOWN = "unknown"
    """Nobody knows: later actions are told so."""


@frozen(kw_only=True)
class Settle:
    """The end of a dispatch: the claim ends as said, then the lock is released.

    Attributes:
        token: The one that began it.
        lock: The lock to release, if any.
        claim: The claim to end, if any.
        ending: How the claim ends.
        ttl: How long `DONE` and `UNKNOWN` last; `None`: for ever.
        instant: With `UNKNOWN`: when, as RFC 3339 text.
    """

    token: str
    lock: str | None = None
    claim: StateKey | None = None
    ending: Ending = Ending.RELEASE
    ttl: timedelta | None = None
    instant: str = ""

    @property
    def text(self) -> str | None:
        """The text that the claim gets; None removes it."""
        if self.ending is Ending.RELEASE:
            return None
        return DONE if self.ending is Ending.DONE else UNKNOWN + self.instant


class DispatchState(ABC):
    """What the gateway asks of a backend. Optional: see `StateBackend.dispatch`.

    Any two elements of a batch name different locks and different claims; several may name one
    quota. An element that fails by itself (not: the whole trip) must not fail the others: its
    error is its answer.

    Attributes:
        max_batch: How many elements one call takes at the most.
        independent: Whether the elements of a batch have nothing in common, not even the trip.
    """

    max_batch: ClassVar[int] = 64
    independent: ClassVar[bool] = False

    @abstractmethod
    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        """Begin all of `batch`, each atomically; answers are in the order of the batch.

        Raises:
            StateError: The trip failed; what is held then is unknown, and ends with its lease.
        """

    @abstractmethod
    async def settle(self, batch: Sequence[Settle]) -> Sequence[bool | StateError]:
        """Settle all of `batch`; answers are in the order of the batch.

        Lock and claim are settled each by itself: a lost claim does not keep the lock.

        Returns:
            Whether all that was named has been settled, for each. False: the token was stale, or
            its lease over, and what that holds for has not been changed.

        Raises:
            StateError: The trip failed; settling again is harmless.
        """


class LocalDispatchState(DispatchState):
    """A state that lives in this process, where no call ever waits.

    Its calls are no trips: nothing is gained by sharing them, and each is atomic by itself.
    """

    @abstractmethod
    def begin_now(self, wanted: Begin) -> Began:
        """Begin one dispatch; its own failure is the answer's `error`, and has taken nothing."""

    @abstractmethod
    def settle_now(self, settle: Settle) -> bool | StateError:
        """Settle one dispatch; see `settle`."""

    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        return [self.begin_now(wanted) for wanted in batch]

    async def settle(self, batch: Sequence[Settle]) -> Sequence[bool | StateError]:
        return [self.settle_now(settle) for settle in batch]
