"""What commands print: tables for people, JSON for scripts. The rule: results go to standard output, remarks do not."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

NANOS_PER_USD = 1_000_000_000


def say_json(value: object) -> None:
    """Print a value as JSON."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def say_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table; None is a dash. Columns beginning with `>` are aligned to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("–" if cell is None else str(cell)) for cell in row))
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        console.width = 200
    console.print(table)


def say_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one per line."""
    rows = [(name, "–" if value is None else str(value)) for name, value in facts]
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        click.echo(f"{name:<{width}}  {value}")


def remark(text: str) -> None:
    """Say something that is not the result."""
    click.echo(text, err=True)


@contextmanager
def waiting(length: int, label: str) -> Iterator[Callable[[], None]]:
    """A progress bar on standard error, on a terminal alone; the function that is given takes one step."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield lambda: bar.update(1)


def moment(unix_s: float | None) -> str | None:
    """A time as people read it, in UTC."""
    return None if unix_s is None else datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def dollars(nanos: int | None, digits: int = 6) -> str | None:
    """Nano-dollars as dollars, with so many digits after the point."""
    return None if nanos is None else f"${nanos / NANOS_PER_USD:.{digits}f}"


def seconds(value_s: float | None, digits: int = 3) -> str | None:
    """A duration as text."""
    return None if value_s is None else f"{value_s:.{digits}f} s"


def listed(values: Sequence[Any] | None, none: str = "all") -> str:
    """A list as text; None is `none`."""
    return none if values is None else ", ".join(map(str, values)) or "none"
