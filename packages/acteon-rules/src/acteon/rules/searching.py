r"""Searching a text for a pattern, in a few milliseconds or not at all.

RE2 takes time linear in the text, yet every byte may cost as much as the pattern is large,
repetitions written out: `\w{1,255}@` takes hundreds of steps a byte when it is slow. Nearly
always it is fast, as RE2 remembers what followed what: a byte then takes two nanoseconds whatever
the pattern. Which of both it will be cannot be told beforehand, and a search cannot be interrupted.

So a long text is searched in windows first, each so short that it cannot take long, until they
have taken too much time together. If they were fast, the whole text is searched, with what RE2 has
learnt; it can be slow only if what a byte costs depends on others further away than a window.
Patterns beyond some thousand instructions are not compiled in the first place.
"""

from collections.abc import Callable
from time import thread_time_ns
from typing import Any, Final

from attrs import frozen

from acteon.rules.errors import EvaluationError

MAX_STEPS: Final = 100_000
"""Instructions times bytes of a search that is always made: 2 ms at 20 ns, the slowest seen."""
MIN_WINDOW: Final = 32
"""Bytes of the shortest window."""
_MAX_NANOSECONDS: Final = 3_000_000
"""Processor time of the windows together."""


@frozen(eq=False)
class Search:
    """Tells in which texts a pattern is found.

    Attributes:
        search: Finds the first match in UTF-8 from a place on.
        size: How many instructions a byte may take, at most.
        max_steps: Instructions times bytes of a search that is always made.
        min_window: Bytes of the shortest window.
    """

    search: Callable[[bytes, int], Any]
    size: int
    max_steps: int = MAX_STEPS
    min_window: int = MIN_WINDOW

    def found_in(self, text: str) -> bool:
        """Return whether the pattern is found in `text`.

        Raises:
            EvaluationError: That would take too long, or the text is no valid Unicode.
        """
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise EvaluationError("matches: the text is no valid Unicode") from None
        if len(data) * self.size <= self.max_steps:
            return self.search(data, 0) is not None
        window = max(self.min_window, self.max_steps // (2 * self.size))
        return self._found_in_windows(data, window) or self.search(data, 0) is not None

    def _found_in_windows(self, data: bytes, window: int) -> bool:
        """Return whether the pattern is found inside a window, for sure.

        Raises:
            EvaluationError: The windows take too long.
        """
        end = len(data)
        began = thread_time_ns()
        for start in range(0, end, window):
            piece = data[start : start + window]
            match = self.search(piece, 0)
            if match is not None and match.start() == 0 and start > 0:
                match = self.search(piece, 1)  # The text does not begin here, as `^` might think.
            # Nor does it end here, unless it does.
            if match is not None and (match.end() < len(piece) or start + window >= end):
                return True
            if thread_time_ns() - began > _MAX_NANOSECONDS:
                raise EvaluationError(
                    f"matches: this pattern takes too long for a text of {end} bytes; "
                    "use shorter repetitions, or several patterns"
                )
        return False
