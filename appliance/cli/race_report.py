"""`startline race report`: what was promised of raced requests beside what came, and what racing was worth."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.output import dollars, remark, say_facts, say_json, say_table
from appliance.cli.place import Place, json_option, with_place
from appliance.cli.race_read import read_races, which_races
from appliance.cli.race_view import saving
from appliance.cli.race_words import bounds, facts, percent

if TYPE_CHECKING:
    from appliance.policy.calibration import Line, Report

MOST_RACES = 200_000


@click.command("report", epilog="Example: startline race report --since 7d --html report.html")
@with_place
@which_races(MOST_RACES)
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write it as a page, with plots.")
@json_option
def race_report(place: Place, as_json: bool, page: Path | None, **which: Any) -> None:
    """Show deadlines met, forecasts beside what came, and what racing saved, of recorded races."""
    import msgspec

    from appliance.policy.calibration import report

    found = report(read_races(place, **which))
    if page is not None:
        from appliance.cli.race_page import race_page

        try:
            page.write_text(race_page(found), encoding="utf-8")
        except OSError as fault:
            raise click.ClickException(f"{page}: {fault.strerror}") from None
        remark(f"written to {page}")
    if as_json:
        say_json(msgspec.to_builtins(found))
    elif page is None:
        _say(found)


def _say(found: "Report") -> None:
    say_facts(facts(found))
    if found.buckets:
        click.echo("\nchance of starting in time, as predicted and as it came")
        say_table(
            ("predicted", ">requests", ">mean", ">bound planned with", ">achieved", "95 % bounds", "holds"),
            [
                (
                    f"{percent(one.low, 1)} to {percent(one.high, 1)}",
                    one.achieved.count,
                    percent(one.predicted, 2),
                    percent(one.least, 2),
                    percent(one.achieved.share, 2),
                    bounds(one.achieved),
                    "yes" if one.right else "NO",
                )
                for one in found.buckets
            ],
        )
    for title, rows in (("target", found.targets), ("model", found.models)):
        click.echo()
        _lines(title, rows)
    click.echo()
    say_table(("how it came", ">requests"), found.reasons)
    if found.plans:
        click.echo()
        say_table(("why it was planned so", ">requests"), found.plans)


def _lines(title: str, rows: "tuple[Line, ...]") -> None:
    say_table(
        (title, ">requests", ">met", "95 % bounds", ">target", "kept", ">paid", "saved"),
        [
            (
                row.name,
                row.requests,
                percent(row.met.share, 2),
                bounds(row.met),
                percent(row.target, 2),
                "yes" if row.kept else "NO",
                dollars(row.nanos),
                saving(row.nanos, row.default_nanos),
            )
            for row in rows
        ],
    )
