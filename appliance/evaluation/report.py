"""The result as a Markdown table and as a picture. The rule: every cell stands in it, the broken promises by name."""

from collections.abc import Iterable
from html import escape
from statistics import fmean

from appliance.evaluation.study import Cell
from appliance.evaluation.verdict import Mean, Verdict, judge

COLOURS = {
    "always_default": "#888888",
    "always_flex": "#bbbbbb",
    "switch": "#c77f00",
    "fixed_hedge": "#b04a9a",
    "p95_hedge": "#d62728",
    "single_r": "#7fc97f",
    "clairvoyant": "#2ca02c",
    "ours": "#1f4fd0",
}
ROW, LEFT, WIDTH = 18, 330, 1000
LEAST, MOST = 0.6, 1.8
HEAD = "| world | deadline, target, losers billed, price of flex | start rate | cost | of the best launch | "
OTHERS = ("always_default", "switch", "fixed_hedge", "p95_hedge", "single_r", "clairvoyant")


def markdown(cells: Iterable[Cell]) -> str:
    """One row for each cell: ours, and of the others start rate / cost."""
    lines = [HEAD + " | ".join(OTHERS) + " | holds |", "|" + "---|" * (6 + len(OTHERS))]
    for cell in cells:
        verdict = judge(cell)
        held = "; ".join(verdict.broken) or ("yes" if verdict.attainable else "not attainable")
        others = " | ".join(f"{_mean(cell, name, 'start'):.3f} / {_mean(cell, name, 'cost'):.3f}" for name in OTHERS)
        lines.append(
            f"| {cell.world} | {_setting(cell)} | {_told(verdict.start, 4)} | {_told(verdict.cost, 3)} "
            f"| {_told(verdict.ratio, 3)} | {others} | {held} |"
        )
    return "\n".join(lines) + "\n"


def summary(verdicts: list[Verdict]) -> str:
    """How many cells hold all promises."""
    judged = [one for one in verdicts if one.attainable]
    held = sum(not one.broken for one in judged)
    worst = max((one.ratio.value for one in judged), default=1.0)
    rest = len(verdicts) - len(judged)
    return (
        f"{held} of {len(judged)} cells hold every promise; in {rest} more no single launch meets the target. "
        f"Dearest beside the best launch: {worst:.3f}."
    )


def picture(cells: list[Cell]) -> str:
    """Costs by the best single launch's, one row a cell; hollow where the target is missed by 0.2 points and more."""
    height = ROW * (len(cells) + 3)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 40}" height="{height}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="white"/>'
    )
    parts = [head]
    for nth, (name, colour) in enumerate(COLOURS.items()):
        parts.append(f'<circle cx="{20 + nth * 120}" cy="12" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{30 + nth * 120}" y="16">{name}</text>')
    for mark in (0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8):
        parts.append(f'<text x="{_x(mark) - 8:.0f}" y="{ROW * 2}">{mark:g}</text>')
        parts.append(f'<path d="M{_x(mark):.1f} {ROW * 2 + 4}V{height}" stroke="#dddddd"/>')
    for nth, cell in enumerate(cells):
        y = ROW * (nth + 3)
        best = _mean(cell, "best_launch", "cost")
        parts.append(f'<text x="8" y="{y + 4}">{escape(cell.world)}: {escape(_setting(cell))}</text>')
        for name, colour in COLOURS.items():
            missed = _mean(cell, name, "start") < cell.setting.target - 0.002
            fill = "white" if missed else colour
            x = _x(_mean(cell, name, "cost") / best)
            parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="{fill}" stroke="{colour}" stroke-width="1.5"/>')
    return "\n".join([*parts, "</svg>\n"])


def _x(ratio: float) -> float:
    return LEFT + (min(max(ratio, LEAST), MOST) - LEAST) / (MOST - LEAST) * (WIDTH - LEFT)


def _mean(cell: Cell, policy: str, field: str) -> float:
    return fmean(getattr(one, field) for one in cell.figures[policy])


def _told(mean: Mean, digits: int) -> str:
    return f"{mean.value:.{digits}f} ± {mean.margin:.{digits}f}"


def _setting(cell: Cell) -> str:
    one = cell.setting
    return f"{one.window_s:g} s, {one.target:g}, {one.billed:g}, {one.price:g}"
