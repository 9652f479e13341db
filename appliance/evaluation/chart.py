"""Small pictures: lines, bands, dots and bars between two axes, as SVG. The rule: the same data draw the same bytes."""

from collections.abc import Callable, Sequence
from html import escape

import msgspec

Point = tuple[float, float]

LEFT, RIGHT, TOP, BOTTOM = 62.0, 16.0, 46.0, 46.0
FONT = "font-family:system-ui,sans-serif"
INK, GRID = "#333333", "#e2e2e2"


class Axis(msgspec.Struct, frozen=True):
    """From `low` to `high`; `marks` are labelled by `say`; `at` bends it (for a scale that is finer at one end)."""

    label: str
    low: float
    high: float
    marks: tuple[float, ...]
    say: Callable[[float], str] = "{:g}".format
    at: Callable[[float], float] = float

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high one; what lies outside is brought to the end."""
        low, high = self.at(self.low), self.at(self.high)
        return (self.at(min(max(value, self.low), self.high)) - low) / (high - low)


class Chart:
    """One picture, drawn from behind to the front."""

    def __init__(self, title: str, x: Axis, y: Axis, width: int = 640, height: int = 340) -> None:
        self._x, self._y = x, y
        self._width, self._height = width, height
        self._parts: list[str] = []
        self._legend: list[tuple[str, str]] = []
        self._frame(title)

    def line(self, points: Sequence[Point], colour: str, name: str = "", *, dashed: bool = False) -> None:
        """A line through the points."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(f'<path d="{self._path(points)}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        self._named(name, colour)

    def band(self, points: Sequence[tuple[float, float, float]], colour: str, name: str = "") -> None:
        """Between two lines: (x, low, high)."""
        there = [(x, high) for x, _, high in points]
        back = [(x, low) for x, low, _ in reversed(points)]
        self._parts.append(f'<path d="{self._path([*there, *back])}Z" fill="{colour}" fill-opacity="0.18"/>')
        self._named(name, colour)

    def dot(
        self, x: float, y: float, low: float, high: float, colour: str, name: str = "", *, hollow: bool = False
    ) -> None:
        """A value with its bounds."""
        at, fill = self._at_x(x), "white" if hollow else colour
        self._parts.append(
            f'<path d="M{at} {self._at_y(low)}V{self._at_y(high)}" stroke="{colour}" stroke-width="1.5"/>'
        )
        self._parts.append(f'<circle cx="{at}" cy="{self._at_y(y)}" r="4" fill="{fill}" stroke="{colour}"/>')
        self._named(name, colour)

    def bar(self, x: float, width: float, low: float, high: float, colour: str, name: str = "") -> None:
        """A bar from `low` to `high`, `width` wide, its middle at `x`."""
        left, right = self._at_x(x - width / 2), self._at_x(x + width / 2)
        bottom, top = self._at_y(low), self._at_y(high)
        self._parts.append(f'<path d="M{left} {bottom}V{top}H{right}V{bottom}Z" fill="{colour}"/>')
        self._named(name, colour)

    def upright(self, x: float, text: str, colour: str = INK, *, left: bool = False) -> None:
        """A dashed line up from `x`, with a word to the right or left of it."""
        at, y = self._at_x(x), TOP + 12
        self._parts.append(
            f'<path d="M{at} {_round(TOP)}V{_round(self._height - BOTTOM)}" stroke="{colour}" stroke-dasharray="3 3"/>'
        )
        anchor, shift = ("end", -5) if left else ("start", 5)
        self._parts.append(
            f'<text x="{_round(float(at) + shift)}" y="{_round(y)}" text-anchor="{anchor}" fill="{colour}">'
            f"{escape(text)}</text>"
        )

    def text(self, x: float, y: float, text: str, colour: str = INK, anchor: str = "start") -> None:
        """A word at a place of the axes."""
        at = f'x="{self._at_x(x)}" y="{self._at_y(y)}"'
        self._parts.append(f'<text {at} text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>')

    def svg(self) -> str:
        """The picture; legends last."""
        legend, left = [], LEFT
        for name, colour in self._legend:
            legend.append(f'<rect x="{_round(left)}" y="{self._height - 12}" width="10" height="10" fill="{colour}"/>')
            legend.append(f'<text x="{_round(left + 14)}" y="{self._height - 3}">{escape(name)}</text>')
            left += 26 + 6.4 * len(name)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width} {self._height}" '
            f'width="{self._width}" height="{self._height}" font-size="12" style="{FONT}">'
        )
        return "\n".join([head, *self._parts, *legend, "</svg>\n"])

    def _frame(self, title: str) -> None:
        bottom, right = self._height - BOTTOM, self._width - RIGHT
        self._parts.append(f'<rect width="{self._width}" height="{self._height}" fill="white"/>')
        self._parts.append(f'<text x="{_round(LEFT)}" y="18" font-size="14" font-weight="600">{escape(title)}</text>')
        for mark in self._x.marks:
            at = self._at_x(mark)
            self._parts.append(f'<path d="M{at} {_round(TOP)}V{_round(bottom)}" stroke="{GRID}"/>')
            self._parts.append(
                f'<text x="{at}" y="{_round(bottom + 14)}" text-anchor="middle">{escape(self._x.say(mark))}</text>'
            )
        for mark in self._y.marks:
            at = self._at_y(mark)
            self._parts.append(f'<path d="M{_round(LEFT)} {at}H{_round(right)}" stroke="{GRID}"/>')
            self._parts.append(
                f'<text x="{_round(LEFT - 6)}" y="{_round(float(at) + 4)}" text-anchor="end">'
                f"{escape(self._y.say(mark))}</text>"
            )
        self._parts.append(
            f'<text x="{_round(right)}" y="{_round(bottom + 28)}" text-anchor="end" fill="{INK}">'
            f"{escape(self._x.label)}</text>"
        )
        self._parts.append(
            f'<text x="6" y="{_round(TOP - 10)}" fill="{INK}" font-size="11">{escape(self._y.label)}</text>'
        )

    def _named(self, name: str, colour: str) -> None:
        if name and (name, colour) not in self._legend:
            self._legend.append((name, colour))

    def _path(self, points: Sequence[Point]) -> str:
        return "M" + "L".join(f"{self._at_x(x)} {self._at_y(y)}" for x, y in points)

    def _at_x(self, value: float) -> str:
        return _round(LEFT + self._x.place(value) * (self._width - LEFT - RIGHT))

    def _at_y(self, value: float) -> str:
        return _round(self._height - BOTTOM - self._y.place(value) * (self._height - TOP - BOTTOM))


def _round(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
