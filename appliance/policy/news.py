"""Has a series become better than what is believed of it? The rule: good news is tested, and ages what it refutes.

Bad news is believed at once (`survival.worse`), and then little is asked of the series and so little is seen of it:
good news would have to outnumber the bad, one trial at a time. So two of Page's cumulative sums (1954) run beside the
counts, one for each cause. Each adds up the logarithm of how much likelier what was seen is if the series is `QUICKER`
than its curve says, is never below 0, and convinces when it is high enough:

- starts come at any age at so many times the rate (Lehmann's alternative): S(t) ** QUICKER instead of S(t);
- losses are so many times rarer.

While nothing has become better a sum reaches h once in e^h observations at most, and in truth far less often.
"""

from collections.abc import Iterable
from math import log

from appliance.policy.histogram import Cause
from appliance.policy.survival import Curve

QUICKER = 8.0
SURE_AFTER_BAD_NEWS = 5.0
"""Of starts, while recent counts are believed for being worse: the long run's, to which one returns, say the same."""

SURE = 12.0
"""Of starts, where all that is known is to be doubted."""

SURE_OF_LOSSES = 8.0
"""Of losses, of which alone the counts are then doubted; a series that loses little is asked often, so it can wait."""

_LOG = log(QUICKER)
_LEAST = 1e-9


class News:
    """The two sums of one series."""

    __slots__ = ("_losses", "_starts")

    def __init__(self) -> None:
        self._starts = self._losses = 0.0

    def hear(self, cause: Cause, place: int, believed: Curve) -> None:
        """An attempt ended in this bucket; `believed` is the curve of the series before that."""
        started = believed.started
        if cause == "lost":
            # It will never start, and that was as likely as not to start at all.
            late = 1.0 - started[-1]
            self._losses -= _LOG
            if self._losses < 0.0:
                self._losses = 0.0
            self._starts += (QUICKER - 1.0) * log(late if late > _LEAST else _LEAST)
        else:
            late = 1.0 - started[place]
            self._starts += (QUICKER - 1.0) * log(late if late > _LEAST else _LEAST)
            if cause == "started":
                self._starts += _LOG
            lost = believed.lost[place]
            if lost > 0.0:
                self._losses += log((1.0 - lost / QUICKER) / (1.0 - lost)) if lost < 1.0 else _LOG
        if self._starts < 0.0:
            self._starts = 0.0

    def quicker(self, believed: Curve, silent_for_s: Iterable[float], after_bad_news: bool) -> bool:
        """Whether starts are surely quicker than believed; if so the sum begins anew.

        `silent_for_s`: ages of attempts in flight, which speak against it: of those that began together the quick ones
        end first.
        """
        sure = SURE_AFTER_BAD_NEWS if after_bad_news else SURE
        if self._starts < sure:
            return False
        left = self._starts
        for age_s in silent_for_s:
            left += (QUICKER - 1.0) * log(max(believed.late_at(age_s), _LEAST))
        if left < sure:
            return False
        self._starts = 0.0
        return True

    def safer(self) -> bool:
        """Whether losses are surely rarer than believed; if so the sum begins anew."""
        if self._losses < SURE_OF_LOSSES:
            return False
        self._losses = 0.0
        return True
