"""What is known of answers once they have started: how long they get, and how fast they come. The rule: as with starts
(policy/latency.py), all memory is bounded, an observation counts at every level, unknown means pessimistic.

Lengths, in tokens: a fixed curve -> model -> key. Paces, in seconds for `PACE_TOKENS` tokens: a fixed curve -> provider
-> tier -> model. Each level counts twice, with a slow and a fast decay, and the fast one is believed where it is worse.
An answer that was broken off, or that its limit cut, is censored: all that is known is that it would have been longer.
A provider that broke off is a loss among the paces: such an answer never ends.

Both are counted in the buckets of policy/buckets.py, where a token stands for a millisecond. `PACE_TOKENS` is a power
of the buckets' growth, so that bucket i of lengths at bucket j of paces ends where bucket i + j - PACE_PLACE of times
does.
"""

from array import array
from collections import Counter
from collections.abc import Iterator
from math import sqrt
from operator import mul

from appliance.policy.buckets import GROWTH, LEAST_S, UPPER_S, bucket
from appliance.policy.histogram import Cause, Histogram
from appliance.policy.latency import FAST, IDLE_S, MARGIN, REBUILD_S, REBUILD_SHARE, SLOW, KeptSeries, Path
from appliance.policy.survival import Curve, estimate, log_normal, worse

PACE_PLACE = 142
PACE_TOKENS = GROWTH**PACE_PLACE
"""About 1,020 tokens."""

LEAST_TOKENS = 16
"""Of shorter answers the time is not that of their tokens, so they say nothing of the pace."""

MASS = 4.0
"""How many observations the level above counts for: less than with starts, for models of one tier differ more."""

MOST_SERIES = 500
"""Keys' lengths that are kept, and as many paces; beyond it one that was not used lately is dropped."""

MOST_OF_ONE = 100
"""Where all places are taken, so many at most are one key's, or of paces one provider's: whoever asks for one model
after another does not displace what was learned of others."""

LENGTH_PRIOR = log_normal(300.0 * LEAST_S, 1.0)
"""Answers of which nothing is known: 1 % is longer than 3,000 tokens. A guess on the long side."""

PACE_PRIOR = log_normal(PACE_TOKENS / 50.0, 0.5)
"""Paces of which nothing is known: 50 tokens a second, 1 % is slower than 16. A guess on the slow side."""

_MIDDLE = array("d", (1000.0 * end_s / sqrt(GROWTH) for end_s in UPPER_S))
"""The tokens that a bucket of lengths stands for."""


class _Level:
    """One node of a hierarchy."""

    __slots__ = (
        "_blank", "_blank_of", "_built_added", "_built_s", "_curve", "_mean", "_mean_added", "_prior",
        "children", "counts", "parent",
    )  # fmt: skip

    def __init__(self, parent: "_Level | Curve", now_s: float) -> None:
        self.parent = parent
        self.children = 0
        self.counts = Histogram(SLOW, now_s), Histogram(FAST, now_s)
        self._curve: Curve | None = None
        self._prior: Curve | None = None
        self._blank: Curve | None = None
        self._blank_of: Curve | None = None
        self._built_added = 0
        self._built_s = now_s
        self._mean = (0.0, 0.0)
        self._mean_added = -1

    def add(self, cause: Cause, place: int, now_s: float) -> None:
        slow, fast = self.counts
        slow.add(cause, place, now_s)
        fast.add(cause, place, now_s)

    def curve(self, now_s: float) -> Curve:
        parent = self.parent
        if isinstance(parent, _Level) and not self.counts[0].added:
            return parent.blank(now_s)
        prior = parent if isinstance(parent, Curve) else parent.curve(now_s)
        known = self._curve
        if known is not None and not self._moved(prior, known, now_s):
            return known
        counted, lately = self.counts
        slow = estimate(counted, prior, MASS, now_s)
        curve = self._curve = worse(slow, estimate(lately, slow, MASS, now_s), MARGIN)
        self._prior, self._built_added, self._built_s = prior, counted.added, now_s
        return curve

    def blank(self, now_s: float) -> Curve:
        """What to expect of a level below this one of which nothing was counted: one object for all of them."""
        prior = self.curve(now_s)
        known = self._blank
        if known is None or prior is not self._blank_of:
            known = self._blank = estimate(Histogram(SLOW, now_s), prior, MASS, now_s)
            self._blank_of = prior
        return known

    def _moved(self, prior: Curve, known: Curve, now_s: float) -> bool:
        age_s = now_s - self._built_s
        news = self.counts[0].added - self._built_added
        leans = prior is not self._prior and known.number < 10 * MASS
        return age_s > IDLE_S or (age_s >= REBUILD_S and (leans or news > REBUILD_SHARE * (known.number - MASS)))

    def mean(self) -> tuple[float, float]:
        """Mean length of what was counted, and how many answers that were, decayed."""
        slow = self.counts[0]
        if slow.added - self._mean_added > REBUILD_SHARE * self._mean_added:
            self._mean_added = slow.added
            number = sum(slow.started) + sum(slow.censored)
            tokens = sum(map(mul, slow.started, _MIDDLE)) + sum(map(mul, slow.censored, _MIDDLE))
            scale = slow.total / number if number else 0.0
            self._mean = (tokens / number, scale * number) if number else (0.0, 0.0)
        return self._mean


class _Tree:
    """All levels below one prior; leaves have `depth` names, of which one says whose they are."""

    def __init__(self, prior: Curve, depth: int, owner: int) -> None:
        self._prior = prior
        self.depth = depth
        self._owner = owner
        self.levels: dict[Path, _Level] = {}
        self.leaves: dict[Path, tuple[_Level, ...]] = {}  # the one used last at the end

    def chain(self, path: Path, now_s: float) -> tuple[_Level, ...]:
        """The levels of a leaf, from the top down."""
        found = self.leaves.pop(path, None)
        if found is None:
            if len(self.leaves) >= MOST_SERIES:
                self._drop_one()
            found = tuple([self._level(path[:depth], now_s) for depth in range(1, self.depth + 1)])
        self.leaves[path] = found
        return found

    def curve(self, path: Path, now_s: float, peek: bool) -> Curve:
        """What to expect of a leaf. `peek`: without a trace, so that one that is not there is not made."""
        if not peek or path in self.leaves:
            return (self.leaves[path] if peek else self.chain(path, now_s))[-1].curve(now_s)
        parent = None
        for depth in range(1, self.depth):
            parent = self.levels.get(path[:depth], parent)
        return parent.blank(now_s) if parent else _Level(self._prior, now_s).curve(now_s)

    def _level(self, path: Path, now_s: float) -> _Level:
        level = self.levels.get(path)
        if level is None:
            parent = self.levels.get(path[:-1])
            if parent is not None:
                parent.children += 1
            level = self.levels[path] = _Level(parent or self._prior, now_s)
        return level

    def _drop_one(self) -> None:
        """The leaf that was used least recently, of all or of the one who has most."""
        owners = Counter(path[self._owner] for path in self.leaves)
        owner, has = owners.most_common(1)[0]
        self._drop(next(path for path in self.leaves if has < MOST_OF_ONE or path[self._owner] == owner))

    def forget(self, owner: str) -> None:
        """All leaves of an owner who is no more."""
        for path in [path for path in self.leaves if path[self._owner] == owner]:
            self._drop(path)

    def _drop(self, path: Path) -> None:
        """A leaf, and the levels above it that have no other."""
        del self.leaves[path]
        while path and self.levels[path].children == 0:
            level = self.levels.pop(path)
            if isinstance(level.parent, _Level):
                level.parent.children -= 1
            path = path[:-1]


class Lengths:
    """Lengths and paces of one process. `now_s` is the monotonic clock."""

    def __init__(self) -> None:
        self._trees = {"length": _Tree(LENGTH_PRIOR, 2, owner=1), "pace": _Tree(PACE_PRIOR, 3, owner=0)}

    def __len__(self) -> int:
        return sum(len(tree.leaves) for tree in self._trees.values())

    # -- learning ------------------------------------------------------------------------------------------------------

    def ended(self, model: str, key: str, tokens: int, cut: bool, now_s: float) -> None:
        """An answer had so many tokens. `cut`: it would have had more, but was broken off or reached its limit."""
        place = bucket(max(tokens, 1) * LEAST_S)
        for level in self._trees["length"].chain((model, key), now_s):
            level.add("censored" if cut else "started", place, now_s)

    def took(self, provider: str, model: str, tier: str | None, tokens: int, seconds: float, now_s: float) -> None:
        """From the start to the end of an answer of so many tokens."""
        if tokens >= LEAST_TOKENS:
            self._pace("started", bucket(seconds * PACE_TOKENS / tokens), (provider, tier or "", model), now_s)

    def broke(self, provider: str, model: str, tier: str | None, now_s: float) -> None:
        """The provider broke off an answer that had started."""
        self._pace("lost", 0, (provider, tier or "", model), now_s)

    def _pace(self, cause: Cause, place: int, path: Path, now_s: float) -> None:
        for level in self._trees["pace"].chain(path, now_s):
            level.add(cause, place, now_s)

    def forget(self, key: str) -> None:
        """The key is revoked: nobody will ask how long its answers are."""
        self._trees["length"].forget(key)

    # -- what to expect ------------------------------------------------------------------------------------------------

    def length(self, model: str, key: str, now_s: float, peek: bool = False) -> Curve:
        """The length of an answer, by bucket: `silent` is the probability that it is longer."""
        return self._trees["length"].curve((model, key), now_s, peek)

    def pace(self, provider: str, model: str, tier: str | None, now_s: float, peek: bool = False) -> Curve:
        """The pace of an answer, by bucket: `late_at` is the probability that it is slower, or never ends."""
        return self._trees["pace"].curve((provider, tier or "", model), now_s, peek)

    def mean_tokens(self, model: str, key: str, guess: float) -> float:
        """The mean length of this key's answers, the model's counting as one; else the model's, else `guess`."""
        levels, mean = self._trees["length"].levels, 0.0
        for path in ((model,), (model, key)):
            level = levels.get(path)
            if level is not None:
                own, number = level.mean()
                mean = (own * number + mean) / (number + 1.0) if mean else own
        return mean or guess

    # -- over a restart ------------------------------------------------------------------------------------------------

    def keep(self, now_s: float, now_unix_s: float) -> tuple[KeptSeries, ...]:
        """All counts, to be saved beside those of policy/latency.py: the first name of a path tells them apart."""
        return tuple(self.parts(now_s, now_unix_s))

    def parts(self, now_s: float, now_unix_s: float) -> Iterator[KeptSeries]:
        """The same, level by level."""
        for name, tree in self._trees.items():
            for path, level in list(tree.levels.items()):
                yield KeptSeries((name, *path), *[counts.keep(now_s, now_unix_s) for counts in level.counts])

    def take(self, kept: tuple[KeptSeries, ...], now_s: float, now_unix_s: float) -> None:
        """Add saved counts to what is known; paths that are none of ours are left out."""
        for saved in sorted(kept, key=lambda one: -len(one.path)):  # leaves first: they make the levels above
            tree = self._trees.get(saved.path[0]) if saved.path else None
            if tree is None or not 1 < len(saved.path) <= tree.depth + 1:
                continue
            path = saved.path[1:]
            if len(path) == tree.depth:
                tree.chain(path, now_s)
            level = tree.levels.get(path)
            if level is not None:
                for counts, weights in zip(level.counts, (saved.slow, saved.fast), strict=True):
                    counts.take(weights, now_s, now_unix_s)
