"""Whether what was promised is kept: the starts in time of the last races beside their targets. The rule: chance is no
cause for alarm.

Races whose starts are late with probability 1 - target each are late m times of n with a probability that the binomial
distribution tells. An alarm begins where so many late ones would be seen once in ten thousand times, and ends where
they would be nothing remarkable. Targets may differ from request to request: their mean stands for all, which errs on
the side of silence (of sums of unlike chances the binomial one of their mean spreads most; Hoeffding 1956).
"""

from collections import deque
from math import exp, lgamma, log, log1p

import msgspec

LAST = 500
"""Races that are looked back at."""

RARE = 1e-4
"""An alarm begins below this chance of seeing so many late starts, if the target is met..."""

USUAL = 0.05
"""...and ends above this one."""


class Standing(msgspec.Struct, frozen=True):
    """The last `races`: how many started in time (`met`), should have (`wanted`) and were expected to (`expected`).

    `below`: whether that is less than chance explains.
    """

    races: int
    met: int
    wanted: float
    expected: float
    below: bool


class Promise:
    """The last races of one organisation."""

    __slots__ = ("_expected", "_last", "_met", "_wanted", "below")

    def __init__(self, most: int = LAST) -> None:
        self._last: deque[tuple[float, float, bool]] = deque(maxlen=most)
        self._wanted = self._expected = 0.0
        self._met = 0
        self.below = False

    def add(self, target: float, chance: float, met: bool) -> Standing | None:
        """A race has ended, which was to start in time with probability `target`, and was expected to with `chance`.

        Returns how it stands where an alarm begins or ends, else None.
        """
        last = self._last
        if len(last) == last.maxlen:
            old_target, old_chance, old_met = last[0]
            self._wanted -= old_target
            self._expected -= old_chance
            self._met -= old_met
        last.append((target, chance, met))
        self._wanted += target
        self._expected += chance
        self._met += met
        count = len(last)
        late, most = count - self._met, count - self._wanted
        if not self.below and late <= most:  # nearly always
            return None
        likely = at_least(late, count, min(max(most / count, 0.0), 1.0))
        below = likely < (USUAL if self.below else RARE)
        if below is self.below:
            return None
        self.below = below
        return self.standing

    @property
    def standing(self) -> Standing:
        """How it stands."""
        return Standing(len(self._last), self._met, self._wanted, self._expected, self.below)


def at_least(hits: int, count: int, share: float) -> float:
    """The probability of `hits` or more of `count` cases, each with probability `share`."""
    if hits <= 0:
        return 1.0
    if hits > count or share <= 0.0:
        return 0.0
    if share >= 1.0:
        return 1.0
    if hits <= count * share:  # the terms fall only above the mean
        return 1.0 - at_least(count - hits + 1, count, 1.0 - share)
    term = exp(
        lgamma(count + 1) - lgamma(hits + 1) - lgamma(count - hits + 1)
        + hits * log(share) + (count - hits) * log1p(-share)
    )  # fmt: skip
    total, odds = term, share / (1.0 - share)
    for number in range(hits, count):
        term *= odds * (count - number) / (number + 1)
        total += term
        if term < total * 1e-12:
            break
    return min(total, 1.0)
