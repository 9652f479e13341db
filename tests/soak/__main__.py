"""The soak: `python -m tests.soak [--minutes 30] [--seed N] [--json FILE]`, from the root of the checkout.

Measures how many requests a second a real server and this load can do together, then gives it half of that for so
many minutes, with faults: providers that are cut, reset, silent, full, or speak garbage; clients that leave at any
moment or stop reading; an operator who makes and revokes keys, changes providers, reads reports; an archive that
rotates. Prints the slopes of memory, descriptors and tasks with 95 % confidence. Exit status: 0 nothing grows and
nothing is left at the end, 1 something does or is.
"""

import json
import signal
import sys
import tempfile
from pathlib import Path

import click
import trio

from tests.bench.processes import raise_file_limit
from tests.soak.soaking import Report, soak


@click.command()
@click.option("--minutes", default=30.0, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the samples here.")
def main(minutes: float, seed: int, json_file: Path | None) -> None:
    """Soak a server, and say what grows."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # which trio knows how to end by
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="startline-soak-") as folder:
        report: Report = trio.run(soak, minutes * 60, seed, Path(folder))
    for line in report.lines():
        click.echo(line)
    if json_file is not None:
        json_file.write_text(json.dumps(report.as_json(), indent=1) + "\n", "utf-8")
    for fault in report.faults:
        click.echo(f"FAULT: {fault}")
    sys.exit(1 if report.faults else 0)


if __name__ == "__main__":
    main()
