"""What requests teach of answers: how long a key's get, and how fast a tier writes them. The rule: only what was seen.

The counts are policy/lengths.py's. An answer that came to its end has its length; one that its limit cut, or that was
broken off, is known to be longer. What a client was slow to take says nothing of the provider's pace.
"""

from appliance.policy.estimate import tokens_of_bytes
from appliance.policy.expense import guessed_tokens
from appliance.policy.finish import Rest
from appliance.policy.foresight import Z
from appliance.policy.generation import Generations
from appliance.policy.latency import Series
from appliance.policy.lengths import Lengths
from appliance.policy.race import is_callers_fault
from appliance.request.work import Work
from appliance.wire.dialect import StreamReader


class Answers:
    """One for the process. A series names provider, model and tier as the engine does. Times are monotonic."""

    def __init__(self) -> None:
        self.known = Lengths()
        self._generations = Generations(Z)

    def tokens(self, work: Work, series: Series) -> int:
        """The expected length of the answer."""
        most = _most_tokens(work)
        mean = self.known.mean_tokens(series.model, work.call.key.key_id, guessed_tokens(most))
        return min(max(round(mean), 1), most or round(mean) + 1)

    def rest(self, work: Work, series: tuple[Series, ...], finish_s: float, now_s: float) -> Rest:
        """What is known of the time after the start, on each of these rungs: the same objects until it has moved."""
        known, key_id, most, peek = self.known, work.call.key.key_id, _most_tokens(work), work.rehearsed
        made = [
            self._generations.of(
                known.length(one.model, key_id, now_s, peek),
                known.pace(one.provider, one.model, one.tier, now_s, peek),
                most,
            )
            for one in series
        ]
        return Rest(finish_s, tuple(made))

    def settled(self, work: Work, series: Series, now_s: float) -> None:
        """A request has ended whose winner was of this series."""
        winner, key_id, known = work.winner, work.call.key.key_id, self.known
        if winner is None or winner.started_s is None:
            return
        tokens = work.tokens
        if winner.end == "complete":
            if tokens.certainty != "known" or tokens.output is None:
                return
            most = _most_tokens(work)
            known.ended(series.model, key_id, tokens.output, most is not None and tokens.output >= most, now_s)
            if winner.stream and winner.end_s is not None and not work.held_up:
                took_s = winner.end_s - winner.started_s
                known.took(series.provider, series.model, series.tier, tokens.output, took_s, now_s)
            return
        seen = 0 if winner.reader is None else _least_tokens(winner.reader)
        if seen:
            known.ended(series.model, key_id, seen, True, now_s)
        fault = winner.fault
        if work.call.cause == "idle" or (
            fault is not None and fault.origin != "startline" and not is_callers_fault(fault)
        ):
            known.broke(series.provider, series.model, series.tier, now_s)


def _least_tokens(reader: StreamReader) -> int:
    """So many tokens at least had come. An event with content is a token or more, but some have none: chunks that only
    keep a stream open, or finish it. Those add no bytes.
    """
    return min(reader.events, tokens_of_bytes(reader.output_bytes_estimate))


def _most_tokens(work: Work) -> int | None:
    return work.admitted.asked.max_output_tokens if work.admitted is not None else None
