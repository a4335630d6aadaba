"""Where actions go that could not be delivered."""

from abc import ABC, abstractmethod
from collections import deque
from datetime import datetime

from attrs import define, field, frozen
from attrs.validators import ge

from acteon.core import Action


@frozen(kw_only=True)
class DeadLetter:
    """An action that was given up.

    Attributes:
        action: It, as `target` was to have it.
        error: Why the last attempt failed.
        code: What kind of failure that was, in capitals.
        attempts: How many calls were made.
        timestamp: When it was given up.
        target: Who was to deliver it: its provider, the one that a rule or a circuit sent it to
            instead, or a member of a group.
    """

    action: Action
    error: str
    code: str
    attempts: int
    timestamp: datetime
    target: str = ""


class DeadLetterSink(ABC):
    """Keeps dead letters until somebody takes them out.

    A sink is true even when it is empty.
    """

    @abstractmethod
    async def push(self, letter: DeadLetter) -> None:
        """Keep `letter`. What this raises is logged, and the letter is lost."""

    @abstractmethod
    async def drain(self, limit: int | None = None) -> tuple[DeadLetter, ...]:
        """Take out and return the oldest letters, the oldest first; no two callers get the same.

        Args:
            limit: At most so many; None for all.
        """

    @abstractmethod
    def __len__(self) -> int:
        """Return how many letters there are, as far as this process knows."""

    def __bool__(self) -> bool:
        return True


@define(eq=False)
class MemoryDeadLetters(DeadLetterSink):
    """Keeps them in the memory of this process: they end with it.

    Attributes:
        max_letters: How many it keeps; beyond that the oldest are dropped.
        dropped: How many were dropped so far.
    """

    max_letters: int = field(default=10_000, validator=ge(1))
    dropped: int = field(default=0, init=False)
    _letters: deque[DeadLetter] = field(factory=deque[DeadLetter], init=False, repr=False)

    async def push(self, letter: DeadLetter) -> None:
        if len(self._letters) >= self.max_letters:
            self._letters.popleft()
            self.dropped += 1
        self._letters.append(letter)

    async def drain(self, limit: int | None = None) -> tuple[DeadLetter, ...]:
        count = len(self._letters) if limit is None else min(max(limit, 0), len(self._letters))
        return tuple(self._letters.popleft() for _ in range(count))

    def __len__(self) -> int:
        return len(self._letters)
