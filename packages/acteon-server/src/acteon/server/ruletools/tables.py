"""Tables for people: drawn on a terminal, plain columns elsewhere."""

import sys
from collections.abc import Sequence
from itertools import zip_longest

import click

from acteon.server.lines import one_line

Row = Sequence[Sequence[str]]
"""The cells of a row, each with its lines."""


def show_table(heads: Sequence[str], rows: Sequence[Row]) -> None:
    """Print a table to stdout."""
    if sys.stdout.isatty():
        _draw(heads, rows)
    else:
        click.echo(plain_table(heads, rows))


def plain_table(heads: Sequence[str], rows: Sequence[Row]) -> str:
    """Return a table in columns that are two blanks apart."""
    lines: list[list[str]] = [list(heads)]
    for row in rows:
        lines += [[one_line(line) for line in cells] for cells in zip_longest(*row, fillvalue="")]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
    return "\n".join(line.rstrip() for line in padded)


def _draw(heads: Sequence[str], rows: Sequence[Row]) -> None:
    # It takes a while to import, and programs that read our output do without.
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(head.capitalize(), overflow="fold")
    for row in rows:
        table.add_row(*(Text("\n".join(one_line(line) for line in cell)) for cell in row))
    Console().print(table)
