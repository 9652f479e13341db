"""The breakers of all rungs that failed lately. The rule: a rung that is well has none, and costs a request nothing.

`policy/health.py` decides; here attempts become its words. A rung's breaker is made by its first failure and forgotten
when it is well again, so `suspects` is empty as long as all is well, and the request path looks no further. `races` are
those of models whose tiers failed together (`request/joint.py`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
import structlog

from appliance.domain.catalog import Provider, Rung
from appliance.domain.errors import ApplianceFault
from appliance.policy.health import WORDS, Breaker, BreakerState, Rules, Word
from appliance.request.joint import RaceBreakers, given_up, silent_word
from appliance.request.rung_key import RungKey, rung_key
from appliance.request.work import Work
from appliance.upstream.attempt import Attempt

log = structlog.get_logger()

MOST_SUSPECTS = 4096


class RungHealth(msgspec.Struct, frozen=True):
    """One breaker as it is shown; `wait_s`: time until it lets a probe through."""

    provider_id: str
    provider: str
    model: str
    tier: str
    state: BreakerState
    wait_s: float


class Breakers:
    """One for the process. Times are monotonic."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.suspects: dict[RungKey, Breaker] = {}
        self.races = RaceBreakers(rules)
        self._probes: dict[Attempt, Breaker] = {}
        self.skipped: dict[tuple[str, ...], int] = {}
        """Attempts that were not made, by (provider, tier)."""

    # -- before an attempt ---------------------------------------------------------------------------------------------

    def usable(
        self, provider: Provider, rungs: Iterable[Rung], now: float, rehearsed: bool = False
    ) -> tuple[Rung, ...]:
        """The rungs that may be asked now. The others are counted as skipped, unless it is only `rehearsed`."""
        return tuple([rung for rung in rungs if not self._skips(provider, rung, now, rehearsed)])

    def _skips(self, provider: Provider, rung: Rung, now: float, rehearsed: bool) -> bool:
        breaker = self.suspects.get(rung_key(provider, rung))
        if breaker is None or breaker.look(now) != "skip":
            return False
        if not rehearsed:
            self._count_skipped(provider, rung)
        return True

    def _count_skipped(self, provider: Provider, rung: Rung) -> None:
        label = (provider.name, rung.tier or "none")
        self.skipped[label] = self.skipped.get(label, 0) + 1

    def raced(self, work: Work, providers: Sequence[Provider], ladder: tuple[Rung, ...], now: float) -> list[int]:
        """The places of a ladder that may be raced, as `RaceBreakers.left` has it. The others are noted as skipped."""
        left = self.races.left(work, providers, ladder, now)
        if len(left) < len(ladder):
            skipped = [place for place in range(len(ladder)) if place not in left]
            work.skipped = (*work.skipped, *[ladder[place] for place in skipped])
            if not work.rehearsed:
                for place in skipped:
                    self._count_skipped(providers[place], ladder[place])
        return left

    def admit(self, attempt: Attempt, now: float) -> None:
        """Let an attempt go, perhaps as the probe; one whose rung has opened since the plan was made has failed."""
        provider = attempt.target.provider
        breaker = self.suspects.get(rung_key(provider, attempt.rung))
        if breaker is None:
            return
        verdict = breaker.ask(now)
        if verdict == "probe":
            self._probes[attempt] = breaker
        elif verdict == "skip":
            attempt.refuse(self.fault(provider, (attempt.rung,), now))

    def fault(self, provider: Provider, rungs: Iterable[Rung], now: float) -> ApplianceFault:
        """What is told when no rung may be asked."""
        waits_s = [breaker.wait_s(now) for rung in rungs if (breaker := self.suspects.get(rung_key(provider, rung)))]
        return ApplianceFault(
            "breaker_open",
            f"The provider {provider.name} failed several times in a row; it is asked again after a pause.",
            provider=provider.name,
            retry_after_s=max(min(waits_s, default=0.0), 1.0),
        )

    def wait_s(self, provider: Provider, rung: Rung, now: float) -> float:
        """Time until a rung that is left out is asked again, by its own breaker and by that of races."""
        breaker = self.suspects.get(rung_key(provider, rung))
        own_s = 0.0 if breaker is None else breaker.wait_s(now)
        return max(own_s, self.races.wait_s(provider, rung, now))

    # -- what became of it ---------------------------------------------------------------------------------------------

    def begun(self, attempt: Attempt, now: float) -> None:
        """An attempt has started, or failed before it did. For each attempt that was not cancelled before."""
        fault = attempt.fault
        if fault is not None:
            self._tell(attempt, WORDS.get(fault.kind.code, "nothing"), now, fault.code)
        elif self.suspects and attempt.started_s is not None and attempt.stream:
            self._tell(attempt, "began", now)

    def settled(self, work: Work, now: float, patience_s: float) -> None:
        """A request has ended: what its attempts came to. A silence counts if it lasted half of `patience_s`."""
        for attempt in work.attempts:
            if attempt.end == "complete" and attempt.fault is None:
                if self.suspects or self._probes:  # a probe's breaker may be forgotten meanwhile
                    self._tell(attempt, "well", now)
            elif attempt.fault is not None:
                if attempt.started_s is not None:  # else it was told when it failed
                    self._tell(attempt, WORDS.get(attempt.fault.kind.code, "nothing"), now, attempt.fault.code)
            elif attempt.ordinal in work.lingering:
                pass  # `ended` tells of it
            elif given_up(work, attempt):
                self._tell(attempt, silent_word(attempt, now, patience_s), now, "provider_too_slow")
            elif self._probes:
                self._tell(attempt, "nothing", now)

    def ended(self, attempt: Attempt, now: float) -> None:
        """An attempt that was left running has ended: started, failed, or silent still, which counts for nothing."""
        if attempt.fault is not None or attempt.started_s is not None:
            self.begun(attempt, now)
        elif self._probes:
            self._tell(attempt, "nothing", now)

    def _tell(self, attempt: Attempt, word: Word, now: float, code: str = "") -> None:
        breaker = self._probes.pop(attempt, None)
        probe = breaker is not None
        provider = attempt.target.provider
        if breaker is None:
            key = rung_key(provider, attempt.rung)
            breaker = self.suspects.get(key)
            if breaker is None:
                if word not in ("failed", "refused") or not self._rules.failures:
                    return
                if len(self.suspects) >= MOST_SUSPECTS:
                    self.suspects.pop(next(iter(self.suspects)))
                breaker = self.suspects[key] = Breaker(self._rules)
        if breaker.tell(word, now, probe=probe):
            log.warning(
                "breaker_opened", provider=provider.name, tier=attempt.rung.tier, code=code, pause_s=breaker.wait_s(now)
            )
        elif probe and word in ("began", "well"):
            log.info("breaker_closed", provider=provider.name, tier=attempt.rung.tier)

    # -- housekeeping --------------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Forget those that are well again. Call it now and then."""
        for suspects in (self.suspects, self.races.suspects):
            for key in [key for key, breaker in suspects.items() if breaker.forgettable(now)]:
                del suspects[key]

    def forget(self, provider_id: str) -> None:
        """A provider was changed or removed: what was known of it says nothing of what it is now."""
        for suspects in (self.suspects, self.races.suspects):
            for key in [key for key in suspects if key.provider_id == provider_id]:
                del suspects[key]

    def shown(self, now: float) -> list[RungHealth]:
        """Those that are not closed."""
        return [
            RungHealth(*key, breaker.state(now), round(breaker.wait_s(now), 3))
            for key, breaker in (*self.suspects.items(), *self.races.suspects.items())
            if breaker.open_until_s is not None
        ]

    def counts(self, now: float) -> Counter[tuple[str, ...]]:
        """How many are not closed, by (provider, tier, state)."""
        return Counter((one.provider, one.tier or "none", one.state) for one in self.shown(now))
