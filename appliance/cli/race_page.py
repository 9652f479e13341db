"""The report of races as one HTML file with plots. The rule: no script, nothing from outside, all text escaped."""

from collections.abc import Sequence
from html import escape
from math import log10

from appliance.cli.output import dollars, moment
from appliance.cli.race_words import bounds, facts, percent
from appliance.evaluation.chart import Axis, Chart
from appliance.policy.calibration import Bucket, Line, Report

BLUE, RED, GREY, GREEN = "#1f4fd0", "#c0392b", "#888888", "#2e8b57"

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:60rem;margin:2rem auto;
padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;margin:.5rem 0}
td,th{padding:.2rem .8rem .2rem 0;text-align:left;border-bottom:1px solid #eee;vertical-align:top}
svg{max-width:100%;height:auto}.no{color:#c0392b;font-weight:600}"""

_ABOUT_DOTS = (
    "Each dot is a part of the period with about as many requests as the others; "
    "hollow: below its target by more than chance explains."
)
_MET = "met, with 95 % bounds"


def race_page(found: Report) -> str:
    """The page."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Startline: races</title>',
        f"<style>{_STYLE}</style></head><body><h1>Races: what was promised, and what came</h1>",
        _table((), [(name, text) for name, text in facts(found)]),
        "<h2>Deadlines met over time</h2>",
        f"<p>{_ABOUT_DOTS}</p>",
        _met_over_time(found.slices),
        "<h2>What was paid over time</h2>",
        _paid_over_time(found.slices),
        "<h2>Forecasts</h2>",
        _forecasts(found.buckets) if found.buckets else "<p>No forecast is recorded in this period.</p>",
        "<h2>By target, by model</h2>",
        _lines("target", found.targets),
        _lines("model", found.models),
        "<h2>How they came</h2>",
        _table(("how it came", "requests"), [(word, str(count)) for word, count in found.reasons]),
        _table(("why it was planned so", "requests"), [(word, str(count)) for word, count in found.plans]),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _met_over_time(slices: tuple[Line, ...]) -> str:
    floor = max(min([line.met.low for line in slices] + [line.target for line in slices]) - 0.02, 0.0)
    marks = tuple(floor + (1.0 - floor) * nth / 4 for nth in range(5))
    chart = Chart("started in time", _times(slices), Axis("share", floor, 1.0, marks, lambda value: percent(value)))
    middle = [(nth + 0.5, line) for nth, line in enumerate(slices)]
    chart.line([(at, line.target) for at, line in middle], GREY, "target", dashed=True)
    for at, line in middle:
        if line.met.count:
            chart.dot(at, line.met.share, line.met.low, line.met.high, BLUE, _MET, hollow=not line.kept)
    return chart.svg()


def _paid_over_time(slices: tuple[Line, ...]) -> str:
    most = max([line.default_nanos for line in slices] + [line.nanos for line in slices] + [1])
    marks = tuple(most * nth / 4 for nth in range(5))
    chart = Chart("paid, beside always default", _times(slices), Axis("dollars", 0.0, most, marks, _usd))
    for nth, line in enumerate(slices):
        chart.bar(nth + 0.32, 0.32, 0.0, line.default_nanos, "#cccccc", "always default")
        chart.bar(nth + 0.68, 0.32, 0.0, line.nanos, GREEN, "paid")
    return chart.svg()


def _usd(value: float) -> str:
    return dollars(round(value), 4) or ""


def _times(slices: tuple[Line, ...]) -> Axis:
    count = len(slices)
    marks = tuple(sorted({round(count * nth / 4) for nth in range(4)}))

    def say(mark: float) -> str:
        return (moment(float(slices[int(mark)].name)) or "")[:16] if mark < count else ""

    return Axis("from (UTC)", 0.0, count, marks, say)


def _forecasts(buckets: tuple[Bucket, ...]) -> str:
    """Predicted against achieved, on a scale that is finer towards 1, where targets are."""

    def bent(value: float) -> float:
        return -log10(1.0 - min(value, 0.9995))

    marks = (0.0, 0.5, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
    axis = Axis("predicted", 0.0, 0.9995, marks, lambda value: f"{value * 100:g}", bent)
    other = Axis("achieved, %", 0.0, 0.9995, marks, lambda value: f"{value * 100:g}", bent)
    chart = Chart("predicted and achieved, %", axis, other, 480, 440)
    chart.line([(nth / 2000, nth / 2000) for nth in range(2000)], GREY, "as predicted", dashed=True)
    for one in buckets:
        colour = BLUE if one.right else RED
        chart.dot(one.predicted, one.achieved.share, one.achieved.low, one.achieved.high, colour,
                  "holds" if one.right else "does not hold")  # fmt: skip
    rows = [
        (
            f"{percent(one.low, 1)} to {percent(one.high, 1)}", str(one.achieved.count), percent(one.predicted, 2),
            percent(one.least, 2), percent(one.achieved.share, 2), bounds(one.achieved), "yes" if one.right else "NO",
        )
        for one in buckets
    ]  # fmt: skip
    columns = ("predicted", "requests", "mean", "bound planned with", "achieved", "95 % bounds", "holds")
    return chart.svg() + _table(columns, rows)


def _lines(title: str, rows: tuple[Line, ...]) -> str:
    return _table(
        (title, "requests", "met", "95 % bounds", "target", "kept", "paid", "always default"),
        [
            (
                row.name, str(row.requests), percent(row.met.share, 2), bounds(row.met), percent(row.target, 2),
                "yes" if row.kept else "NO", dollars(row.nanos) or "", dollars(row.default_nanos) or "",
            )
            for row in rows
        ],
    )  # fmt: skip


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    head = f"<tr>{''.join(f'<th>{escape(column)}</th>' for column in columns)}</tr>" if columns else ""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"


def _cell(text: str) -> str:
    return f'<td class="no">{text}</td>' if text == "NO" else f"<td>{escape(text)}</td>"
