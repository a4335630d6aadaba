"""Telling once that a server is away, however many calls fail with it, and once that it is back."""

import logging
from time import monotonic

from attrs import define, field

_WHOLE = 10
"""Seconds from which on decimals are of no interest."""


@define(eq=False)
class Outage:
    """Whether a server can be used, as those who call it find out.

    The log gets a warning when it is lost and one line when it is back. Until it answered for the
    first time nothing is told: whoever opens it says why it cannot. A call that was made before
    things changed says nothing of how they are since.

    Attributes:
        log: Where it is told.
        what: What the server is to its users, for the message: "state store".
        where: Its address, without credentials.
    """

    log: logging.Logger
    what: str
    where: str
    _answered: float | None = field(default=None, init=False)
    """When the last call that was answered had been made."""
    _since: float | None = field(default=None, init=False)

    def failed(self, error: object, begun: float) -> bool:
        """Note that a call made at `begun`, on the monotonic clock, did not reach the server.

        Returns:
            Whether the server is lost, as far as is known.
        """
        if self._since is None and self._answered is not None and begun >= self._answered:
            self._since = monotonic()
            self.log.warning(
                "the %s is lost",
                self.what,
                extra={"acteon.where": self.where, "acteon.error": str(error)},
            )
        return self._since is not None

    def answered(self, begun: float) -> None:
        """Note that a call made at `begun`, on the monotonic clock, was answered."""
        if self._since is None:
            if self._answered is None or begun > self._answered:
                self._answered = begun
        elif begun >= self._since:
            away = monotonic() - self._since
            self._since = None
            self._answered = begun
            self.log.info(
                "the %s is back",
                self.what,
                extra={
                    "acteon.where": self.where,
                    "acteon.seconds": round(away, 0 if away >= _WHOLE else 1),
                },
            )
