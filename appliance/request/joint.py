"""The breakers of races: which models' tiers failed together lately. The rule: only who plans a race looks here.

`policy/joint.py` says what a race came to, `policy/health.py` decides; here works become its words. A model whose races
are well has no breaker.
"""

from collections.abc import Sequence

import structlog

from appliance.domain.catalog import Provider, Rung
from appliance.policy.health import WORDS, Breaker, Rules, Word
from appliance.policy.joint import asked_once, race_word, raced
from appliance.request.rung_key import RungKey, rung_key
from appliance.request.work import Work
from appliance.upstream.attempt import Attempt

log = structlog.get_logger()

RACES = "races"
"""Stands where other breakers have their tier."""

MOST_PAIRS = 1024
_SILENCE = frozenset({"too_slow", "idle"})
"""Causes of a cancelled attempt that are the provider's silence."""


class RaceBreakers:
    """One for the process. Times are monotonic."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.suspects: dict[RungKey, Breaker] = {}
        self._probes: dict[Work, list[Breaker]] = {}

    def left(self, work: Work, providers: Sequence[Provider], ladder: tuple[Rung, ...], now: float) -> list[int]:
        """The places of a ladder that are raced; of models that are not for now one rung is left. Each rung is of the
        provider at the same place. A work may become a probe: `ended` is to be called.
        """
        paused = set()
        for pair in raced(ladder):
            at = next(place for place, rung in enumerate(ladder) if (rung.provider, rung.model) == pair)
            breaker = self.suspects.get(_key(providers[at], ladder[at]))
            if breaker is None:
                continue
            verdict = breaker.look(now) if work.rehearsed else breaker.ask(now)
            if verdict == "skip":
                paused.add(pair)
            elif verdict == "probe" and not work.rehearsed:
                self._probes.setdefault(work, []).append(breaker)
        return asked_once(ladder, paused)

    def wait_s(self, provider: Provider, rung: Rung, now: float) -> float:
        """Time until a model is raced again; 0 if it may be."""
        breaker = self.suspects.get(_key(provider, rung))
        return 0.0 if breaker is None else breaker.wait_s(now)

    def ended(self, work: Work, now: float, patience_s: float) -> None:
        """What was planned is over, or was never run. A silence counts if it lasted half of `patience_s`."""
        lost = len(work.attempts) - (work.winner is not None)
        if lost < 2 and not self.suspects and not self._probes:
            return
        ends: dict[tuple[RungKey, str], list[tuple[Rung, Word]]] = {}
        for attempt in work.attempts if work.prospect is not None else ():
            word, rung = _word(work, attempt, now, patience_s), attempt.rung
            # by model, too: all that a provider does not list share one breaker, but do not fail together
            ends.setdefault((_key(attempt.target.provider, rung), rung.model), []).append((rung, word))
        probes = self._probes.pop(work, [])
        for (key, _), of_model in ends.items():
            word, breaker = race_word(of_model), self.suspects.get(key)
            if breaker is None:
                if word != "failed" or not self._rules.failures:
                    continue
                if len(self.suspects) >= MOST_PAIRS:
                    self.suspects.pop(next(iter(self.suspects)))
                breaker = self.suspects[key] = Breaker(self._rules)
            probe = breaker in probes
            if probe:
                probes.remove(breaker)
            self._tell(key, breaker, word, now, probe)
        for breaker in probes:  # nobody was asked
            breaker.tell("nothing", now, probe=True)

    def _tell(self, key: RungKey, breaker: Breaker, word: Word, now: float, probe: bool) -> None:
        if breaker.tell(word, now, probe=probe):
            log.warning(
                "breaker_opened", provider=key.provider, tier=RACES, code="joint_failure", pause_s=breaker.wait_s(now)
            )
        elif probe and word == "well":
            log.info("breaker_closed", provider=key.provider, tier=RACES)


def given_up(work: Work, attempt: Attempt) -> bool:
    """Whether an attempt was cancelled for the provider's silence."""
    return (work.causes.get(attempt.ordinal) or work.call.cause) in _SILENCE


def silent_word(attempt: Attempt, now: float, patience_s: float) -> Word:
    """The word for an attempt that was given up for its silence: whether that was long enough to say something."""
    silent = attempt.started_s is not None or now - attempt.start_s >= patience_s / 2
    return "failed" if silent else "nothing"


def _word(work: Work, attempt: Attempt, now: float, patience_s: float) -> Word:
    if attempt.started_s is not None:
        return "began"
    if attempt.fault is not None:
        return WORDS.get(attempt.fault.kind.code, "nothing")
    return silent_word(attempt, now, patience_s) if given_up(work, attempt) else "nothing"


def _key(provider: Provider, rung: Rung) -> RungKey:
    return rung_key(provider, rung)._replace(tier=RACES)
