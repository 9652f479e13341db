"""Whether a rung is worth asking: a breaker for each (provider, model, tier). The rule: facts in, verdicts out.

Theory of operation
===================

A provider that is down costs each caller a time-out before another rung gets its turn. So a breaker counts what goes
wrong in a row and, when that is enough, opens: for a pause the rung is not asked at all. After the pause it is half
open: one real request is let through as a probe, the others still go elsewhere. The probe decides.

| what became of an attempt | word | why |
|---|---|---|
| no connection, name not found, TLS failed (`provider_unreachable`) | failed | the next caller would wait in vain too |
| its answer was a 408, a 5xx but for the next line, or a redirect (`provider_error`) | failed | the provider failed |
| no capacity: 503, 529, an overload code, 429 of the cheap tier (`provider_refused`) | refused | told at once, free |
| no HTTP, cut off, silent, not started in time (`provider_garbled`, `_cut_off`, `_too_slow`) | failed | broken |
| 429 for a quota or rate (`provider_rate_limited`) | nothing | the provider is well; its own retry-after is passed on |
| the request was wrong (`provider_rejected`) | nothing | the caller's fault |
| our key was not accepted (`provider_key_rejected`) | nothing | the operator's fault; told at once, costs no time |
| the client left, another rung won, a stop, a key revoked, a fault of ours | nothing | nobody knows |
| the answer started | began | it works; whether to the end is not known yet |
| the answer came whole | well | all is well |

Cheap tiers refuse now and then by design, and a race then goes on at once: so refusals count only when sustained.

| state | word | what follows |
|---|---|---|
| closed | failed | opens at `failures` in a row, none of them more than MEMORY_S after the one before |
| closed | refused | opens at REFUSALS in a row that lasted SUSTAINED_S or longer |
| closed | began | ends a row of refusals |
| closed | well | forgets everything |
| open | any | ignored: attempts that were launched before say nothing new |
| half open | began or well, of the probe | closes, on probation: one more failure opens it again |
| half open | failed or refused, of the probe | opens, for twice as long as before, at most MOST_PAUSES pauses |
| half open | nothing, of the probe | the next request is the probe |
"""

from typing import Literal

import msgspec

Word = Literal["began", "well", "failed", "refused", "nothing"]
Verdict = Literal["ask", "probe", "skip"]
BreakerState = Literal["closed", "open", "half_open"]

WORDS: dict[str, Word] = {
    "provider_unreachable": "failed",
    "provider_error": "failed",
    "provider_garbled": "failed",
    "provider_cut_off": "failed",
    "provider_too_slow": "failed",
    "provider_refused": "refused",
}
"""The word for each code of a fault; `nothing` for what is not listed."""

MEMORY_S = 60.0
"""A failure that came longer after the one before does not continue its row."""

REFUSALS = 20
SUSTAINED_S = 30.0
MOST_PAUSES = 12
IDLE_S = 600.0
"""A breaker that nobody asked for so long is forgotten, whatever its state."""


class Rules(msgspec.Struct, frozen=True):
    """`failures` in a row open a breaker, 0: none ever opens; `pause_s` is the first pause."""

    failures: int = 5
    pause_s: float = 5.0


class Breaker:
    """The health of one rung. Times are monotonic; a probe must be told exactly one word."""

    __slots__ = (
        "_failed_s",
        "_failures",
        "_openings",
        "_refusals",
        "_refused_s",
        "_refused_since_s",
        "_rules",
        "open_until_s",
        "probing",
    )

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._failures = 0
        self._failed_s = 0.0
        self._refusals = 0
        self._refused_s = self._refused_since_s = 0.0
        self._openings = 0
        self.open_until_s: float | None = None
        self.probing = False

    def state(self, now: float) -> BreakerState:
        """What it is in at this time."""
        if self.open_until_s is None:
            return "closed"
        return "open" if now < self.open_until_s else "half_open"

    def look(self, now: float) -> Verdict:
        """What `ask` would say."""
        if self.open_until_s is None:
            return "ask"
        return "skip" if now < self.open_until_s or self.probing else "probe"

    def ask(self, now: float) -> Verdict:
        """Whether the rung may be asked; `probe`: it may, and what becomes of it must be told as the probe's word."""
        verdict = self.look(now)
        if verdict == "probe":
            self.probing = True
        return verdict

    def wait_s(self, now: float) -> float:
        """Time until it is worth asking again."""
        return 0.0 if self.open_until_s is None else max(self.open_until_s - now, 0.0)

    def tell(self, word: Word, now: float, *, probe: bool = False) -> bool:
        """Take note of what became of an attempt; True if that opened the breaker."""
        if self.open_until_s is not None:
            return probe and self._probed(word, now)
        match word:
            case "failed":
                if now - self._failed_s > MEMORY_S:
                    self._failures = 0
                self._failures += 1
                self._failed_s = now
                return self._failures >= self._rules.failures > 0 and self._open(now)
            case "refused":
                if not self._refusals or now - self._refused_s > MEMORY_S:
                    self._refusals, self._refused_since_s = 0, now
                self._refusals += 1
                self._refused_s = now
                sustained = self._refusals >= REFUSALS and now - self._refused_since_s >= SUSTAINED_S
                return sustained and self._rules.failures > 0 and self._open(now)
            case "began":
                self._refusals = 0
            case "well":
                self._failures = self._refusals = self._openings = 0
            case "nothing":
                pass
        return False

    def _probed(self, word: Word, now: float) -> bool:
        self.probing = False
        match word:
            case "began" | "well":
                self.open_until_s = None
                self._failures, self._failed_s = self._rules.failures - 1, now
                self._refusals = 0
            case "failed" | "refused":
                return self._open(now)
            case "nothing":
                pass
        return False

    def _open(self, now: float) -> bool:
        pauses = min(2**self._openings, MOST_PAUSES)
        self._openings = min(self._openings + 1, 8)
        self.open_until_s = now + self._rules.pause_s * pauses
        self.probing = False
        return True

    def forgettable(self, now: float) -> bool:
        """Whether a breaker made anew would say the same, or nobody has asked for long."""
        if self.open_until_s is not None:
            return not self.probing and now - self.open_until_s > IDLE_S
        quiet_s = now - max(self._failed_s, self._refused_s)
        return not (self._failures or self._refusals or self._openings) or quiet_s > MEMORY_S
