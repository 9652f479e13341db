"""How long attempts took to start, forgetting slowly. The rule: constant memory, an observation costs two additions.

Three counts per bucket: attempts that *started* at this age, that were *lost* at this age (refused or failed: a cause
of its own, not a long latency), and that were *censored* at this age (cancelled while silent: all that is known is
that they had not started yet).

Forgetting is exponential, by count and by time, in the forward form (Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009):
instead of shrinking all old counts, each new one weighs more; `scale` brings them back to "as of now".

An attempt weighs by when it began, not by when it ended. Of those that begin together the quick end first: weighed by
their ends they would be half forgotten while the slow, still in flight, count whole, and the tail would look heavier
than it is.

Histograms are merged by what they keep: `take` adds what another one, of this process or of an earlier one, wrote down.
"""

from array import array
from math import isfinite
from typing import Literal

import msgspec

from appliance.policy.buckets import COUNT

Cause = Literal["started", "lost", "censored"]

_MOST_WEIGHT = 1e9
"""No count that was saved weighs more."""

_MOST_CLOCK = 30.0
"""After so many halvings all counts are scaled down, long before a float would lose small ones."""

_LONGEST = 60.0
"""Halvings of one silence: what was before has no weight then."""


class Decay(msgspec.Struct, frozen=True):
    """How fast is forgotten: the weight of an observation halves with so many newer ones, and with so much time."""

    half_count: float
    half_life_s: float


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A histogram as it is saved: weights as of `at_unix_s`, sparse, `(bucket, weight)`."""

    at_unix_s: float
    started: tuple[tuple[int, float], ...]
    lost: tuple[tuple[int, float], ...]
    censored: tuple[tuple[int, float], ...]


class Histogram:
    """Decayed counts of one series. All times `now_s` are of one clock that never runs backwards."""

    __slots__ = ("_at_s", "_base", "_clock", "_half_life_s", "_step", "added", "censored", "lost", "started", "total")

    def __init__(self, decay: Decay, now_s: float) -> None:
        self.started = array("d", bytes(8 * COUNT))
        self.lost = array("d", bytes(8 * COUNT))
        self.censored = array("d", bytes(8 * COUNT))
        self.total = 0.0
        self.added = 0
        self._step = 1.0 / decay.half_count
        self._half_life_s = decay.half_life_s
        # Both in halvings: an attempt that began at `clock` is stored with the weight 2 ** (clock - base).
        self._clock = self._base = 0.0
        self._at_s = now_s

    def add(self, cause: Cause, place: int, now_s: float) -> None:
        """Count one attempt that ended in bucket `place`, as if it had begun now."""
        self.end(cause, place, self.begin(now_s))

    def begin(self, now_s: float) -> float:
        """An attempt begins: its `clock`, for its end."""
        elapsed_s = now_s - self._at_s
        clock = self._clock + self._step
        if elapsed_s > 0.0:
            clock += min(elapsed_s / self._half_life_s, _LONGEST)
            self._at_s = now_s
        self._clock = clock
        if clock - self._base > _MOST_CLOCK:
            by = 2.0 ** (self._base - clock)
            for counts in (self.started, self.lost, self.censored):
                _multiply(counts, by)
            self.total *= by
            self._base = clock
        return clock

    def end(self, cause: Cause, place: int, clock: float) -> None:
        """The attempt that began at `clock` ended in bucket `place`."""
        weight = self.weight(clock)
        if cause == "started":
            self.started[place] += weight
        elif cause == "lost":
            self.lost[place] += weight
        else:
            self.censored[place] += weight
        self.total += weight
        self.added += 1

    def weight(self, clock: float) -> float:
        """What an attempt that began at `clock` is stored with."""
        return float(2.0 ** (clock - self._base))

    def scale(self, now_s: float) -> float:
        """What a stored count must be multiplied with to be its weight now; a new observation weighs 1."""
        elapsed_s = max(now_s - self._at_s, 0.0)
        return float(2.0 ** (self._base - self._clock - min(elapsed_s / self._half_life_s, _LONGEST)))

    def fade(self, most: float, now_s: float, lost_only: bool = False) -> None:
        """Let all counts, or those of the lost, together weigh at most so much."""
        total = sum(self.lost) if lost_only else self.total
        weight = total * self.scale(now_s)
        if weight > most:
            for counts in (self.lost,) if lost_only else (self.started, self.lost, self.censored):
                _multiply(counts, most / weight)
            self.total += total * (most / weight - 1.0)

    def keep(self, now_s: float, now_unix_s: float) -> Kept:
        """The counts to save; what weighs less than a thousandth is left out."""
        scale = self.scale(now_s)

        def sparse(counts: "array[float]") -> tuple[tuple[int, float], ...]:
            return tuple((place, round(n * scale, 4)) for place, n in enumerate(counts) if n * scale >= 0.001)

        return Kept(now_unix_s, sparse(self.started), sparse(self.lost), sparse(self.censored))

    def take(self, kept: Kept, now_s: float, now_unix_s: float) -> None:
        """Add saved counts, aged by the wall-clock time since. Nonsense is left out: buckets and weights out of range,
        and all of it where nobody knows how old it is.
        """
        if not isfinite(kept.at_unix_s):
            return
        aged = 0.5 ** min(max(now_unix_s - kept.at_unix_s, 0.0) / self._half_life_s, 60.0)
        by = aged / self.scale(now_s)
        pairs = ((self.started, kept.started), (self.lost, kept.lost), (self.censored, kept.censored))
        for counts, saved in pairs:
            for place, weight in saved:
                if 0 <= place < COUNT and 0.0 < weight < _MOST_WEIGHT:
                    counts[place] += weight * by
                    self.total += weight * by
                    self.added += 1


def _multiply(counts: "array[float]", by: float) -> None:
    for place, count in enumerate(counts):
        if count:
            counts[place] = count * by
