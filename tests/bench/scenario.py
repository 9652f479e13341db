"""What a scenario is given and what it returns. The rule: rounds alternate between the contestants, medians count."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.bench.contestants import Contestant, Start
from tests.bench.processes import Children
from tests.bench.provider import Provider
from tests.bench.table import Line

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Run:
    """One run: what is up, how to start a fresh contestant, and how long it may take."""

    children: Children
    provider: Provider
    contestants: tuple[Contestant, ...]
    starts: Mapping[str, Start]
    quick: bool
    files: int
    say: Callable[[str], None] = print
    gateway_command: tuple[str, ...] = ()

    def rounds(self) -> int:
        """How often the contestants alternate."""
        return 2 if self.quick else 4

    def alternate(self, measure: Callable[[Contestant], Measured]) -> dict[str, list[Measured]]:
        """Measure A B A B ...: what the machine does to one round it does to both."""
        found: dict[str, list[Measured]] = {contestant.name: [] for contestant in self.contestants}
        for turn in range(self.rounds()):
            # Every second round in the other direction, so that nobody is always the first.
            for contestant in self.contestants if turn % 2 == 0 else reversed(self.contestants):
                found[contestant.name].append(measure(contestant))
        return found


@dataclass(frozen=True)
class Outcome:
    """A scenario's lines of the table, what was measured in full (for JSON), and what makes the run doubtful."""

    lines: list[Line]
    data: dict[str, Any]
    doubts: list[str] = field(default_factory=list)


Scenario = Callable[[Run], Outcome]
