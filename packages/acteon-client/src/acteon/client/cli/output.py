"""What a command tells: tables for people, JSON for programs."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

from attrs import define, field

_COLORS: Final[Mapping[str, str]] = {
    "executed": "32",
    "rerouted": "32",
    "deduplicated": "36",
    "suppressed": "33",
    "throttled": "33",
    "failed": "31",
    "error": "31",
}
_BAR: Final = 24


@define(eq=False)
class Output:
    """Where a command tells what.

    Attributes:
        as_json: Whether to tell JSON.
        out: For results.
        err: For everything else.
    """

    as_json: bool = False
    out: TextIO = field(factory=lambda: sys.stdout)
    err: TextIO = field(factory=lambda: sys.stderr)

    def line(self, text: str) -> None:
        """Tell a line of the result."""
        self.out.write(f"{text}\n")

    def note(self, text: str) -> None:
        """Tell something beside the result."""
        self.err.write(f"{text}\n")

    def json(self, value: Any) -> None:
        """Tell `value` as JSON."""
        self.line(json.dumps(value, indent=2, ensure_ascii=False, default=str))

    def json_line(self, value: Any) -> None:
        """Tell `value` as JSON in one line, at once."""
        self.line(json.dumps(value, ensure_ascii=False, default=str))
        self.out.flush()

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Tell `rows` below `heads`, in columns; nothing is cut."""
        cells = [[_cell(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
        for row in [list(heads), *cells]:
            padded = [
                self._colored(cell) + " " * (width - len(cell))
                for cell, width in zip(row, widths, strict=True)
            ]
            self.line("  ".join(padded).rstrip(" "))

    def _colored(self, cell: str) -> str:
        color = _COLORS.get(cell) if self.colors else None
        return cell if color is None else f"\x1b[{color}m{cell}\x1b[0m"

    @property
    def colors(self) -> bool:
        """Whether the result is read by somebody who sees colors."""
        return self.out.isatty() and not os.environ.get("NO_COLOR")


def _cell(value: object) -> str:
    text = "-" if value is None or value == "" else str(value)
    # One record is one line, whatever its texts hold.
    return text if text.isprintable() else repr(text)[1:-1]


@define(eq=False)
class Progress:
    """How far a long command has come, for people at a terminal.

    Attributes:
        file: Where it is told, if that is a terminal.
        total: How many there are; None if nobody knows.
        done: How many are done.
    """

    file: TextIO
    total: int | None = None
    done: int = 0
    _shown: int = field(default=-1, init=False)

    def advance(self) -> None:
        """Count one, and tell it now and then."""
        self.done += 1
        if self.file.isatty() and self.done - self._shown >= 10:
            self._show()

    def end(self) -> None:
        """Tell the last count, and leave the line."""
        if self.file.isatty() and self.done:
            self._show()
            self.file.write("\n")

    def _show(self) -> None:
        self._shown = self.done
        if self.total:
            filled = _BAR * self.done // self.total
            bar = "█" * filled + "·" * (_BAR - filled)
            self.file.write(f"\r{bar} {self.done}/{self.total}")
        else:
            self.file.write(f"\r{self.done} …")
        self.file.flush()
