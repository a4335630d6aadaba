"""Tables whose rows are printed as they come, alike with and without a terminal."""

from typing import NoReturn

from attrs import frozen
from rich.console import Console
from rich.table import Table
from rich.text import Text

COLOURS = {
    "executed": "green",
    "rerouted": "cyan",
    "deduplicated": "yellow",
    "suppressed": "yellow",
    "throttled": "yellow",
}


class OutputClosedError(Exception):
    """Nobody reads any more what is printed, as behind `| head`."""


class Output(Console):
    """Prints texts as they are; who reads may go away at any time."""

    def __init__(self) -> None:
        super().__init__(highlight=False, markup=False)

    def on_broken_pipe(self) -> NoReturn:
        """Raise an error in place of `SystemExit`, which would tear the event loop down."""
        try:
            super().on_broken_pipe()
        finally:
            raise OutputClosedError("nobody reads the output")


@frozen
class GrowingTable:
    """Prints its head when it is made, and each row when it is added.

    Attributes:
        console: Where to.
        columns: The title of each, and its width in characters.
    """

    console: Output
    columns: dict[str, int]

    def __attrs_post_init__(self) -> None:
        self._print([Text(title, "bold") for title in self.columns])
        self._print([Text("-" * width, "dim") for width in self.columns.values()])

    def add(self, *cells: str) -> None:
        """Print a row."""
        self._print([Text(cell, COLOURS.get(cell.lower(), "")) for cell in cells])

    def _print(self, cells: list[Text]) -> None:
        table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        for width in self.columns.values():
            table.add_column(width=width, overflow="fold")
        table.add_row(*cells)
        self.console.print(table)
