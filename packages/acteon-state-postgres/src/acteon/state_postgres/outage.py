"""Whether the database can be used, told once when that changes."""

import logging
from time import monotonic

from attrs import define, field

log = logging.getLogger(__name__)


@define(eq=False)
class Outage:
    """Logs one line when the database is lost, and one when it is back."""

    _since: float | None = field(default=None, init=False)
    _quiet: bool = field(default=True, init=False)
    """Until it answered for the first time: whoever opens it says why it cannot."""

    def began(self, error: Exception) -> None:
        """Note that the database failed with `error`."""
        if self._since is None and not self._quiet:
            self._since = monotonic()
            log.warning("the state store is lost", extra={"acteon.error": str(error)})

    def ended(self, where: str) -> None:
        """Note that the database at `where` answered."""
        self._quiet = False
        if self._since is not None:
            seconds, self._since = monotonic() - self._since, None
            log.info(
                "the state store is back",
                extra={"acteon.where": where, "acteon.seconds": round(seconds, 3)},
            )
