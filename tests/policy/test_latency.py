"""What is known of all series: hierarchy, bounded memory, collapse and recovery, and what survives a restart."""

from heapq import heappop, heappush
from random import Random
from timeit import repeat

import msgspec
import pytest

from appliance.policy import latency
from appliance.policy.latency import Flight, KeptSeries, LatencyModel, Series, Tier, prior_of, size_class
from appliance.policy.launch import Candidate, decide

FLEX = Series("openai", "gpt", "flex")


def fed(
    model: LatencyModel, series: Series, median_s: float, count: int, now_s: float = 0.0, every_s: float = 1.0
) -> float:
    """So many attempts one after another, log-normal about the median; the time after the last."""
    random = Random(f"{series} {median_s}")
    for _ in range(count):
        now_s += every_s
        model.begin(series, now_s).end("started", now_s + random.lognormvariate(0.0, 0.3) * median_s)
    return now_s


def test_a_new_series_is_what_its_tier_is_thought_to_be() -> None:
    model = LatencyModel()
    cheap, dear = model.curve(FLEX, 0.0), model.curve(Series("openai", "gpt", "default"), 0.0)
    assert cheap.late_at(10.0) == pytest.approx(prior_of("flex").late_at(10.0))
    assert dear.late_at(10.0) < cheap.late_at(10.0)
    assert model.curve(Series("vllm", "qwen", None), 0.0).late_at(10.0) == pytest.approx(dear.late_at(10.0))


def test_what_one_model_teaches_another_of_its_provider_leans_on_until_it_knows_itself() -> None:
    model = LatencyModel()
    now_s = fed(model, FLEX, 2.0, 300)
    sibling, stranger = Series("openai", "other", "flex"), Series("google", "gemini", "flex")
    assert model.curve(sibling, now_s).late_at(10.0) < 0.05 < 0.5 < model.curve(stranger, now_s).late_at(10.0)
    assert model.curve(sibling, now_s).number < 10 < 200 < model.curve(FLEX, now_s).number
    now_s = fed(model, sibling, 60.0, 100, now_s)
    assert model.curve(sibling, now_s).late_at(10.0) > 0.8
    assert model.curve(FLEX, now_s).late_at(10.0) < 0.05, "and the other way it teaches little"


def test_long_prompts_and_launches_behind_a_silent_rung_are_series_of_their_own() -> None:
    model = LatencyModel()
    now_s = fed(model, FLEX, 2.0, 200)
    now_s = fed(model, msgspec.structs.replace(FLEX, size=3), 30.0, 200, now_s)
    now_s = fed(model, msgspec.structs.replace(FLEX, behind=True), 30.0, 200, now_s)
    assert model.curve(FLEX, now_s).late_at(8.0) < 0.2
    assert model.curve(msgspec.structs.replace(FLEX, size=3), now_s).late_at(8.0) > 0.9
    assert model.curve(msgspec.structs.replace(FLEX, behind=True), now_s).late_at(8.0) > 0.9
    assert [size_class(n) for n in (0, 4_000, 4_001, 100_000, 10**9)] == [0, 0, 1, 2, 3]


def test_a_collapse_is_seen_while_its_victims_are_still_in_flight() -> None:
    model = LatencyModel()
    now_s = fed(model, FLEX, 2.0, 3000)
    before = model.curve(FLEX, now_s).late_at(20.0)
    flights = [model.begin(FLEX, now_s + nth) for nth in range(40)]
    after = model.curve(FLEX, now_s + 60.0).late_at(20.0)
    assert before < 0.01
    assert after > 0.1
    for flight in flights:
        flight.forget()
    assert model.curve(FLEX, now_s + 62.0).late_at(20.0) == pytest.approx(before, abs=0.01)


def test_a_look_leaves_no_trace_and_sees_the_same() -> None:
    model = LatencyModel()
    now_s = fed(model, FLEX, 2.0, 300)
    before = model.keep(now_s, 0.0)
    sibling, stranger = Series("openai", "other", "flex"), Series("google", "gemini", "flex", behind=True)
    peeked = [model.peek(series, now_s) for series in (FLEX, sibling, stranger)]
    assert (model.keep(now_s, 0.0), len(model)) == (before, 1)
    for series, peek in zip((FLEX, sibling, stranger), peeked, strict=True):
        asked = model.curve(series, now_s)
        assert peek.number == pytest.approx(asked.number)
        assert [peek.late_at(at_s) for at_s in (1.0, 5.0, 60.0)] == pytest.approx(
            [asked.late_at(at_s) for at_s in (1.0, 5.0, 60.0)], rel=0.01
        )


def test_a_drift_is_told_as_long_as_it_is_one_and_its_series_is_used() -> None:
    model = LatencyModel()
    now_s = fed(model, FLEX, 2.0, 3000)
    model.curve(FLEX, now_s)
    assert model.drifting(0.0) == []
    now_s = fed(model, FLEX, 60.0, 60, now_s)
    model.curve(FLEX, now_s)
    assert model.drifting(now_s) == [("flex", "openai", "gpt", "0", "alone")]
    assert model.drifting(now_s + 1.0) == []


def test_a_flight_counts_once_and_one_that_is_forgotten_not_at_all() -> None:
    model = LatencyModel()
    flight = model.begin(FLEX, 0.0)
    for _ in range(3):
        flight.end("started", 1.0)
    other = model.begin(FLEX, 0.0)
    other.forget()
    other.end("lost", 2.0)
    (leaf,) = [kept for kept in model.keep(2.0, 1e9) if len(kept.path) == latency.DEPTH]
    assert sum(weight for _, weight in leaf.slow.started) == pytest.approx(1.0, abs=1e-3)
    assert leaf.slow.lost == ()


def test_what_is_kept_survives_a_restart_as_msgpack_does() -> None:
    model = LatencyModel()
    now_s = fed(model, FLEX, 2.0, 500)
    saved = msgspec.msgpack.decode(msgspec.msgpack.encode(model.keep(now_s, 1e9)), type=tuple[KeptSeries, ...])
    restarted = model
    for nth in range(3):  # as often as one likes: nothing grows
        restarted = LatencyModel()
        restarted.take(saved, 3.0, 1e9 + 1.0 + nth)
        saved = restarted.keep(3.0, 1e9 + 1.0 + nth)
    assert len(restarted) == len(model) == 1
    for at_s in (1.0, 2.0, 4.0):
        expected = model.curve(FLEX, now_s).late_at(at_s)
        assert restarted.curve(FLEX, 3.0).late_at(at_s) == pytest.approx(expected, abs=0.01)


def test_saved_paths_that_are_none_of_ours_are_left_out() -> None:
    kept = LatencyModel()
    fed(kept, FLEX, 2.0, 5)
    (first, *_) = kept.keep(5.0, 1e9)
    model = LatencyModel()
    model.take(
        (KeptSeries(("flex", "a", "b", "c"), first.slow, first.fast), KeptSeries((), first.slow, first.fast)), 0.0, 1e9
    )
    assert model.keep(0.0, 1e9) == ()


def test_memory_is_bounded_and_who_was_used_least_recently_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "MOST_SERIES", 20)
    model = LatencyModel()
    for nth in range(300):
        model.begin(FLEX, float(nth)).end("started", nth + 1.0)
        model.begin(Series("openai", f"model {nth}", "flex", nth % 4, nth % 3 == 0), float(nth)).end("lost", nth + 1.0)
    kept = model.keep(300.0, 1e9)
    assert len(model) == 20
    assert len(kept) <= 20 * (latency.DEPTH - 2) + 1
    assert any(one.path[2:3] == ("gpt",) for one in kept)
    assert not any(one.path[2:3] == ("model 0",) for one in kept)


def test_models_that_never_answer_do_not_displace_what_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "MOST_SERIES", 20)
    monkeypatch.setattr(latency, "MOST_UNSEEN", 10)
    model = LatencyModel()
    learned = [Series("openai", f"model {nth}", "flex") for nth in range(15)]
    now_s = 0.0
    for one in learned:
        now_s = fed(model, one, 2.0, 3, now_s)
    for nth in range(100):
        model.curve(Series("openai", f"wrong {nth}", "flex"), now_s + nth)
        model.begin(Series("openai", f"wrong {nth}", "flex"), now_s + nth).forget()
    kept = {one.path[2] for one in model.keep(now_s, 0.0) if len(one.path) == latency.DEPTH}
    assert {one.model for one in learned[-10:]} <= kept and len(model) == 20
    now_s = fed(model, FLEX, 2.0, 3, now_s + 100.0)
    kept = {one.path[2] for one in model.keep(now_s, 0.0) if len(one.path) == latency.DEPTH}
    assert "gpt" in kept, "what answers is learned all the same"


def test_an_attempt_in_flight_outlives_its_dropped_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "MOST_SERIES", 1)
    model = LatencyModel()
    flight = model.begin(FLEX, 0.0)
    model.begin(Series("google", "gemini", "flex"), 1.0).end("started", 2.0)
    flight.end("started", 3.0)
    assert len(model) == 1


def test_an_observation_and_a_plan_cost_little() -> None:
    """Bounds far above the aims (10 and 100 µs; `python -m tests.bench.deadline` prints the figures)."""
    model = LatencyModel()
    series = [FLEX, Series("openai", "gpt", "default"), Series("openai", "gpt", "default", 0, True)]
    now_s = 0.0
    for one in series:
        now_s = fed(model, one, 2.0, 500, now_s)

    def observe() -> None:
        model.begin(FLEX, now_s).end("started", now_s + 2.0)

    x, y, behind = (model.curve(one, now_s) for one in series)
    rungs = (Candidate(x, x, 0.5), Candidate(y, behind, 1.0))
    yardstick_s = min(repeat(lambda: sorted(range(1000), key=lambda n: -n), number=20, repeat=5)) / 20  # ~100 µs
    assert min(repeat(observe, number=200, repeat=5)) / 200 < yardstick_s
    assert min(repeat(lambda: decide(rungs, 10.0, 0.99), number=50, repeat=5)) / 50 < 10 * yardstick_s


def test_a_collapse_that_ends_is_found_out_by_a_few_trials() -> None:
    """Half of the forgetting would take 120 of them."""
    model = LatencyModel()
    now_s = fed(model, FLEX, 8.0, 2000)
    for _ in range(300):
        now_s += 1.0
        flight = model.begin(FLEX, now_s)
        model.curve(FLEX, now_s)
        flight.end("censored", now_s + 30.0)
    assert model.curve(FLEX, now_s).late_at(30.0) > 0.5
    trials = 0
    while model.curve(FLEX, now_s + 8.0).late_at(30.0) > 0.2:
        now_s += 20.0
        model.begin(FLEX, now_s).end("started", now_s + 8.0)
        trials += 1
    assert trials <= 8


def test_refusals_that_have_ended_are_forgotten_and_the_tail_is_not() -> None:
    model = LatencyModel()
    random, now_s = Random(3), 0.0
    for nth in range(3000):
        now_s += 1.0
        flight = model.begin(FLEX, now_s)
        took_s = 8.0 * random.lognormvariate(0.0, 1.1)
        flight.end("lost" if 2500 <= nth < 2700 else "started", now_s + took_s)
        model.curve(FLEX, now_s)
    curve = model.curve(FLEX, now_s)
    assert curve.lost_at(60.0) < 0.01
    assert 0.01 < curve.late_at(60.0) < 0.06
    assert curve.number > 1000


def test_good_news_refutes_what_was_believed_and_not_itself() -> None:
    model, series = LatencyModel(), Series("p", "m", "default")

    def seen(took_s: float, number: int) -> None:
        for _ in range(number):
            model.begin(series, 100.0 - took_s).end("started", 100.0)

    seen(5.0, 200)
    assert model.curve(series, 100.0).late_at(4.0) > 0.9
    seen(0.1, 500)  # nobody asks for the curve meanwhile
    curve = model.curve(series, 100.0)
    assert curve.late_at(1.0) < 0.05 and curve.number > 300


def test_what_is_not_known_of_a_launch_behind_a_silent_rung_is_taken_from_others() -> None:
    """Else a plan that always launches at once would never dare to launch later, for want of knowing."""
    model = LatencyModel()
    behind = msgspec.structs.replace(FLEX, behind=True)
    now_s = fed(model, FLEX, 2.0, 1000)
    unknown = model.curve(behind, now_s)
    assert unknown.late_at(8.0) + unknown.error_at(8.0) < 0.03
    now_s = fed(model, behind, 2.0, 100, now_s)
    model.begin(behind, now_s).end("started", now_s + 30.0)
    assert model.curve(behind, now_s + 30.0).late_at(8.0) < 0.005, "one that was slow is no proof"
    now_s = fed(model, behind, 30.0, 30, now_s)
    assert model.curve(behind, now_s).late_at(8.0) > 0.1


def test_bad_luck_of_those_asked_alone_gives_way_to_what_was_seen_behind_a_silent_rung() -> None:
    """Both are raced for it, so that none is asked alone any more: nothing else would ever end the mistake."""
    model, behind = LatencyModel(), msgspec.structs.replace(FLEX, behind=True)
    now_s = fed(model, FLEX, 2.0, 300)
    for _ in range(4):
        model.begin(FLEX, now_s).end("started", now_s + 9.0)
    assert model.curve(FLEX, now_s + 9.0).late_at(8.0) > 0.01
    now_s = fed(model, behind, 2.0, 3000, now_s + 9.0)
    assert model.curve(FLEX, now_s).late_at(8.0) < 0.005
    now_s = fed(model, FLEX, 30.0, 60, now_s)
    assert model.curve(FLEX, now_s).late_at(8.0) > 0.3, "but what is clearly worse is its own"


def test_a_tail_is_no_heavier_for_what_is_still_in_flight() -> None:
    """Attempts that end after minutes, 600 of them in flight, and recent counts of half a minute: no false alarm."""
    ends: list[tuple[float, float, Flight]] = []
    random, model, now_s = Random(5), LatencyModel(), 0.0
    for _ in range(3000):
        now_s += 0.25
        heappush(ends, (now_s + 60.0 * random.lognormvariate(0.0, 1.0), len(ends) + now_s, model.begin(FLEX, now_s)))
        while ends[0][0] <= now_s:
            at_s, _, flight = heappop(ends)
            flight.end("started", at_s)
        if now_s > 300.0:
            assert model.curve(FLEX, now_s).late_at(200.0) < 0.25, "in truth 0.11"


def test_a_tier_by_itself_learns_what_the_whole_model_learns() -> None:
    model, alone = LatencyModel(), Tier("flex", 0.0)
    series, random = Series("p", "m", "flex"), Random(1)
    for nth in range(600):
        now_s, time_s = nth * 10.0, random.lognormvariate(2.0, 1.0)
        for flight in (model.begin(series, now_s), alone.begin(now_s, behind=False)):
            flight.end("started" if time_s < 9.0 else "censored", now_s + min(time_s, 9.0))
    theirs, ours = model.curve(series, 6000.0), alone.curve(6000.0, behind=False)
    for at_s in (1.0, 3.0, 8.0):
        assert ours.late_at(at_s) == pytest.approx(theirs.late_at(at_s), abs=0.01)
        assert ours.error_at(at_s) == pytest.approx(theirs.error_at(at_s), abs=0.005)
    assert alone.curve(6000.0, behind=True).late_at(3.0) == pytest.approx(ours.late_at(3.0), abs=0.05)
