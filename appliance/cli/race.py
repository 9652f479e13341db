"""`startline race`: what is known of races, and how the deadline engine does in worlds that are made up."""

import sys
from pathlib import Path
from typing import Any

import click

from appliance.cli.output import say_json
from appliance.cli.place import json_option
from appliance.cli.race_replay import race_replay
from appliance.cli.race_report import race_report


@click.group(commands=[race_report, race_replay])
def race() -> None:
    """See what racing is worth."""


@race.command(epilog="Example: startline race simulate --smoke")
@click.option("--smoke", "size", flag_value="smoke", default=True, help="Each world once, seconds (the default).")
@click.option(
    "--standard", "size", flag_value="standard", help="All worlds, three settings each, 20 seeds; 12 min of a core."
)
@click.option("--full", "size", flag_value="full", help="All worlds in all 24 settings, 20 seeds; 100 min of a core.")
@click.option(
    "--served", "size", flag_value="served", help="Three worlds through a real server too, beside virtual time; 4 min."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder for a JSON file per cell, one of all, table and pictures; what lies there is not run again.",
)
@click.option("--part", default="1/1", show_default=True, help="2/3: the second third of the cells, to use more cores.")
@json_option
def simulate(size: str, output: Path | None, part: str, as_json: bool) -> None:
    """Judge the deadline engine and other policies in made-up worlds, on virtual time. Status 1 if a promise breaks."""
    from appliance.cli.race_served import simulate_served
    from appliance.evaluation.report import markdown, pictures, summary
    from appliance.evaluation.results import pack
    from appliance.evaluation.study import SIZES, cells, study
    from appliance.evaluation.verdict import judge

    if size == "served":
        if output is not None or part != "1/1":
            raise click.UsageError("--served leaves no files and has no parts")
        simulate_served(as_json)
        return
    chosen, share = SIZES[size], _part(part)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    steps = sum(nth % share[1] == share[0] - 1 for nth in range(len(cells(chosen)))) * chosen.seeds
    with click.progressbar(length=steps, label="playing", file=sys.stderr) as bar:

        def step() -> None:
            bar.update(1)

        done = list(study(chosen, output, share, step))
    verdicts = [judge(cell) for cell in done]
    if output is not None:
        (output / "table.md").write_text(markdown(done), encoding="utf-8")
        (output / "result.json").write_bytes(pack(done))
        for name, drawn in pictures(done).items():
            (output / name).write_text(drawn, encoding="utf-8")
    if as_json:
        say_json({"cells": _plain(done), "verdicts": _plain(verdicts)})
    else:
        click.echo(markdown(done))
        click.echo(summary(verdicts))
    if any(verdict.broken for verdict in verdicts):
        raise click.exceptions.Exit(1)


def _part(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts):
        return int(part), int(parts)
    raise click.BadParameter("is not like 1/2", param_hint="--part")


def _plain(found: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(found)
