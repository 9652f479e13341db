"""`startline race report`: what was promised of raced requests beside what came, and what racing was worth."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.output import dollars, moment, remark, say_facts, say_json, say_table
from appliance.cli.place import Place, json_option, with_place
from appliance.cli.race_read import read_races, which_races
from appliance.cli.race_view import saving

if TYPE_CHECKING:
    from appliance.policy.binomial import Share
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


def facts(found: "Report") -> list[tuple[str, str]]:
    """The figures that matter most, in words."""
    money, left = found.money, found.left_early
    paid = dollars(money.nanos) or ""
    ended = [("last bytes in time", told(found.ended))] if found.ended.count else []
    return [
        ("period (UTC)", f"{moment(found.since_unix_s)} to {moment(found.until_unix_s)}"),
        ("raced requests", f"{found.all.requests}" + (f", {left} ended by their callers before it" if left else "")),
        ("deadlines met", f"{told(found.all.met)}; the target was {percent(found.all.target, 2)} in the mean"),
        *ended,
        ("answered by the cheap rung", told(found.flex)),
        ("dearer rung asked", told(found.launched)),
        ("paid", f"{paid}; always default {dollars(money.default_nanos)}: {saving(money.nanos, money.default_nanos)}"),
        ("of that for losers", _part(money.losers_nanos, money.nanos)),
        ("of that to learn", _part(money.explored_nanos, money.nanos)),
        ("cost not known", f"{money.unknown} requests, which are in none of these sums"),
    ]


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


def percent(share: float, digits: int = 1) -> str:
    """A share as people read it."""
    return f"{share * 100:.{digits}f} %"


def bounds(share: "Share") -> str:
    """Between what bounds it lies."""
    return f"{share.low * 100:.2f} to {share.high * 100:.2f} %"


def told(share: "Share") -> str:
    """A share with its bounds."""
    if share.count == 0:
        return "none that can be judged"
    return f"{percent(share.share, 2)} of {share.count} ({bounds(share)})"


def _part(nanos: int, whole_nanos: int) -> str:
    return f"{dollars(nanos)} ({percent(nanos / whole_nanos, 2) if whole_nanos else '–'})"
