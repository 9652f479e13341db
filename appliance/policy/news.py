"""Has a series become better than what is believed of it? The rule: good news is tested, and ages what it refutes.

Bad news is believed at once (`survival.worse`), and then little is asked of the series and so little is seen of it:
good news would have to outnumber the bad, one trial at a time. So Page's cumulative sums (1954) run beside the counts,
one for each cause. Each adds up the logarithm of how much likelier what was seen is if the series is `QUICKER` than its
curve says, is never below 0, and convinces when it is high enough:

- starts come at any age at so many times the rate (Lehmann's alternative): S(t) ** QUICKER instead of S(t);
- losses are so many times rarer.

While nothing has become better a sum reaches h once in e^h observations at most, and in truth far less often.

After bad news the few trials are put in the order of their beginnings, and the sum is of those since the best moment
for a change: what was begun before it, and ends silent long after, says nothing of what begins now.
"""

from bisect import insort
from collections.abc import Iterable
from math import inf, log

from appliance.policy.histogram import Cause
from appliance.policy.survival import Curve

QUICKER = 8.0
SURE_AFTER_BAD_NEWS = 5.0
"""Of starts, while recent counts are believed for being worse: the long run's, to which one returns, say the same."""

SURE = 12.0
"""Of starts, where all that is known is to be doubted."""

SURE_OF_LOSSES = 8.0
"""Of losses, of which alone the counts are then doubted; a series that loses little is asked often, so it can wait."""

MOST_TRIALS = 32
"""Of those after bad news, the last to begin."""

_LOG = log(QUICKER)
_LEAST = 1e-9


class News:
    """The sums of one series."""

    __slots__ = ("_losses", "_starts", "_trials")

    def __init__(self) -> None:
        self._starts = self._losses = 0.0
        self._trials: list[tuple[float, float]] = []  # when each began, and what it adds

    def hear(self, cause: Cause, place: int, began_s: float, believed: Curve, after_bad_news: bool) -> bool:
        """An attempt ended in this bucket; `believed` is the curve of the series before that.

        Whether `quicker` and `safer` are worth asking now.
        """
        started = believed.started
        if cause == "lost":
            # It will never start, and that was as likely as not to start at all.
            late = 1.0 - started[-1]
            self._losses = max(self._losses - _LOG, 0.0)
        else:
            late = 1.0 - started[place]
            lost = believed.lost[place]
            if lost > 0.0:
                self._losses += log((1.0 - lost / QUICKER) / (1.0 - lost)) if lost < 1.0 else _LOG
        adds = (QUICKER - 1.0) * log(late if late > _LEAST else _LEAST)
        if cause == "started":
            adds += _LOG
        if after_bad_news:
            insort(self._trials, (began_s, adds))
            if len(self._trials) > MOST_TRIALS:
                del self._trials[0]
            return True
        starts = self._starts + adds
        self._starts = starts if starts > 0.0 else 0.0
        return starts > SURE or self._losses > SURE_OF_LOSSES

    def quicker(self, believed: Curve, silent: Iterable[float], now_s: float, after_bad_news: bool) -> bool:
        """Whether starts are surely quicker than believed; if so the sum begins anew.

        `silent`: when attempts in flight began; they speak against it: of those that began together the quick ones end
        first.
        """
        since_s = -inf
        if after_bad_news:
            sure, found, left = SURE_AFTER_BAD_NEWS, 0.0, 0.0
            for began_s, adds in reversed(self._trials):
                left += adds
                if left > found:
                    found, since_s = left, began_s
            left = found
        else:
            sure, left = SURE, self._starts
        if left < sure:
            return False
        for began_s in silent:
            if began_s >= since_s:
                left += (QUICKER - 1.0) * log(max(believed.late_at(now_s - began_s), _LEAST))
        if left < sure:
            return False
        self.forget()
        return True

    def safer(self) -> bool:
        """Whether losses are surely rarer than believed; if so the sum begins anew."""
        if self._losses < SURE_OF_LOSSES:
            return False
        self._losses = 0.0
        return True

    def forget(self) -> None:
        """What was heard of starts was of another belief."""
        self._starts = 0.0
        self._trials.clear()
