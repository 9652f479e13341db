"""The result as a table: one line for each figure, ratio, floor, aim and verdict. The rule: text only, no measuring."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.figures import Budget, Verdict


@dataclass(frozen=True)
class Line:
    """One figure: what the contestants reached, what is judged (a ratio or the figure itself) and against what."""

    what: str
    unit: str
    gateway: float | None
    nginx: float | None = None
    relay: float | None = None
    judged: float | None = None
    budget: Budget | None = None
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Against the budget, or `not judged` where there is none."""
        return self.budget.verdict(self.judged) if self.budget else "not judged"

    def as_json(self) -> dict[str, object]:
        """The line for the file that `--json` writes."""
        return {
            "what": self.what,
            "unit": self.unit,
            "gateway": self.gateway,
            "nginx": self.nginx,
            "relay": self.relay,
            "judged": self.judged,
            "floor": self.budget.floor if self.budget else None,
            "aim": self.budget.aim if self.budget else None,
            "verdict": self.verdict,
            "note": self.note,
        }


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """`ours / theirs`, or None when either is missing or zero."""
    return ours / theirs if ours is not None and theirs else None


def number(value: float | None) -> str:
    """Three significant digits, thousands grouped; a dash for a figure that does not exist."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


HEADINGS = ("", "unit", "gateway", "nginx", "relay", "judged", "floor", "aim", "verdict", "")


def render(lines: Sequence[Line]) -> str:
    """The lines as columns; a column in which nothing was measured is left out."""
    if not lines:
        return "nothing was measured"
    cells = [HEADINGS, *(_cells(line) for line in lines)]
    shown = [column for column in range(len(HEADINGS)) if any(row[column] not in ("", "-") for row in cells[1:])] or [0]
    widths = {column: max(len(row[column]) for row in cells) for column in shown}
    text = []
    for index, row in enumerate(cells):
        parts = [
            row[column].rjust(widths[column]) if 2 <= column <= 7 else row[column].ljust(widths[column])
            for column in shown
        ]
        text.append("  ".join(parts).rstrip())
        if index == 0:
            text.append("-" * (sum(widths[column] + 2 for column in shown[:-1]) + min(widths[shown[-1]], 20)))
    return "\n".join(text)


def _cells(line: Line) -> tuple[str, ...]:
    budget = line.budget
    return (
        line.what,
        line.unit,
        number(line.gateway),
        number(line.nginx),
        number(line.relay),
        number(line.judged) if budget else "-",
        number(budget.floor) if budget else "-",
        number(budget.aim) if budget else "-",
        line.verdict if budget else "",
        line.note,
    )
