"""Telling once that the state store fails, however many dispatches fail with it."""

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

    def failed(self, error: StateError) -> None:
        """Note that it failed; tell, unless that is known.

        An entry that is not what it should be is no failure of the store.
        """
        if self.failing is not None or not error.retryable:
            return
        self.failing = error
        self._since = self.clock.monotonic()
        log.warning(
            "the state store fails: dispatches that need it end with an error until it works again",
            extra={"acteon.error": str(error)},
        )

    def worked(self, *, wrote: bool) -> None:
        """Note that it worked; tell, if it did not.

        Args:
            wrote: Whether something was written. A store that answers may refuse to write still.
        """
        if self.failing is None or not (wrote or isinstance(self.failing, StateConnectionError)):
            return
        self.failing = None
        seconds = self.clock.monotonic() - self._since
        log.info(
            "the state store works again",
            extra={"acteon.seconds": round(seconds, 0 if seconds >= _WHOLE else 1)},
        )
