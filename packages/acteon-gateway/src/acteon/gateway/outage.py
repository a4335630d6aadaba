"""Telling once that the state store fails, however many dispatches fail with it.

That its server is away is told by the backend itself, which knows where and why.
"""

import logging
from typing import Final

from attrs import define, field

from acteon.core import Clock
from acteon.state import StateConnectionError, StateError

log = logging.getLogger(__name__)

_WHOLE: Final = 10
"""Seconds from which on decimals are of no interest."""


@define(eq=False)
class Outage:
    """Whether the state store fails, as those who ask it find out.

    Attributes:
        clock: Measures how long it failed.
        failing: What it failed with at first; None while it works.
    """

    clock: Clock
    failing: StateError | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)

    def failed(self, error: StateError) -> bool:
        """Note that it failed; tell, unless that is known, or its backend tells.

        Returns:
            Whether the store failed: an entry that is not what it should be is no failure of it.
        """
        if not error.retryable:
            return False
        if self.failing is not None:
            return True
        self.failing = error
        self._since = self.clock.monotonic()
        if isinstance(error, StateConnectionError):
            return True
        log.warning(
            "the state store fails: dispatches that need it end with an error until it works again",
            extra={"acteon.error": str(error)},
        )
        return True

    def worked(self, *, wrote: bool) -> None:
        """Note that it worked; tell, if it did not.

        Args:
            wrote: Whether something was written. A store that answers may refuse to write still.
        """
        failing = self.failing
        if failing is None:
            return
        if isinstance(failing, StateConnectionError):
            self.failing = None
            return
        if not wrote:
            return
        self.failing = None
        seconds = self.clock.monotonic() - self._since
        log.info(
            "the state store works again",
            extra={"acteon.seconds": round(seconds, 0 if seconds >= _WHOLE else 1)},
        )
