"""What is known of how long attempts take to start, per provider, model, tier and prompt size. The rule: all memory is
bounded, an observation counts at every level, and a level that knows little leans on the one above it.

Levels, each the prior of the next: a fixed curve per tier (nobody's data) -> (provider, tier) -> model -> prompt size
-> whether the attempt was launched behind a silent cheaper one. The level "behind" is there because a dear tier whose
cheap one is silent is slower than one that was asked at once: both share a cause, and under a race the former is all
that is ever seen.

Each level counts twice, with a slow and a fast decay; the fast one leans on the slow one, and where it is clearly worse
it is believed. What is refuted by good news (policy/news.py) is forgotten, and so is most of what the fast decay had
counted before bad news.
"""

from collections.abc import Iterator

import msgspec

from appliance.policy.buckets import bucket
from appliance.policy.histogram import Cause, Decay, Histogram, Kept
from appliance.policy.news import News
from appliance.policy.survival import Curve, estimate, log_normal, worse

SLOW = Decay(half_count=4000.0, half_life_s=7 * 86400.0)
FAST = Decay(half_count=120.0, half_life_s=3600.0)

PRIOR_MASS = 8.0
"""How many observations the level above counts for."""

PLACE_MASS = 64.0
"""The same where it says nothing of whether a cheaper rung was silent: that matters less than a model does, and a plan
that launches always at once, or never, would never learn the other."""

POOLED_MARGIN = 2.0
"""What was seen behind a silent rung, or of those asked alone, is believed over what was seen of both together where
they differ by so many standard errors: a policy that always races would never hear more of the rung alone, nor one that
never does of the rung behind..."""

ALONE_MARGIN = 3.0
"""...and that a rung is worse alone than behind a silent one where it is by so many: it cannot be, unless it has
changed since."""

MARGIN = 2.5
"""The fast decay is believed where it is worse by so many standard errors."""

STALE_WEIGHT = 4.0
"""What good news leaves of the weight of the counts that it refutes."""

NEW_WEIGHT = 30.0
"""What is left of the fast counts when they begin to be believed: most are of the time before."""

MOST_SERIES = 500
"""Leaves that are kept; beyond it the one that was used least recently is dropped, and with it the levels above that
have no other. A level takes about 27 KiB."""

MOST_UNSEEN = 250
"""Of them so many at most of which nothing was counted: whoever asks for models that never answer, one after another,
does not displace what was learned."""

REBUILD_SHARE = 0.02
"""A curve is rebuilt when so large a share of its observations is new, but after..."""

REBUILD_MOST = 30
"""...so many at the latest: that is much for the fast decay."""

REBUILD_S = 1.0
"""It is also rebuilt when it is older than this and attempts are, or were, in flight, or, where it leans on the level
above, when that one has moved."""

REBUILD_ABOVE_S = 5.0
"""The same for levels that others lean on, which matter only to those that know little themselves."""

IDLE_S = 60.0
"""It is rebuilt in any case when it is older than this, for time forgets, too."""

SIZES_BYTES = (4_000, 32_000, 128_000)
"""Prompt sizes above which the next size class begins; about 1, 8 and 32 thousand tokens."""

_CHEAP_TIERS = frozenset({"flex", "batch", "deferred"})


def size_class(prompt_bytes: int) -> int:
    """0 for short prompts up to 3 for long ones."""
    return sum(prompt_bytes > most for most in SIZES_BYTES)


class Series(msgspec.Struct, frozen=True):
    """What an attempt is filed under. `behind`: launched while a cheaper rung was running and silent."""

    provider: str
    model: str
    tier: str | None
    size: int = 0
    behind: bool = False


Path = tuple[str, ...]
"""Tier, provider, model, size class, `behind` or `alone`: the way from the top to a leaf, or to a level above it."""

DEPTH = 5


class KeptSeries(msgspec.Struct, frozen=True, array_like=True):
    """One level's counts as they are saved; the fast decay's too."""

    path: Path
    slow: Kept
    fast: Kept


def prior_of(tier: str | None) -> Curve:
    """The curve before any data: cheap tiers are slow and at times refuse, the others start within seconds.

    Guesses on the pessimistic side of what providers publish (Google: flex within 1 to 15 minutes; reference cases of
    OpenAI's flex start within seconds to a minute), so that the target is met first and cost falls as data arrive.
    """
    return log_normal(30.0, 1.5, 0.02) if tier in _CHEAP_TIERS else log_normal(1.5, 0.8, 0.005)


class _Level:
    """One node of the hierarchy."""

    __slots__ = (
        "_built_added",
        "_built_s",
        "_curve",
        "_in_flight",
        "_prior",
        "children",
        "fast",
        "fast_believed",
        "flights",
        "mass",
        "news",
        "parent",
        "pooled",
        "slow",
    )

    def __init__(self, parent: "_Level | Curve", now_s: float, mass: float = PRIOR_MASS, pooled: float = 0.0) -> None:
        self.parent, self.mass, self.pooled = parent, mass, pooled
        self.slow = Histogram(SLOW, now_s)
        self.fast = Histogram(FAST, now_s)
        self.flights: dict[int, tuple[float, float, float]] = {}  # when each began, and its clocks, slow and fast
        self.children = 0
        self._curve: Curve | None = None
        self._prior: Curve | None = None
        self._built_added = 0
        self._built_s = now_s
        self._in_flight = False
        self.fast_believed = False
        self.news = News()

    def begin(self, flight: int, now_s: float) -> None:
        """An attempt begins."""
        self.flights[flight] = now_s, self.slow.begin(now_s), self.fast.begin(now_s)

    def end(self, flight: int, cause: Cause, place: int, now_s: float) -> None:
        """It ended in bucket `place`."""
        began_s, slow_clock, fast_clock = self.flights.pop(flight)
        known = self._curve
        if known is not None and self.news.hear(cause, place, began_s, known, self.fast_believed):
            self._listen(known, now_s)
        self.slow.end(cause, place, slow_clock)
        self.fast.end(cause, place, fast_clock)

    def _listen(self, known: Curve, now_s: float) -> None:
        """Good news ages what it refutes."""
        news, after_bad = self.news, self.fast_believed
        if news.quicker(known, (began_s for began_s, _, _ in self.flights.values()), now_s, after_bad):
            (self.fast if after_bad else self.slow).fade(STALE_WEIGHT, now_s)
            self._curve = None  # what comes until it is built anew is compared with nothing
        if news.safer():
            self.slow.fade(STALE_WEIGHT, now_s, lost_only=True)
            self.fast.fade(STALE_WEIGHT, now_s, lost_only=True)
            self._curve = None

    def curve(self, now_s: float) -> Curve:
        parent = self.parent
        prior = parent if isinstance(parent, Curve) else parent.curve(now_s)
        known = self._curve
        if known is not None and not self._moved(prior, known, now_s):
            return known
        flights = self.flights.values()
        ages = [(now_s - began_s, self.slow.weight(clock)) for began_s, clock, _ in flights]
        slow = estimate(self.slow, prior, min(self.mass, prior.number), now_s, ages)
        ages = [(now_s - began_s, self.fast.weight(clock)) for began_s, _, clock in flights]
        fast = estimate(self.fast, slow, PRIOR_MASS, now_s, ages)  # leans on the long run, so only news differ
        curve = self._curve = worse(slow, fast, MARGIN)
        if curve is fast and not self.fast_believed:
            self.fast.fade(NEW_WEIGHT, now_s)
            self.news.forget()
        self.fast_believed = curve is fast
        if self.pooled and worse(prior, curve, self.pooled) is prior and worse(curve, prior, POOLED_MARGIN) is curve:
            curve = self._curve = prior
        self._prior, self._built_added, self._built_s, self._in_flight = prior, self.slow.added, now_s, bool(ages)
        return curve

    def _moved(self, prior: Curve, known: Curve, now_s: float) -> bool:
        age_s = now_s - self._built_s
        if self.slow.added - self._built_added > min(REBUILD_SHARE * (known.number - PRIOR_MASS), REBUILD_MOST):
            return True
        if age_s > IDLE_S:
            return True
        leans = prior is not self._prior and known.number < 10 * PRIOR_MASS
        return age_s >= (REBUILD_S if self.children == 0 else REBUILD_ABOVE_S) and (
            leans or self._in_flight or bool(self.flights)
        )


class Flight:
    """One attempt in flight. End it once; ending it again does nothing."""

    __slots__ = ("_began_s", "_levels")

    def __init__(self, levels: tuple[_Level, ...], began_s: float) -> None:
        self._levels = levels
        self._began_s = began_s
        for level in levels:
            level.begin(id(self), began_s)

    def end(self, cause: Cause, now_s: float) -> None:
        """The attempt started, was lost, or was cut off while silent, now."""
        levels, self._levels = self._levels, ()
        place = bucket(now_s - self._began_s)
        for level in levels:
            level.end(id(self), cause, place, now_s)

    def forget(self) -> None:
        """Count nothing: it says nothing of the series, as when the caller's request was at fault."""
        levels, self._levels = self._levels, ()
        for level in levels:
            del level.flights[id(self)]


class LatencyModel:
    """All series of one process. `now_s` is the monotonic clock."""

    def __init__(self) -> None:
        self._levels: dict[Path, _Level] = {}
        self._used_s: dict[Path, float] = {}
        self._paths: dict[Path, tuple[_Level, ...]] = {}
        self._priors: dict[str, Curve] = {}
        self._imagined: dict[Path, tuple[Curve, Curve]] = {}  # of leaves without data, by the level above them

    def __len__(self) -> int:
        return len(self._paths)

    def begin(self, series: Series, now_s: float) -> Flight:
        """An attempt was launched."""
        return Flight(self._chain(_path(series), now_s), now_s)

    def curve(self, series: Series, now_s: float) -> Curve:
        """What to expect of an attempt launched now."""
        return self._chain(_path(series), now_s)[-1].curve(now_s)

    def peek(self, series: Series, now_s: float) -> Curve:
        """The same without a trace: a series that nobody has asked for is not kept, and ages as it did."""
        path, parent = _path(series), None
        known = self._paths.get(path)
        if known is not None:
            return known[-1].curve(now_s)
        above: Path = ("cheap" if path[0] in _CHEAP_TIERS else "other",)
        for depth in range(2, DEPTH):
            if path[:depth] in self._levels:
                above, parent = path[:depth], self._levels[path[:depth]]
        prior = self._prior(path[0]) if parent is None else parent.curve(now_s)
        imagined = self._imagined.get(above)
        if imagined is None or imagined[0] is not prior:
            if len(self._imagined) >= MOST_SERIES:
                self._imagined.clear()
            imagined = self._imagined[above] = prior, _Level(prior, now_s).curve(now_s)
        return imagined[1]

    def drifting(self, since_s: float) -> list[Path]:
        """The leaves, used since then, where what was seen lately is clearly worse than the long run."""
        paths = self._paths.items()
        return [path for path, levels in paths if levels[-1].fast_believed and self._used_s[path] >= since_s]

    def keep(self, now_s: float, now_unix_s: float) -> tuple[KeptSeries, ...]:
        """All counts, to be saved."""
        return tuple(self.parts(now_s, now_unix_s))

    def parts(self, now_s: float, now_unix_s: float) -> Iterator[KeptSeries]:
        """The same, level by level: each takes a tenth of a millisecond. What changes meanwhile is kept or not."""
        for path, level in list(self._levels.items()):
            yield KeptSeries(path, level.slow.keep(now_s, now_unix_s), level.fast.keep(now_s, now_unix_s))

    @property
    def observed(self) -> int:
        """Attempts that were counted; whether it has grown tells whether there is something to save."""
        return sum(level.slow.added for path, level in self._levels.items() if len(path) == 2)

    def take(self, kept: tuple[KeptSeries, ...], now_s: float, now_unix_s: float) -> None:
        """Add saved counts to what is known; paths that are none of ours are left out."""
        for saved in sorted(kept, key=lambda one: -len(one.path)):  # leaves first: they make the levels above
            if len(saved.path) == DEPTH:
                self._chain(saved.path, now_s)
            level = self._levels.get(saved.path)
            if level is not None:
                level.slow.take(saved.slow, now_s, now_unix_s)
                level.fast.take(saved.fast, now_s, now_unix_s)

    def _chain(self, path: Path, now_s: float) -> tuple[_Level, ...]:
        """The levels of a leaf, from the top down."""
        found = self._paths.get(path)
        if found is None:
            if len(self._paths) >= MOST_SERIES:
                self._drop_oldest()
            found = self._paths[path] = tuple(self._level(path[:depth], now_s) for depth in range(2, DEPTH + 1))
        self._used_s[path] = now_s
        return found

    def _level(self, path: Path, now_s: float) -> _Level:
        level = self._levels.get(path)
        if level is None:
            parent = self._levels.get(path[:-1])
            if parent is not None:
                parent.children += 1
            above = parent or self._prior(path[0])
            if len(path) < DEPTH:
                level = _Level(above, now_s)
            else:
                level = _Level(above, now_s, PLACE_MASS, POOLED_MARGIN if path[-1] == "behind" else ALONE_MARGIN)
            self._levels[path] = level
        return level

    def _prior(self, tier: str) -> Curve:
        return self._priors.setdefault("cheap" if tier in _CHEAP_TIERS else "other", prior_of(tier))

    def _drop_oldest(self) -> None:
        unseen = [path for path, levels in self._paths.items() if not levels[-1].slow.added]
        path = min(unseen if len(unseen) >= MOST_UNSEEN else self._used_s, key=self._used_s.__getitem__)
        del self._used_s[path], self._paths[path]
        while len(path) > 1 and self._levels[path].children == 0:
            level = self._levels.pop(path)
            if isinstance(level.parent, _Level):
                level.parent.children -= 1
            path = path[:-1]


class Tier:
    """One tier by itself, launched alone and behind a silent cheaper rung, with nothing above but the first prior: for
    who plays recorded races again, where the levels between would say the same and cost as much.
    """

    def __init__(self, tier: str | None, now_s: float) -> None:
        above = _Level(prior_of(tier), now_s)
        above.children = 2
        leaves = tuple([_Level(above, now_s, PLACE_MASS, margin) for margin in (ALONE_MARGIN, POOLED_MARGIN)])
        self._chains = (above, leaves[0]), (above, leaves[1])

    def begin(self, now_s: float, *, behind: bool) -> Flight:
        """An attempt was launched."""
        return Flight(self._chains[behind], now_s)

    def curve(self, now_s: float, *, behind: bool) -> Curve:
        """What to expect of an attempt launched now."""
        return self._chains[behind][-1].curve(now_s)


def _path(series: Series) -> Path:
    tier = series.tier or ""
    return tier, series.provider, series.model, str(series.size), "behind" if series.behind else "alone"
