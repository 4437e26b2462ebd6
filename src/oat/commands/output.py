"""Output: tables on a terminal, never cut however narrow it is; plain lines with tabs where a program reads."""

import sys
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

MAX_WIDTH = 10_000
"""Columns that a table may need: more than any value has."""


class Output(Console):
    """The standard output; a pipe that is closed is an error like others, which ends the command."""

    def on_broken_pipe(self) -> None:
        """Leave the error to the command."""
        raise  # noqa: PLE0704 (Rich calls this where it has caught the error)


def print_rows(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print `rows` under their `headers`; where it is no terminal, without these and with tabs between values."""
    if not sys.stdout.isatty():
        for row in rows:
            print(*map(printable, row), sep="\t")
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        table.add_column(header, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row))
    if not table.rows:
        table.caption = "none"
    print_whole(table)


def pairs_table(pairs: Iterable[tuple[str, object]], title: str | None = None) -> Table:
    """Return a table of names and values for a terminal."""
    table = Table(show_header=False, title=title, title_justify="left")
    for name, value in pairs:
        table.add_row(Text(printable(name)), Text(printable(value)))
    return table


def print_pairs(pairs: Iterable[tuple[str, object]], title: str | None = None) -> None:
    """Print names and values: a table on a terminal, else a line each, with a tab between them."""
    if sys.stdout.isatty():
        print_whole(pairs_table(pairs, title))
        return
    for name, value in pairs:
        print(printable(name), printable(value), sep="\t")


def print_whole(renderable: RenderableType) -> None:
    """Print to the terminal, which wraps what is wider than itself."""
    console = Output()
    needed = console.measure(renderable, options=console.options.update(max_width=MAX_WIDTH)).maximum
    Output(width=max(console.width, needed)).print(renderable, crop=False)


def printable(value: object) -> str:
    """Return the text of `value` in one line, with signs that a terminal would act upon escaped."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(value))
