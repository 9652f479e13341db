"""How many dearer rungs may be launched by time. The rule: a launch that was promised is made; races that would lead to
more are not planned.

When a cheap tier collapses, every race comes to launch its dearer rung at about the same time, upon providers that may
be in trouble already. So there are token buckets, one for the process and one for each key: a race is planned only
while both have a token, and each launch takes one of both, even where none is left.
"""

BURST_S = 10.0
"""A bucket holds what comes in so many seconds."""

MOST_KEYS = 4096
"""Beyond it the bucket that was taken from least recently is forgotten. Left alone for `BURST_S` it is full, as a new
one is, unless more was taken than it held."""


class Bucket:
    """Tokens that come at `rate_per_s`. Times are of one clock that never runs backwards."""

    __slots__ = ("_at_s", "_rate_per_s", "_tokens")

    def __init__(self, rate_per_s: float, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._tokens = self._most
        self._at_s = now_s

    @property
    def _most(self) -> float:
        return max(self._rate_per_s * BURST_S, 1.0)

    def tokens(self, now_s: float) -> float:
        """What it holds; below 0 where more were taken than there were."""
        self._tokens = min(self._tokens + (now_s - self._at_s) * self._rate_per_s, self._most)
        self._at_s = now_s
        return self._tokens

    def take(self, now_s: float) -> None:
        """Take one, be there any or not."""
        self._tokens = self.tokens(now_s) - 1.0


class Hedges:
    """The buckets of one process. `launched` and `capped` count launches, and races that were not planned."""

    def __init__(self, per_s: float, per_key_per_s: float) -> None:
        self._per_key_per_s = per_key_per_s
        self._per_s = per_s
        self._whole: Bucket | None = None
        self._keys: dict[str, Bucket] = {}  # the one taken from last at the end
        self.launched = 0
        self.capped = 0

    def counts(self) -> dict[tuple[str, ...], float]:
        """What was counted, by kind."""
        return {("launched",): self.launched, ("capped",): self.capped}

    def may(self, key_id: str, now_s: float) -> bool:
        """Whether a race of this key may be planned."""
        own, whole = self._keys.get(key_id), self._whole
        return (whole is None or whole.tokens(now_s) >= 1.0) and (own is None or own.tokens(now_s) >= 1.0)

    def take(self, key_id: str, now_s: float) -> None:
        """A dearer rung is launched beside a silent one."""
        self.launched += 1
        whole = self._whole
        if whole is None:
            whole = self._whole = Bucket(self._per_s, now_s)
        own = self._keys.pop(key_id, None)
        if own is None:
            if len(self._keys) >= MOST_KEYS:
                del self._keys[next(iter(self._keys))]
            own = Bucket(self._per_key_per_s, now_s)
        self._keys[key_id] = own
        whole.take(now_s)
        own.take(now_s)
