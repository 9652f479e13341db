"""Races as they would be recorded of a run in a made-up world, for the back-test and the pictures."""

from math import inf

from appliance.domain.catalog import Rung
from appliance.domain.record import AttemptRecord, Forecast, RequestRecord
from appliance.evaluation.policy import DEFAULT, FLEX, Ours
from appliance.evaluation.run import Run, Served, _Attempt, _Request
from appliance.evaluation.setting import Setting
from appliance.evaluation.world import Draw
from appliance.policy.histogram import Cause
from appliance.policy.latency import Flight
from appliance.policy.recorded import End, Raced, Tried

RUNGS = Rung("acme", "m", "flex"), Rung("acme", "m", "default")
NANOS = 1_000_000
"""What an answer of the default tier costs."""


class _Noted(Flight):
    """A flight that remembers how it ended."""

    def __init__(self, flight: Flight | None, began_s: float, behind: bool) -> None:
        self.flight, self.began_s, self.behind = flight, began_s, behind
        self.cause: Cause = "censored"
        self.end_s = began_s

    def end(self, cause: Cause, now_s: float) -> None:
        self.cause, self.end_s = cause, now_s
        if self.flight is not None:
            self.flight.end(cause, now_s)


class RecordedRun(Run):
    """A run whose attempts are kept."""

    def _start(self, request: _Request, nth: int, tier: int, now_s: float) -> None:
        super()._start(request, nth, tier, now_s)
        attempt = request.attempts[tier]
        assert isinstance(attempt, _Attempt)
        other = request.attempts[FLEX]
        behind = tier == DEFAULT and other is not None and other.running and now_s > request.draw.at_s
        attempt.flight = _Noted(attempt.flight, now_s, behind)

    def races(self, served: list[Served]) -> list[Raced]:
        """After `play`: the recorded races."""
        return [self._race(request, one) for request, one in zip(self.requests, served, strict=True)]

    def _race(self, request: _Request, served: Served) -> Raced:
        at_s = request.draw.at_s
        noted = [
            (tier, attempt.flight)
            for tier, attempt in enumerate(request.attempts)
            if attempt is not None and isinstance(attempt.flight, _Noted)
        ]
        start_s = at_s + served.start_s
        tries = []
        for tier, flight in sorted(noted, key=lambda pair: pair[1].began_s):
            price = round(self.costs[tier] * NANOS)
            end: End
            if flight.cause == "lost":
                end, nanos = "refused", 0
            elif flight.cause == "started" and flight.end_s == start_s:
                end, nanos = "won", price
            elif flight.end_s > start_s:
                end, nanos = "left_running", price if flight.cause == "started" else round(self.setting.billed * price)
            else:
                end, nanos = "lost", round(self.setting.billed * price)
            tries.append(
                Tried(RUNGS[tier], flight.began_s - at_s, flight.end_s - flight.began_s, flight.cause, flight.behind,
                      end, nanos)
            )  # fmt: skip
        window_s, target = self.setting.window_s, self.setting.target
        met, nanos = served.start_s <= window_s, round(served.cost * NANOS)
        return Raced(
            at_s, "acme", "acme", "m", window_s, target, met, served.start_s, nanos, NANOS, None, tuple(tries), *RUNGS
        )


def recorded(requests: list[Draw], setting: Setting) -> tuple[list[Raced], list[Served]]:
    """The races of a run of our policy."""
    run = RecordedRun(requests, Ours(setting), setting)
    served = run.play()
    return run.races(served), served


def records(races: list[Raced], since_unix_s: float) -> list[tuple[RequestRecord, tuple[AttemptRecord, ...]]]:
    """The same as the rows of a database, from that time on."""
    return [_record(nth, race, since_unix_s) for nth, race in enumerate(races)]


def _record(nth: int, race: Raced, since_unix_s: float) -> tuple[RequestRecord, tuple[AttemptRecord, ...]]:
    name, start_s = f"req_{nth:06}", race.start_s if race.start_s is not None and race.start_s < inf else None
    winner = race.winner
    chance = 0.5 if race.window_s < 5.0 else 0.992
    forecast = Forecast(race.target, chance, chance - 0.002, 0, 1, race.window_s / 2, 1, 2, "latest_launch", 9.0, RUNGS)
    request = RequestRecord(
        name, "org_1", "key_1", round((since_unix_s + race.at_unix_s) * 1e6), "chat", "openai_chat", "m", "m", "acme",
        "https://acme.example", f"{race.window_s:g}s", winner.rung.tier if winner else None, None,
        "flex_won" if winner and winner.rung == RUNGS[0] else "flex_deadline", True, 200 if winner else 502,
        cost_nanos=race.nanos, cost_state="known", default_nanos=race.default_nanos, to_start_s=start_s,
        total_s=start_s or 0.0, window_s=race.window_s, deadline_met=race.met, target=race.target, forecast=forecast,
    )  # fmt: skip
    return request, tuple(_attempt(name, place, one) for place, one in enumerate(race.tries, 1))


def _attempt(name: str, ordinal: int, one: Tried) -> AttemptRecord:
    end_s = one.launch_s + one.age_s
    return AttemptRecord(
        name, ordinal, "acme", "https://acme.example", "m", one.rung.tier, None, one.launch_s, end_s,
        "detached" if one.end == "left_running" else "client_gone" if one.end == "gone" else one.end,
        to_start_s=end_s if one.cause == "started" else None, cost_nanos=one.nanos, cost_state="known",
    )  # fmt: skip
