"""The result as a Markdown table and as pictures. The rule: every cell stands in it, the broken promises by name."""

from collections.abc import Callable, Iterable
from html import escape
from math import log10
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
COST_MARKS = (0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8)
LATE_MARKS = (0.01, 0.1, 1.0, 10.0, 100.0)
HEAD = "| world | deadline, target, losers billed, price of flex | start rate | cost | of the best launch | "
OTHERS = ("always_default", "always_flex", "switch", "fixed_hedge", "p95_hedge", "single_r", "clairvoyant")


def markdown(cells: Iterable[Cell]) -> str:
    """One row for each cell: ours, and of the others start rate / cost."""
    lines = [HEAD + " | ".join(OTHERS) + " | holds |", "|" + "---|" * (6 + len(OTHERS))]
    for cell in cells:
        verdict = judge(cell)
        held = "; ".join(verdict.broken) or _held(verdict)
        others = " | ".join(f"{_mean(cell, name, 'start'):.3f} / {_mean(cell, name, 'cost'):.3f}" for name in OTHERS)
        lines.append(
            f"| {cell.world} | {_setting(cell)} | {_told(verdict.start, 4)} | {_told(verdict.cost, 3)} "
            f"| {_told(verdict.ratio, 3)} | {others} | {held} |"
        )
    return "\n".join(lines) + "\n"


def summary(verdicts: list[Verdict]) -> str:
    """How many cells hold all promises."""
    judged = [one for one in verdicts if one.attainable > 0.0]
    held = sum(not one.broken for one in judged)
    worst = max((one.ratio.value for one in judged), default=1.0)
    rest = len(verdicts) - len(judged)
    return (
        f"{held} of {len(judged)} cells hold every promise; in {rest} more no single launch meets the target. "
        f"Dearest beside the best launch: {worst:.3f}."
    )


def pictures(cells: list[Cell]) -> dict[str, str]:
    """By file name: what each policy costs, and how often it is late; a row a cell, a dot a policy."""
    return {
        "costs.svg": _picture(cells, "cost, by that of the best single launch", COST_MARKS, _cost_at),
        "late.svg": _picture(cells, "late starts, by those that the target allows", LATE_MARKS, _late_at),
    }


def _picture(cells: list[Cell], about: str, marks: tuple[float, ...], at: Callable[[Cell, str], float]) -> str:
    """Hollow where the target is missed by 0.2 points and more. `at`: a policy's place, 0 to 1."""
    height = ROW * (len(cells) + 3)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 40}" height="{height}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="white"/>'
    )
    parts = [head]
    for nth, (name, colour) in enumerate(COLOURS.items()):
        parts.append(f'<circle cx="{20 + nth * 120}" cy="12" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{30 + nth * 120}" y="16">{name}</text>')
    parts.append(f'<text x="8" y="{ROW * 2}">{about}</text>')
    for nth, mark in enumerate(marks):
        x = _x(nth / (len(marks) - 1))
        parts.append(f'<text x="{x - 8:.0f}" y="{ROW * 2}">{mark:g}</text>')
        parts.append(f'<path d="M{x:.1f} {ROW * 2 + 4}V{height}" stroke="#dddddd"/>')
    for nth, cell in enumerate(cells):
        y = ROW * (nth + 3)
        parts.append(f'<text x="8" y="{y + 4}">{escape(cell.world)}: {escape(_setting(cell))}</text>')
        for name, colour in COLOURS.items():
            missed = _mean(cell, name, "start") < cell.setting.target - 0.002
            fill = "white" if missed else colour
            x = _x(at(cell, name))
            parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="{fill}" stroke="{colour}" stroke-width="1.5"/>')
    return "\n".join([*parts, "</svg>\n"])


def _x(place: float) -> float:
    return LEFT + min(max(place, 0.0), 1.0) * (WIDTH - LEFT)


def _cost_at(cell: Cell, name: str) -> float:
    ratio = _mean(cell, name, "cost") / _mean(cell, "best_launch", "cost")
    return (ratio - COST_MARKS[0]) / (COST_MARKS[-1] - COST_MARKS[0])


def _late_at(cell: Cell, name: str) -> float:
    """The marks are powers of ten."""
    late = (1.0 - _mean(cell, name, "start")) / (1.0 - cell.setting.target)
    return (log10(max(late, LATE_MARKS[0])) - log10(LATE_MARKS[0])) / (len(LATE_MARKS) - 1)


def _held(verdict: Verdict) -> str:
    if verdict.attainable >= 1.0:
        return "yes"
    return f"yes; attainable in {verdict.attainable:.0%} of the run" if verdict.attainable > 0.0 else "not attainable"


def _mean(cell: Cell, policy: str, field: str) -> float:
    return fmean(getattr(one, field) for one in cell.figures[policy])


def _told(mean: Mean, digits: int) -> str:
    return f"{mean.value:.{digits}f} ± {mean.margin:.{digits}f}"


def _setting(cell: Cell) -> str:
    one = cell.setting
    return f"{one.window_s:g} s, {one.target:g}, {one.billed:g}, {one.price:g}"
